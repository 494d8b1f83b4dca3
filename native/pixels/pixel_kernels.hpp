// The table of pixel kernels: the two passes of a resize for one ISA, as one struct of function pointers. Every row
// gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

struct TapsView;

// Rows of bytes, `stride` apart.
template <class Byte>
struct ByteRows {
  Byte* data;
  std::size_t stride;

  Byte* operator[](std::size_t row) const { return data + row * stride; }
};

struct PixelKernels {
  const char* isa;
  std::size_t lanes;  // bytes that a pass computes at once

  // Down columns. `from` has taps.span rows of `bytes`, `to` has taps.count.
  void (*resize_height)(ByteRows<const std::uint8_t> from, std::size_t bytes, const TapsView& taps,
                        ByteRows<std::uint8_t> to);
  // Along rows. `from` has `rows` rows of taps.span pixels, `to` has rows of taps.count pixels.
  // scratch: resize_width_scratch(lanes, …) bytes (taps.hpp).
  void (*resize_width)(ByteRows<const std::uint8_t> from, std::size_t rows, std::size_t channels, const TapsView& taps,
                       std::uint8_t* scratch, ByteRows<std::uint8_t> to);
};

}  // namespace gmixer
