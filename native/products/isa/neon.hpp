// Vectors of floats for the rows of neon. The namespace has no name, so each file that includes this one compiles a
// copy of its own, with its own flags.
#pragma once

#include <arm_neon.h>

#include <cstddef>

namespace gmixer {
namespace {

struct Neon {
  using Vec = float32x4_t;
  static constexpr std::size_t lanes = 4;
  static constexpr std::size_t tile_rows = 12;  // 24 sums + 2 weights + 1 broadcast of 32 registers

  static Vec load(const float* p) { return vld1q_f32(p); }
  static void store(float* p, Vec v) { vst1q_f32(p, v); }
  static Vec set1(float x) { return vdupq_n_f32(x); }
  static Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
  static Vec min(Vec a, Vec b) { return vminq_f32(a, b); }
  static Vec max(Vec a, Vec b) { return vmaxq_f32(a, b); }
  static Vec round(Vec x) { return vrndnq_f32(x); }
  static Vec times_pow2(Vec x, Vec n) {  // n + 127 in the exponent bits is 2^n, for -127 < n < 128
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return x * vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }
  static Vec select_below(Vec a, Vec b, Vec below, Vec otherwise) {
    return vbslq_f32(vcltq_f32(a, b), below, otherwise);
  }
  static Vec reciprocal(Vec x) {  // exact to 2^-15: one step of Newton's method doubles the bits of the estimate
    const Vec estimate = vrecpeq_f32(x);
    return estimate * vrecpsq_f32(x, estimate);
  }
  static float sum(Vec v) { return vaddvq_f32(v); }
};

}  // namespace
}  // namespace gmixer
