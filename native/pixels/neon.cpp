#include "row.hpp"

namespace gmixer {

extern const PixelKernels neon_pixels = pixel_row("neon");

}  // namespace gmixer
