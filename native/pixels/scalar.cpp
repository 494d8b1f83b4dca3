#include "row.hpp"

namespace gmixer {

extern const PixelKernels scalar_pixels = pixel_row("scalar");

}  // namespace gmixer
