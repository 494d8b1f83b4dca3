// Weighted sums of bytes for eight lanes at once: what both passes are made of.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "taps.hpp"

namespace gmixer {

constexpr std::size_t kLanes = 8;

#if defined(__SSE2__)  // every x86-64 has it: no row of the kernel table is needed

class Sums {
 public:
  // Lane i of `a` and of `b` are its two places.
  void add(const std::uint8_t a[kLanes], const std::uint8_t b[kLanes], const TapPair& taps) {
    add(_mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a)),
                          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b))),
        taps);
  }
  void store(std::uint8_t bytes[kLanes]) const {
    const __m128i words = _mm_packs_epi32(whole(0), whole(1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(words, words));
  }

 private:
  void add(__m128i pairs, const TapPair& taps) {
    const __m128i weights = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&taps));
    const __m128i high = _mm_shuffle_epi32(weights, 0x00), low = _mm_shuffle_epi32(weights, 0x55);
    const __m128i zero = _mm_setzero_si128();
    const __m128i words[2] = {_mm_unpacklo_epi8(pairs, zero), _mm_unpackhi_epi8(pairs, zero)};
    for (int half = 0; half < 2; ++half) {
      high_[half] = _mm_add_epi32(high_[half], _mm_madd_epi16(words[half], high));
      low_[half] = _mm_add_epi32(low_[half], _mm_madd_epi16(words[half], low));
    }
  }
  __m128i whole(int half) const {
    const __m128i sum = _mm_add_epi32(_mm_slli_epi32(high_[half], kLowBits), low_[half]);
    return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (kWeightBits - 1))), kWeightBits);
  }

  __m128i high_[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
  __m128i low_[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
};

#else

class Sums {
 public:
  void add(const std::uint8_t a[kLanes], const std::uint8_t b[kLanes], const TapPair& taps) {
    const std::uint32_t first = weight(taps, 0), second = weight(taps, 1);
    for (std::size_t i = 0; i < kLanes; ++i) sums_[i] += a[i] * first + b[i] * second;
  }
  void store(std::uint8_t bytes[kLanes]) const {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::int32_t value = static_cast<std::int32_t>(sums_[i] + (1u << (kWeightBits - 1))) >> kWeightBits;
      bytes[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }

 private:
  static std::uint32_t weight(const TapPair& taps, int i) {  // negative ones wrap, and so do their sums
    return (static_cast<std::uint32_t>(taps.high[i]) << kLowBits) + static_cast<std::uint32_t>(taps.low[i]);
  }

  std::uint32_t sums_[kLanes] = {};
};

#endif

}  // namespace gmixer
