// Patches of images as tiles of floats. The stem's convolution has a stride of patch_px, so it is one product of them.
#pragma once

#include <cstddef>
#include <cstring>

#include "layout.hpp"

namespace gmixer {

struct PatchGrid {
  std::size_t in_chans, image_px, patch_px;

  std::size_t per_side() const { return image_px / patch_px; }
  std::size_t patches() const { return per_side() * per_side(); }
  std::size_t patch_floats() const { return in_chans * patch_px * patch_px; }  // K, in the order (channel, y, x)
  std::size_t image_floats() const { return in_chans * image_px * image_px; }
};

// images: NCHW. Takes patches [first, first + count), counted row by row through all images.
inline void patches_to_tiles(const PatchGrid& grid, const float* images, std::size_t first, std::size_t count,
                             std::size_t tile_rows, std::byte* tiles) {
  using L = Layout<float>;
  const std::size_t side = grid.per_side(), px = grid.patch_px;
  for (std::size_t row = 0; row < count; ++row) {
    const std::size_t patch = (first + row) % grid.patches();
    const float* image = images + (first + row) / grid.patches() * grid.image_floats();
    const float* corner = image + (patch / side * grid.image_px + patch % side) * px;
    float* tile = reinterpret_cast<float*>(tiles) + row / tile_rows * L::tile_elements(tile_rows, grid.patch_floats());
    std::size_t k = 0;
    for (std::size_t c = 0; c < grid.in_chans; ++c)
      for (std::size_t y = 0; y < px; ++y) {
        const float* line = corner + (c * grid.image_px + y) * grid.image_px;
        for (std::size_t x = 0; x < px;) {
          const std::size_t space = L::run - k % L::run, left = px - x, run = left < space ? left : space;
          std::memcpy(tile + L::tile_offset(tile_rows, row % tile_rows, k), line + x, run * sizeof(float));
          x += run;
          k += run;
        }
      }
  }
}

}  // namespace gmixer
