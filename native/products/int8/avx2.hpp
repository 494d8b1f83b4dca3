// Integers in vectors of 256 bits, for the int8 rows of avx2. Each file that includes this one compiles a copy.
#pragma once

#include "../isa/avx2.hpp"

#include "row.hpp"

namespace gmixer {
namespace {

struct Avx2Integers : Avx2 {
  using Isa = Avx2;
  using Operand = __m256i;
  using Sum = __m256i;
  using Magnitudes = __m256i;
  static constexpr bool integer = true;

  static Operand load_operand(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static Operand broadcast(const std::byte* p) { return _mm256_set1_epi32(*reinterpret_cast<const int*>(p)); }
  static Sum set1_sum(std::int32_t x) { return _mm256_set1_epi32(x); }
  static Sum load_sum(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static Vec to_floats(Sum sum) { return _mm256_cvtepi32_ps(sum); }
  static Vec silu(Vec x) { return quick_silu<Avx2>(x); }

  static Magnitudes larger(Magnitudes m, Vec x) {
    return _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff)));
  }
  static Vec magnitudes(Magnitudes m) { return _mm256_castsi256_ps(m); }
  static float largest(Magnitudes m) {
    const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    const __m128i two = _mm_max_epi32(four, _mm_unpackhi_epi64(four, four));
    return __builtin_bit_cast(float, _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 1))));
  }

  static __m256i rounded(Vec x) { return _mm256_cvtps_epi32(x); }  // to nearest even
  // The lower 16 bits of the eight lanes, side by side. Integers that fit in 16 bits only.
  static __m128i halves(__m256i x) {
    return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  }
  static void store_words(std::byte* to, __m256i words) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words);
  }

  static Sum first_sum(int x) { return _mm256_set1_epi32(x); }
  static Operand small_operand() { return _mm256_set1_epi32(0x01010101); }
};

}  // namespace
}  // namespace gmixer
