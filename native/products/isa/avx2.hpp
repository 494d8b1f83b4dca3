// Vectors of floats for the rows of avx2. The namespace has no name, so each file that includes this one compiles a
// copy of its own, with its own flags.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace gmixer {
namespace {

struct Avx2 {
  using Vec = __m256;
  static constexpr std::size_t lanes = 8;
  static constexpr std::size_t tile_rows = 6;  // 12 sums + 2 weights + 1 broadcast of 16 registers

  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
  static Vec set1(float x) { return _mm256_set1_ps(x); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  static Vec round(Vec x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Vec times_pow2(Vec x, Vec n) {  // n + 127 in the exponent bits is 2^n, for -127 < n < 128
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return x * _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static Vec select_below(Vec a, Vec b, Vec below, Vec otherwise) {
    return _mm256_blendv_ps(otherwise, below, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  static Vec reciprocal(Vec x) {  // exact to 2^-22: one step of Newton's method doubles the bits of the estimate
    const Vec estimate = _mm256_rcp_ps(x);
    return estimate * _mm256_fnmadd_ps(x, estimate, _mm256_set1_ps(2.0f));
  }
  static float sum(Vec v) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

}  // namespace
}  // namespace gmixer
