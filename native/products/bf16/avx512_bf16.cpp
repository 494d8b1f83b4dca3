#include "../isa/avx512_silu.hpp"

#include "row.hpp"

namespace gmixer {
namespace {

struct Avx512Bf16 : Avx512 {
  using Isa = Avx512;
  using Element = Bf16;
  static constexpr std::size_t tile_rows = 8;  // as in int8/avx512_vnni.cpp: 14 rows take 1.04 times as long
  using Operand = __m512i;
  using Sum = Vec;
  static constexpr bool integer = false;

  static Operand load_operand(const std::byte* p) { return _mm512_loadu_si512(p); }
  static Operand broadcast(const std::byte* p) { return _mm512_set1_epi32(*reinterpret_cast<const int*>(p)); }
  static Sum dot(Sum sum, Operand activation, Operand weight) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(activation), reinterpret_cast<__m512bh>(weight));
  }
  static Vec to_floats(Sum sum) { return sum; }
  static Vec silu(Vec x) { return avx512_quick_silu(x); }

  static void store(Element* to, Vec x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
  }
  static __m512i words(const Vec (&x)[2]) {
    const __m512i low = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x[0])));
    const __m512i high = _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x[1])));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
  static void store_words(std::byte* to, __m512i words) { _mm512_storeu_si512(to, words); }

  static Sum first_sum(int x) { return _mm512_set1_ps(static_cast<float>(x)); }
  static Operand small_operand() { return _mm512_set1_epi32(0x3d003d00); }  // 2^-5 twice
};

}  // namespace

extern const Products avx512_bf16_products = bf16_row<Avx512Bf16>("avx512", "bf16");

}  // namespace gmixer
