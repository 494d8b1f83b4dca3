// One float at a time, without fused multiply-add. Runs anywhere, and is the slow clear version of the vector rows.
// The namespace has no name, so each file that includes this one compiles a copy of its own.
#pragma once

#include <cmath>
#include <cstddef>

namespace gmixer {
namespace {

struct Scalar {
  using Vec = float;
  static constexpr std::size_t lanes = 1;
  static constexpr std::size_t tile_rows = 4;  // 8 sums + 2 weights + 1 broadcast of 16 registers

  static Vec load(const float* p) { return *p; }
  static void store(float* p, Vec v) { *p = v; }
  static Vec set1(float x) { return x; }
  static Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
  static Vec min(Vec a, Vec b) { return a < b ? a : b; }
  static Vec max(Vec a, Vec b) { return a > b ? a : b; }
  static Vec round(Vec x) { return std::nearbyint(x); }
  static Vec times_pow2(Vec x, Vec n) { return std::ldexp(x, static_cast<int>(n)); }
  static Vec select_below(Vec a, Vec b, Vec below, Vec otherwise) { return a < b ? below : otherwise; }
  static Vec reciprocal(Vec x) { return 1.0f / x; }
  static float sum(Vec v) { return v; }
};

}  // namespace
}  // namespace gmixer
