#include "../isa/neon.hpp"

#include "row.hpp"

namespace gmixer {

extern const Products neon_fp32_products = fp32_row<Neon>("neon");

}  // namespace gmixer
