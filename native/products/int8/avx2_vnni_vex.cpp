#include "avx2_vnni.hpp"

namespace gmixer {

extern const Products avx2_vnni_vex_int8_products = int8_row<Avx2Vnni>("avx2", "vnni");

}  // namespace gmixer
