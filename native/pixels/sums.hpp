// Weighted sums of bytes, for several lanes at once. Both passes are made of them. Sums are exact integers, so every
// ISA gives the same bytes.
//
// The flags of the file choose the width. I is a private type of that file: it keeps the linker from merging the copies
// of different files.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "taps.hpp"

namespace gmixer {

#if defined(__AVX2__)

template <class I>
class Sums {
 public:
  static constexpr std::size_t lanes = 16;

  // Lane i has two source places: a[i] and b[i].
  void add(const std::uint8_t a[lanes], const std::uint8_t b[lanes], const TapPair& taps) {
    const __m128i a_bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    const __m128i b_bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    const __m256i words[2] = {_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a_bytes, b_bytes)),
                              _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a_bytes, b_bytes))};
    const __m256i high = both(taps.high), low = both(taps.low);
    for (int half = 0; half < 2; ++half) {
      high_[half] = _mm256_add_epi32(high_[half], _mm256_madd_epi16(words[half], high));
      low_[half] = _mm256_add_epi32(low_[half], _mm256_madd_epi16(words[half], low));
    }
  }
  void store(std::uint8_t bytes[lanes]) const {
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(whole(0), whole(1)), 0b11'01'10'00);
    const __m128i packed = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), packed);
  }

 private:
  static __m256i both(const std::int16_t weights[2]) {
    std::int32_t pair;
    __builtin_memcpy(&pair, weights, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  __m256i whole(int half) const {
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high_[half], kLowBits), low_[half]);
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << (kWeightBits - 1))), kWeightBits);
  }

  __m256i high_[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  __m256i low_[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
};

#elif defined(__SSE2__)

template <class I>
class Sums {
 public:
  static constexpr std::size_t lanes = 8;

  void add(const std::uint8_t a[lanes], const std::uint8_t b[lanes], const TapPair& taps) {
    const __m128i pairs = _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a)),
                                            _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b)));
    const __m128i weights = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&taps));
    const __m128i high = _mm_shuffle_epi32(weights, 0x00), low = _mm_shuffle_epi32(weights, 0x55);
    const __m128i zero = _mm_setzero_si128();
    const __m128i words[2] = {_mm_unpacklo_epi8(pairs, zero), _mm_unpackhi_epi8(pairs, zero)};
    for (int half = 0; half < 2; ++half) {
      high_[half] = _mm_add_epi32(high_[half], _mm_madd_epi16(words[half], high));
      low_[half] = _mm_add_epi32(low_[half], _mm_madd_epi16(words[half], low));
    }
  }
  void store(std::uint8_t bytes[lanes]) const {
    const __m128i words = _mm_packs_epi32(whole(0), whole(1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(words, words));
  }

 private:
  __m128i whole(int half) const {
    const __m128i sum = _mm_add_epi32(_mm_slli_epi32(high_[half], kLowBits), low_[half]);
    return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (kWeightBits - 1))), kWeightBits);
  }

  __m128i high_[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
  __m128i low_[2] = {_mm_setzero_si128(), _mm_setzero_si128()};
};

#else

template <class I>
class Sums {
 public:
  static constexpr std::size_t lanes = 8;

  void add(const std::uint8_t a[lanes], const std::uint8_t b[lanes], const TapPair& taps) {
    const std::uint32_t first = weight(taps, 0), second = weight(taps, 1);
    for (std::size_t i = 0; i < lanes; ++i) sums_[i] += a[i] * first + b[i] * second;
  }
  void store(std::uint8_t bytes[lanes]) const {
    for (std::size_t i = 0; i < lanes; ++i) {
      const std::int32_t value = static_cast<std::int32_t>(sums_[i] + (1u << (kWeightBits - 1))) >> kWeightBits;
      bytes[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }

 private:
  static std::uint32_t weight(const TapPair& taps, int i) {  // negative weights wrap, and so do their sums
    return (static_cast<std::uint32_t>(taps.high[i]) << kLowBits) + static_cast<std::uint32_t>(taps.low[i]);
  }

  std::uint32_t sums_[lanes] = {};
};

#endif

}  // namespace gmixer
