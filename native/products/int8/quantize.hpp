// Weights in int8: symmetric in [-127, 127], one scale for each row of W (each output channel). w = integer · scale.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

// Quantises one row and returns its scale, largest magnitude / 127. Rounds to nearest even. A row of nothing but
// magnitudes below 1e-30 becomes zeros of scale 0. The values must be finite.
float quantize_row(const float* row, std::size_t depth, std::int8_t* quantized);

}  // namespace gmixer
