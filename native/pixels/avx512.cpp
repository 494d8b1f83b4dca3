#include "row.hpp"

namespace gmixer {

extern const PixelKernels avx512_pixels = pixel_row("avx512");

}  // namespace gmixer
