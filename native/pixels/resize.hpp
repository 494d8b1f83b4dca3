// Pillow's resize (its Resample.c, 8 bits a channel) bit for bit, of a window of the result only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

struct Kernels;

enum class Filter { bilinear, bicubic };

// One axis: `in` pixels become `out`, of which the window shows [begin, end).
struct ResizeAxis {
  std::size_t in, out, begin, end;
};

// pixels [vertical.in][horizontal.in][channels] → window [end - begin][end - begin][channels].
//
// Each pass rounds to bytes, so their order shows: vertical_first says which. Of the source only what the window needs
// is read. Memory: what lies between the passes, a byte for each of the rows (columns) that the window needs times its
// width (height) and the channels.
void resize_window(const Kernels& kernels, const std::uint8_t* pixels, ResizeAxis vertical, ResizeAxis horizontal,
                   std::size_t channels, Filter filter, bool vertical_first, std::uint8_t* window);

// pixels [count][channels] → planes [channels][count], each byte by the table [channels][256].
void look_up(const std::uint8_t* pixels, std::size_t count, std::size_t channels, const float* table, float* planes);

}  // namespace gmixer
