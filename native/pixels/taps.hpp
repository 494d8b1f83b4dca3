// Taps: the source places of each place of a resized axis, and their weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "resize.hpp"

namespace gmixer {

// Weights have 22 bits of fraction, as in Pillow. Each is stored as high · 2^12 + low, 16 bits each, because CPUs
// multiply pairs of 16-bit values. The sums of highs and of lows are joined at the end: the same result modulo 2^32.
constexpr int kWeightBits = 22;
constexpr int kLowBits = 12;

// Two taps, of neighbouring source places: the highs of both, then the lows of both.
struct TapPair {
  std::int16_t high[2], low[2];
};

// The taps of one place of the result.
struct TapPlace {
  std::size_t first_pair;  // of source places, counted from Taps::begin
  std::size_t pairs;
  std::size_t weights;  // index of its first TapPair
};

// Taps as a pass reads them, without the standard library: the kernels do not use it.
struct TapsView {
  const TapPlace* places;
  std::size_t count;  // of places
  const TapPair* weights;
  std::size_t span;  // source places
};

// Bytes of working memory of a pass along rows. A byte of a row takes a column of `lanes` bytes, in the source and in
// the result. The source has one pixel more, the result kTurn - 1 bytes more.
constexpr std::size_t resize_width_scratch(std::size_t lanes, std::size_t channels, const TapsView& taps) {
  return lanes * ((taps.span + 1 + taps.count) * channels + 7);
}

struct Taps {
  Taps(ResizeAxis axis, Filter filter);
  TapsView view() const { return {places.data(), places.size(), weights.data(), end - begin}; }

  std::size_t begin = 0, end = 0;  // the source places that the window needs
  bool identity = false;           // Pillow skips this axis: begin and end are those of the window
  std::vector<TapPlace> places;
  std::vector<TapPair> weights;
};

}  // namespace gmixer
