// Products of unsigned by signed bytes, four to a lane: the activation is the unsigned one, with an offset of 128.
#include "avx512.hpp"

namespace gmixer {
namespace {

struct Avx512Vnni : Avx512Integers {
  using Element = std::int8_t;
  static constexpr std::int32_t offset = 128;
  // Fewer than registers allow: a tile takes a quarter of fp32's time, and the CPU begins the dots of the next one while
  // it finishes the values of this one. 14 rows take 1.08 times as long (native/README.md).
  static constexpr std::size_t tile_rows = 8;

  static Sum dot(Sum sum, Operand activation, Operand weight) { return _mm512_dpbusd_epi32(sum, activation, weight); }
  static __m512i offset_bytes(Vec x) { return _mm512_add_epi32(rounded(x), _mm512_set1_epi32(offset)); }
  static void store(Element* to, Vec x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(offset_bytes(x)));
  }
  static void store_run(Element* to, const Vec (&x)[4]) {
    // Packs work in each quarter of a vector, so the 4-byte pieces need an order
    const __m512i low = _mm512_packs_epi32(rounded(x[0]), rounded(x[1]));
    const __m512i high = _mm512_packs_epi32(rounded(x[2]), rounded(x[3]));
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
    _mm512_storeu_si512(to, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));  // adds the offset
  }
  static __m512i words(const Vec (&x)[4]) {
    const __m512i low = _mm512_or_si512(offset_bytes(x[0]), _mm512_slli_epi32(offset_bytes(x[1]), 8));
    const __m512i high = _mm512_or_si512(offset_bytes(x[2]), _mm512_slli_epi32(offset_bytes(x[3]), 8));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
};

}  // namespace

extern const Products avx512_vnni_int8_products = int8_row<Avx512Vnni>("avx512", "vnni");

}  // namespace gmixer
