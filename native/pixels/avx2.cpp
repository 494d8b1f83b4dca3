#include "row.hpp"

namespace gmixer {

extern const PixelKernels avx2_pixels = pixel_row("avx2");

}  // namespace gmixer
