#include "avx2_vnni.hpp"

namespace gmixer {

extern const Products avx2_vnni_evex_int8_products = int8_row<Avx2Vnni>("avx2", "vnni-evex");

}  // namespace gmixer
