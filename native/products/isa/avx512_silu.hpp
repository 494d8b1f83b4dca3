// SiLU for the rows of avx512 in reduced precision. The namespace has no name, so each file that includes this one
// compiles a copy of its own, with its own flags (AVX512DQ too).
#pragma once

#include "avx512.hpp"

namespace gmixer {
namespace {

// silu(x), exact to 2^-12. 2^t needs no clamps here: scalef gives 0 and infinity where the exponent ends, and then the
// reciprocal of 1 + 2^t is 1 or 0, as it should.
[[gnu::always_inline]] inline __m512 avx512_quick_silu(__m512 x) {
  const __m512 t = x * _mm512_set1_ps(-1.44269504f);  // e^-x = 2^t
  const __m512 r = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);  // t - floor(t)
  __m512 p = _mm512_set1_ps(0.07802452147f);  // 2^r for 0 <= r < 1, fitted for the smallest worst relative error: 7.5e-5
  p = Avx512::fma(p, r, _mm512_set1_ps(0.2260671556f));
  p = Avx512::fma(p, r, _mm512_set1_ps(0.6958335638f));
  p = Avx512::fma(p, r, _mm512_set1_ps(0.9999251962f));
  return x * Avx512::reciprocal(_mm512_set1_ps(1.0f) + _mm512_scalef_ps(p, t));  // scalef takes floor(t)
}

}  // namespace
}  // namespace gmixer
