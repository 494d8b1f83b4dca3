// Hides a value from the compiler.
#pragma once

namespace gmixer {

// Makes the compiler treat v as changed. It then neither computes a result once for all, nor regroups a sum.
template <class Vec>
[[gnu::always_inline]] inline void forget(Vec& v) {
#if defined(__x86_64__)
  asm volatile("" : "+v"(v));
#elif defined(__aarch64__)
  asm volatile("" : "+w"(v));
#else
  asm volatile("" : "+m"(v));
#endif
}

}  // namespace gmixer
