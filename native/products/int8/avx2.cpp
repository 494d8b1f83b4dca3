// Products of 16 bits, two to a lane. Products of bytes (vpmaddubsw) need two more instructions a step for the signs and
// one to widen their sums, and are slower (native/README.md).
#include "../forget.hpp"
#include "avx2.hpp"

namespace gmixer {
namespace {

struct Avx2Words : Avx2Integers {
  using Element = std::int16_t;
  static constexpr std::int32_t offset = 0;

  static Sum dot(Sum sum, Operand activation, Operand weight) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(activation, weight));
    forget(sum);  // else GCC regroups the sums of 16 steps, and has no registers left for them
    return sum;
  }
  static void store(Element* to, Vec x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), halves(rounded(x)));
  }
  static __m256i words(const Vec (&x)[2]) {
    return _mm256_blend_epi16(rounded(x[0]), _mm256_slli_epi32(rounded(x[1]), 16), 0xaa);
  }

  static Operand small_operand() { return _mm256_set1_epi32(0x00010001); }
};

}  // namespace

extern const Products avx2_int8_products = int8_row<Avx2Words>("avx2", "");

}  // namespace gmixer
