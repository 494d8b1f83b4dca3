// Products of 16 bits, two to a lane, for a CPU without VNNI.
#include "../forget.hpp"
#include "avx512.hpp"

namespace gmixer {
namespace {

struct Avx512Bw : Avx512Integers {
  using Element = std::int16_t;
  static constexpr std::int32_t offset = 0;
  static constexpr std::size_t tile_rows = 8;  // as in avx512_vnni.cpp

  static Sum dot(Sum sum, Operand activation, Operand weight) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(activation, weight));
    forget(sum);  // else GCC regroups the sums of 16 steps, and has no registers left for them
    return sum;
  }
  static void store(Element* to, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(rounded(x)));
  }
  static __m512i words(const Vec (&x)[2]) {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, rounded(x[0]), _mm512_slli_epi32(rounded(x[1]), 16));
  }

  static Operand small_operand() { return _mm512_set1_epi32(0x00010001); }
};

}  // namespace

extern const Products avx512_bw_int8_products = int8_row<Avx512Bw>("avx512", "bw");

}  // namespace gmixer
