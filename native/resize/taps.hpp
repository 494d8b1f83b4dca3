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

struct Taps {
  struct Place {
    std::size_t first_pair;  // of source places, counted from `begin`
    std::size_t pairs;
    std::size_t weights;  // index of its first TapPair
  };

  Taps(ResizeAxis axis, Filter filter);

  std::size_t begin = 0, end = 0;  // the source places that the window needs
  bool identity = false;           // Pillow leaves this axis out: begin and end are the window's own
  std::vector<Place> places;
  std::vector<TapPair> weights;
};

}  // namespace gmixer
