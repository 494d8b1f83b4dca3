// SiLU and exact-erf GELU on vectors of floats. No std:: maths here: these headers are compiled with flags that not
// every CPU can run. The linker keeps one copy of an inline function, and it could keep the copy of an ISA file.
#pragma once

namespace gmixer {

// e^x = 2^n · e^r with n = round(x / ln 2), |r| <= ln 2 / 2, for -87 <= x <= 88. The error is about 1 ulp for |x| < 30,
// and n times 2e-9 more beyond.
template <class I>
[[gnu::always_inline]] inline typename I::Vec exp(typename I::Vec x) {
  using Vec = typename I::Vec;
  const Vec n = I::round(x * I::set1(1.44269504f));    // 1 / ln 2
  const Vec r = I::fma(n, I::set1(-0.693147182f), x);  // ln 2; as a float it is off by 2e-9
  Vec p = I::set1(0.001381459878757596f);  // 1 + r + r²·q(r), q fitted for the smallest worst relative error: 3e-9
  p = I::fma(p, r, I::set1(0.008368716575205326f));
  p = I::fma(p, r, I::set1(0.04166838899254799f));
  p = I::fma(p, r, I::set1(0.1666652113199234f));
  p = I::fma(p, r, I::set1(0.4999999403953552f));
  p = I::fma(p, r, I::set1(1.0f));
  p = I::fma(p, r, I::set1(1.0f));
  return I::times_pow2(p, n);
}

// silu(x) = x / (1 + e^-x). Below x = -87 the true value is under 1e-36, so the clamp changes no result.
template <class I>
[[gnu::always_inline]] inline typename I::Vec silu(typename I::Vec x) {
  using Vec = typename I::Vec;
  const Vec minus_x = I::min(I::max(I::set1(0.0f) - x, I::set1(-87.0f)), I::set1(87.0f));
  return x / (I::set1(1.0f) + exp<I>(minus_x));
}

// 2^t for -126 <= t <= 127, exact to 2^-13.7.
template <class I>
[[gnu::always_inline]] inline typename I::Vec quick_exp2(typename I::Vec t) {
  using Vec = typename I::Vec;
  const Vec n = I::round(t), r = t - n;
  Vec p = I::set1(0.0551716685295105f);  // 2^r for |r| <= 1/2, fitted for the smallest worst relative error
  p = I::fma(p, r, I::set1(0.2426111400127411f));
  p = I::fma(p, r, I::set1(0.6932609677314758f));
  p = I::fma(p, r, I::set1(0.9999280571937561f));
  return I::times_pow2(p, n);
}

// silu(x) for operands of reduced precision: exact to 2^-12. Both 2^t and the reciprocal are estimates.
template <class I>
[[gnu::always_inline]] inline typename I::Vec quick_silu(typename I::Vec x) {
  using Vec = typename I::Vec;
  const Vec t = I::min(I::max(x * I::set1(-1.44269504f), I::set1(-125.0f)), I::set1(125.0f));  // e^-x = 2^t
  return x * I::reciprocal(I::set1(1.0f) + quick_exp2<I>(t));
}

// gelu(x) = x · Φ(x), Φ the normal distribution. With e = Φ(-|x|), x >= 0 gives x - x·e and x < 0 gives x·e: no
// cancellation. ln Φ(-t) is a polynomial of degree 9, fitted for the smallest worst error of t·Φ(-t) on 0 … 6. That
// error is 4e-8; PyTorch's own gelu is off by up to 1.1e-6 there. Beyond t = 6 the true |x·e| is below 6e-9.
template <class I>
[[gnu::always_inline]] inline typename I::Vec gelu(typename I::Vec x) {
  using Vec = typename I::Vec;
  const Vec zero = I::set1(0.0f);
  const Vec t = I::min(I::max(x, zero - x), I::set1(6.0f));
  Vec q = I::set1(2.1211131695508811e-07f);
  q = I::fma(q, t, I::set1(-4.553975031740265e-06f));
  q = I::fma(q, t, I::set1(3.971597470808774e-05f));
  q = I::fma(q, t, I::set1(-0.00015874661039561033f));
  q = I::fma(q, t, I::set1(-5.8363100833958015e-05f));
  q = I::fma(q, t, I::set1(0.004875557962805033f));
  q = I::fma(q, t, I::set1(-0.03638593479990959f));
  q = I::fma(q, t, I::set1(-0.3182964324951172f));
  q = I::fma(q, t, I::set1(-0.7978858947753906f));
  q = I::fma(q, t, I::set1(-0.6931471824645996f));
  const Vec e = I::select_below(t, I::set1(6.0f), exp<I>(q), zero);
  return I::select_below(x, zero, x * e, x - x * e);
}

}  // namespace gmixer
