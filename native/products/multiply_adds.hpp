// Dots on registers alone, in the shape of the register tile. This is what a product would cost if its
// operands took no time to fetch.
#pragma once

#include <cstddef>

namespace gmixer {

// Makes the compiler treat v as changed. Without a fused multiply-add, it would otherwise compute each product once.
template <class Vec>
[[gnu::always_inline]] inline void forget(Vec& v) {
#if defined(__x86_64__)
  asm volatile("" : "+x"(v));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(v));
#else
  asm volatile("" : "+m"(v));
#endif
}

// steps · tile_rows · panel_columns · group of them, in as many independent sums as the tile has. For up to 2^16 steps,
// floats stay between 1 and 100 and integers below 2^31. Returns a sum of all, so the compiler can leave none out.
template <class A>
float multiply_adds(std::size_t steps) {
  typename A::Sum sums[A::tile_rows][2];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < A::tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) sums[r][v] = A::first_sum(1 + r + v);
  auto a = A::small_operand(), b0 = a, b1 = a;
  forget(b0);
  forget(b1);
  for (std::size_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < A::tile_rows; ++r) {
      forget(a);  // as if it belonged to another row
      sums[r][0] = A::dot(sums[r][0], a, b0);
      sums[r][1] = A::dot(sums[r][1], a, b1);
    }
  }
  float total = 0;
#pragma GCC unroll 16
  for (std::size_t r = 0; r < A::tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) total += A::Isa::sum(A::to_floats(sums[r][v]));
  return total;
}

}  // namespace gmixer
