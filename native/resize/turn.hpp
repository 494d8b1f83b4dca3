// Rows to columns and back, a block at a time.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "sums.hpp"

namespace gmixer {

// Byte i of every lane, one after the other.
struct Column {
  std::uint8_t lanes[kLanes];
};

// to[i].lanes[j] = from[j][i], for kLanes of each. `to` overlaps no row.
#if defined(__SSE2__)

inline void turn(const std::uint8_t* const from[kLanes], Column to[kLanes]) {
  static_assert(kLanes == 8);
  __m128i pairs[4], fours[4];
  for (int i = 0; i < 4; ++i)
    pairs[i] = _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from[2 * i])),
                                 _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from[2 * i + 1])));
  for (int i = 0; i < 2; ++i) {
    fours[i] = _mm_unpacklo_epi16(pairs[2 * i], pairs[2 * i + 1]);
    fours[i + 2] = _mm_unpackhi_epi16(pairs[2 * i], pairs[2 * i + 1]);
  }
  __m128i* columns = reinterpret_cast<__m128i*>(to);
  for (int i = 0; i < 2; ++i) {
    _mm_storeu_si128(columns + 2 * i, _mm_unpacklo_epi32(fours[2 * i], fours[2 * i + 1]));
    _mm_storeu_si128(columns + 2 * i + 1, _mm_unpackhi_epi32(fours[2 * i], fours[2 * i + 1]));
  }
}

#else

inline void turn(const std::uint8_t* const from[kLanes], Column to[kLanes]) {
  for (std::size_t i = 0; i < kLanes; ++i)
    for (std::size_t j = 0; j < kLanes; ++j) to[i].lanes[j] = from[j][i];
}

#endif

}  // namespace gmixer
