// VNNI in vectors of 256 bits. CPUs have it in one of two encodings, VEX (AVX-VNNI) or EVEX (AVX512-VNNI with VL), so
// the same struct is compiled twice.
#pragma once

#include "avx2.hpp"

namespace gmixer {
namespace {

struct Avx2Vnni : Avx2Integers {
  using Element = std::int8_t;
  static constexpr std::int32_t offset = 128;

  static Sum dot(Sum sum, Operand activation, Operand weight) {
#ifdef __AVXVNNI__
    return _mm256_dpbusd_avx_epi32(sum, activation, weight);
#else
    return _mm256_dpbusd_epi32(sum, activation, weight);
#endif
  }
  static __m256i offset_bytes(Vec x) { return _mm256_add_epi32(rounded(x), _mm256_set1_epi32(offset)); }
  static void store(Element* to, Vec x) {
    const __m128i both = halves(offset_bytes(x));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(both, both));
  }
  static __m256i words(const Vec (&x)[4]) {
    const __m256i low = _mm256_or_si256(offset_bytes(x[0]), _mm256_slli_epi32(offset_bytes(x[1]), 8));
    const __m256i high = _mm256_or_si256(offset_bytes(x[2]), _mm256_slli_epi32(offset_bytes(x[3]), 8));
    return _mm256_or_si256(low, _mm256_slli_epi32(high, 16));
  }
};

}  // namespace
}  // namespace gmixer
