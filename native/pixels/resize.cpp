#include "resize.hpp"

#include <cstring>
#include <memory>

#include "pixel_kernels.hpp"
#include "taps.hpp"

namespace gmixer {
namespace {

using Source = ByteRows<const std::uint8_t>;
using Target = ByteRows<std::uint8_t>;

void copy(Source from, std::size_t rows, std::size_t bytes, Target to) {
  for (std::size_t y = 0; y < rows; ++y) std::memcpy(to[y], from[y], bytes);
}

std::unique_ptr<std::uint8_t[]> uninitialised(std::size_t bytes) {
  return std::unique_ptr<std::uint8_t[]>(new std::uint8_t[bytes]);
}

}  // namespace

void resize_window(const PixelKernels& kernels, const std::uint8_t* pixels, ResizeAxis vertical, ResizeAxis horizontal,
                   std::size_t channels, Filter filter, bool vertical_first, std::uint8_t* window) {
  const Taps rows(vertical, filter), columns(horizontal, filter);
  const std::size_t stride = horizontal.in * channels;
  const Source from{pixels + rows.begin * stride + columns.begin * channels, stride};
  const std::size_t rows_in = rows.end - rows.begin, bytes_in = (columns.end - columns.begin) * channels;
  const std::size_t rows_out = vertical.end - vertical.begin;
  const std::size_t bytes_out = (horizontal.end - horizontal.begin) * channels;
  const Target to{window, bytes_out};

  const auto resize_height = [&](Source source, std::size_t bytes, Target target) {
    kernels.resize_height(source, bytes, rows.view(), target);
  };
  const auto resize_width = [&](Source source, std::size_t count, Target target) {
    const std::size_t bytes = resize_width_scratch(kernels.lanes, channels, columns.view());
    const std::unique_ptr<std::uint8_t[]> scratch(new std::uint8_t[bytes]());  // zeros: padding is read
    kernels.resize_width(source, count, channels, columns.view(), scratch.get(), target);
  };
  if (rows.identity && columns.identity) {
    copy(from, rows_out, bytes_out, to);
  } else if (rows.identity) {
    resize_width(from, rows_out, to);
  } else if (columns.identity) {
    resize_height(from, bytes_out, to);
  } else if (vertical_first) {
    const auto between = uninitialised(rows_out * bytes_in);
    resize_height(from, bytes_in, {between.get(), bytes_in});
    resize_width({between.get(), bytes_in}, rows_out, to);
  } else {
    const auto between = uninitialised(rows_in * bytes_out);
    resize_width(from, rows_in, {between.get(), bytes_out});
    resize_height({between.get(), bytes_out}, bytes_out, to);
  }
}

void look_up(const std::uint8_t* __restrict pixels, std::size_t count, std::size_t channels,
             const float* __restrict table, float* __restrict planes) {
  for (std::size_t c = 0; c < channels; ++c)
#pragma GCC unroll 8
    for (std::size_t i = 0; i < count; ++i) planes[c * count + i] = table[c * 256 + pixels[i * channels + c]];
}

}  // namespace gmixer
