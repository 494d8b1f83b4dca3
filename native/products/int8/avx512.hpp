// Integers in vectors of 512 bits, for the int8 rows of avx512. Each file that includes this one compiles a copy.
#pragma once

#include "../isa/avx512_silu.hpp"

#include "row.hpp"

namespace gmixer {
namespace {

struct Avx512Integers : Avx512 {
  using Isa = Avx512;
  using Operand = __m512i;
  using Sum = __m512i;
  using Magnitudes = __m512i;
  static constexpr bool integer = true;

  static Operand load_operand(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Operand broadcast(const std::byte* p) { return _mm512_set1_epi32(*reinterpret_cast<const int*>(p)); }
  static Sum set1_sum(std::int32_t x) { return _mm512_set1_epi32(x); }
  static Sum load_sum(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static Vec to_floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
  static Vec silu(Vec x) { return avx512_quick_silu(x); }

  static Magnitudes bits(Vec x) { return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff)); }
  static Magnitudes larger(Magnitudes m, Vec x) { return _mm512_max_epi32(m, bits(x)); }
  static Vec magnitudes(Magnitudes m) { return _mm512_castsi512_ps(m); }
  static float largest(Magnitudes m) { return __builtin_bit_cast(float, _mm512_reduce_max_epi32(m)); }

  static __m512i rounded(Vec x) { return _mm512_cvtps_epi32(x); }  // to nearest even
  static void store_words(std::byte* to, __m512i words) { _mm512_storeu_si512(to, words); }

  static Sum first_sum(int x) { return _mm512_set1_epi32(x); }
  static Operand small_operand() { return _mm512_set1_epi32(0x01010101); }
};

}  // namespace
}  // namespace gmixer
