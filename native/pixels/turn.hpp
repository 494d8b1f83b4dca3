// Transposes blocks of bytes: rows to columns and back.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace gmixer {

constexpr std::size_t kTurn = 8;

// to[i * to_stride + j] = from[j][i] for eight rows j and eight columns i. `to` overlaps no row.
#if defined(__SSE2__)

template <class I>
[[gnu::always_inline]] inline void turn_eight(const std::uint8_t* const from[kTurn], std::uint8_t* to,
                                              std::size_t to_stride) {
  __m128i pairs[4], fours[4];
  for (int i = 0; i < 4; ++i)
    pairs[i] = _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from[2 * i])),
                                 _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from[2 * i + 1])));
  for (int i = 0; i < 2; ++i) {
    fours[i] = _mm_unpacklo_epi16(pairs[2 * i], pairs[2 * i + 1]);
    fours[i + 2] = _mm_unpackhi_epi16(pairs[2 * i], pairs[2 * i + 1]);
  }
  for (int i = 0; i < 4; ++i) {
    const __m128i two = i % 2 ? _mm_unpackhi_epi32(fours[i / 2 * 2], fours[i / 2 * 2 + 1])
                              : _mm_unpacklo_epi32(fours[i / 2 * 2], fours[i / 2 * 2 + 1]);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 2 * i * to_stride), two);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + (2 * i + 1) * to_stride), _mm_unpackhi_epi64(two, two));
  }
}

#else

template <class I>
[[gnu::always_inline]] inline void turn_eight(const std::uint8_t* const from[kTurn], std::uint8_t* to,
                                              std::size_t to_stride) {
  for (std::size_t i = 0; i < kTurn; ++i)
    for (std::size_t j = 0; j < kTurn; ++j) to[i * to_stride + j] = from[j][i];
}

#endif

}  // namespace gmixer
