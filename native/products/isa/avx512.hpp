// Vectors of floats for the rows of avx512. The namespace has no name, so each file that includes this one compiles a
// copy of its own, with its own flags.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace gmixer {
namespace {

struct Avx512 {
  using Vec = __m512;
  static constexpr std::size_t lanes = 16;
  static constexpr std::size_t tile_rows = 14;  // 28 sums + 2 weights + 1 broadcast of 32 registers; 196 = 14 · 14

  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
  static Vec set1(float x) { return _mm512_set1_ps(x); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
  static Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  static Vec round(Vec x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static Vec times_pow2(Vec x, Vec n) { return _mm512_scalef_ps(x, n); }
  static Vec select_below(Vec a, Vec b, Vec below, Vec otherwise) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, below);
  }
  static Vec reciprocal(Vec x) { return _mm512_rcp14_ps(x); }  // exact to 2^-14
  static float sum(Vec v) { return _mm512_reduce_add_ps(v); }
};

}  // namespace
}  // namespace gmixer
