// Where each place of a resized axis takes its values from, and their weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "resize.hpp"

namespace gmixer {

// Weights have 22 bits of fraction, as Pillow's. Each is kept as high · 2^12 + low, of 16 bits each, for a processor's
// product of pairs of those; sums of highs and lows put together again are the sum of the whole weights, modulo 2^32.
constexpr int kWeightBits = 22;
constexpr int kLowBits = 12;

// Two taps, of neighbouring source places: the highs of both, then the lows of both.
struct TapPair {
  std::int16_t high[2], low[2];
};

// Where one place of the result takes its values from.
struct TapPlace {
  std::size_t first_pair;  // of source places, counted from Taps::begin
  std::size_t pairs;
  std::size_t weights;  // index of its first TapPair
};

// What a pass needs of them, without the standard library, which the kernels do not use.
struct TapsView {
  const TapPlace* places;
  std::size_t count;  // of places
  const TapPair* weights;
  std::size_t span;  // source places
};

// Bytes that a pass along rows works in: a column of `lanes` bytes for every byte of a row, before and after, one pixel
// more before and kTurn - 1 more after.
constexpr std::size_t resize_width_scratch(std::size_t lanes, std::size_t channels, const TapsView& taps) {
  return lanes * ((taps.span + 1 + taps.count) * channels + 7);
}

struct Taps {
  Taps(ResizeAxis axis, Filter filter);
  TapsView view() const { return {places.data(), places.size(), weights.data(), end - begin}; }

  std::size_t begin = 0, end = 0;  // the source places that the window needs
  bool identity = false;           // Pillow leaves this axis out: begin and end are the window's own
  std::vector<TapPlace> places;
  std::vector<TapPair> weights;
};

}  // namespace gmixer
