#include "../isa/avx512.hpp"

#include "row.hpp"

namespace gmixer {

extern const Products avx512_fp32_products = fp32_row<Avx512>("avx512");

}  // namespace gmixer
