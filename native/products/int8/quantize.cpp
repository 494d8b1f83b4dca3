#include "quantize.hpp"

#include <algorithm>
#include <cmath>

namespace gmixer {

float quantize_row(const float* row, std::size_t depth, std::int8_t* quantized) {
  float largest = 0;
  for (std::size_t k = 0; k < depth; ++k) largest = std::max(largest, std::fabs(row[k]));
  if (largest < 1e-30f) {
    std::fill_n(quantized, depth, std::int8_t{0});
    return 0;
  }
  const float factor = 127.0f / largest;
  // Adding 1.5 · 2^23 leaves no bit for a fraction, so the sum is rounded to nearest even. Compilers make vectors of it.
  constexpr float round = 12582912.0f;
  for (std::size_t k = 0; k < depth; ++k)
    quantized[k] = static_cast<std::int8_t>(static_cast<std::int32_t>(row[k] * factor + round - round));
  return largest * (1.0f / 127.0f);
}

}  // namespace gmixer
