// Fused multiply-adds on registers alone, in the shape of the register tile. This is what a product would cost if its
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

// steps · tile_rows · panel_columns of them, in as many independent sums as the tile has. Every value stays between 1
// and 100 for up to 2^16 steps. Returns the sum of all, so the compiler can leave none out.
template <class I>
float multiply_adds(std::size_t steps) {
  using Vec = typename I::Vec;
  Vec sums[I::tile_rows][2];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < I::tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) sums[r][v] = I::set1(static_cast<float>(1 + r + v));
  Vec a = I::set1(0x1p-10f), b0 = I::set1(0.5f), b1 = I::set1(0.75f);
  forget(b0);
  forget(b1);
  for (std::size_t step = 0; step < steps; ++step) {
#pragma GCC unroll 16
    for (std::size_t r = 0; r < I::tile_rows; ++r) {
      forget(a);  // as if it belonged to another row
      sums[r][0] = I::fma(a, b0, sums[r][0]);
      sums[r][1] = I::fma(a, b1, sums[r][1]);
    }
  }
  float total = 0;
#pragma GCC unroll 16
  for (std::size_t r = 0; r < I::tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) total += I::sum(sums[r][v]);
  return total;
}

}  // namespace gmixer
