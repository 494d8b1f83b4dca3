#include "../isa/scalar.hpp"

#include "row.hpp"

namespace gmixer {

extern const Products scalar_fp32_products = fp32_row<Scalar>("scalar");

}  // namespace gmixer
