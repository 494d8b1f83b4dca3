#include "../isa/avx2.hpp"

#include "row.hpp"

namespace gmixer {

extern const Products avx2_fp32_products = fp32_row<Avx2>("avx2");

}  // namespace gmixer
