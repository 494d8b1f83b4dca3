// Pillow's resize of a window of the result, bit for bit (its Resample.c, 8 bits a channel).
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

struct PixelKernels;

enum class Filter { bilinear, bicubic };

// One axis: `in` pixels become `out`. The window is [begin, end) of these.
struct ResizeAxis {
  std::size_t in, out, begin, end;
};

// pixels [vertical.in][horizontal.in][channels] → window [end - begin][end - begin][channels].
//
// Each pass rounds to bytes, so the order of the passes changes the result: vertical_first chooses it. Only the part of
// the source that the window needs is read. The memory between the passes is a byte for each value: the rows that the
// window needs, times its width and the channels. With vertical_first it is the columns, times the height.
void resize_window(const PixelKernels& kernels, const std::uint8_t* pixels, ResizeAxis vertical, ResizeAxis horizontal,
                   std::size_t channels, Filter filter, bool vertical_first, std::uint8_t* window);

// pixels [count][channels] → planes [channels][count]. The table [channels][256] gives the value of each byte.
void look_up(const std::uint8_t* pixels, std::size_t count, std::size_t channels, const float* table, float* planes);

}  // namespace gmixer
