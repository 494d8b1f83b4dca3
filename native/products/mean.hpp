// Mean over the rows (patches) of a matrix. Rows are summed in groups of 16: the error of one long sum grows faster.
#pragma once

#include <cstddef>

namespace gmixer {

template <class I>
void mean_rows(const float* x, std::size_t rows, std::size_t channels, float* mean) {
  using Vec = typename I::Vec;
  constexpr std::size_t group = 16;
  for (std::size_t c = 0; c < channels; c += I::lanes) {
    Vec total = I::set1(0.0f);
    for (std::size_t begin = 0; begin < rows; begin += group) {
      Vec part = I::set1(0.0f);
      for (std::size_t r = begin; r < rows && r < begin + group; ++r) part = part + I::load(x + r * channels + c);
      total = total + part;
    }
    I::store(mean + c, total / I::set1(static_cast<float>(rows)));
  }
}

}  // namespace gmixer
