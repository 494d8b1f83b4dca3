// LayerNorm over the channels of a row. norm_to_… write floats straight into the layout that the reader wants.
#pragma once

#include <cstddef>

#include "layout.hpp"

namespace gmixer {

// The sum of term(c) over all channels. term(c) is a vector of channels c … c + lanes - 1. Four independent chains hide
// the latency of an addition.
template <class I, class Term>
[[gnu::always_inline]] inline float sum_over_channels(std::size_t channels, const Term& term) {
  using Vec = typename I::Vec;
  constexpr std::size_t chains = 4;
  Vec sums[chains];
  for (Vec& sum : sums) sum = I::set1(0.0f);
  std::size_t c = 0;
  for (; c + chains * I::lanes <= channels; c += chains * I::lanes)
    for (std::size_t i = 0; i < chains; ++i) sums[i] = sums[i] + term(c + i * I::lanes);
  for (; c < channels; c += I::lanes) sums[0] = sums[0] + term(c);
  return I::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// A row to be normalised: at(c) is a vector of channels c … c + lanes - 1.
template <class I>
struct NormRow {
  const float *x, *gamma, *beta;
  typename I::Vec mean, scale;

  [[gnu::always_inline]] typename I::Vec at(std::size_t c) const {
    return I::fma((I::load(x + c) - mean) * scale, I::load(gamma + c), I::load(beta + c));
  }
};

template <class I>
[[gnu::always_inline]] inline NormRow<I> measure_row(const float* x, std::size_t channels, const float* gamma,
                                                     const float* beta) {
  using Vec = typename I::Vec;
  const float count = static_cast<float>(channels);
  const Vec mean = I::set1(sum_over_channels<I>(channels, [&](std::size_t c) { return I::load(x + c); }) / count);
  // Two passes: x² - mean² would cancel.
  const float variance = sum_over_channels<I>(channels, [&](std::size_t c) {
    const Vec d = I::load(x + c) - mean;
    return d * d;
  }) / count;
  // Squares of values above 1.8e19 overflow. The difference is then NaN, so that such a row never passes for zeros.
  const float overflow = variance - variance;
  const Vec scale = I::set1(1.0f / __builtin_sqrtf(variance + 1e-6f + overflow));  // timm mlp_mixer.py: eps=1e-6
  return {x, gamma, beta, mean, scale};
}

// to(c) is where the normalised channels c … c + lanes - 1 go.
template <class I, class To>
[[gnu::always_inline]] inline void norm_row(const float* x, std::size_t channels, const float* gamma,
                                            const float* beta, const To& to) {
  const NormRow<I> row = measure_row<I>(x, channels, gamma, beta);
  for (std::size_t c = 0; c < channels; c += I::lanes) I::store(to(c), row.at(c));
}

template <class I>
void norm_to_tiles(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                   std::byte* tiles) {
  using L = Layout<float>;
  for (std::size_t r = 0; r < rows; ++r) {
    float* tile = reinterpret_cast<float*>(tiles) + r / I::tile_rows * L::tile_elements(I::tile_rows, channels);
    norm_row<I>(x + r * channels, channels, gamma, beta,
                [&](std::size_t c) { return tile + L::tile_offset(I::tile_rows, r % I::tile_rows, c); });
  }
}

// Rows are patches of consecutive images. `patch` is the place of the first row in its image. panels: start with that
// image, [image][channels / P][patches][P].
template <class I>
void norm_to_panels(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                    std::byte* panels, std::size_t patch, std::size_t patches) {
  constexpr std::size_t P = 2 * I::lanes;
  float* to = reinterpret_cast<float*>(panels);
  for (std::size_t r = 0; r < rows; ++r, ++patch) {
    if (patch == patches) {
      patch = 0;
      to += ceil_div(channels, P) * patches * P;
    }
    norm_row<I>(x + r * channels, channels, gamma, beta,
                [&](std::size_t c) { return to + (c / P * patches + patch) * P + c % P; });
  }
}

template <class I>
void norm_to_rows(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                  float* y) {
  for (std::size_t r = 0; r < rows; ++r)
    norm_row<I>(x + r * channels, channels, gamma, beta, [&](std::size_t c) { return y + r * channels + c; });
}

}  // namespace gmixer
