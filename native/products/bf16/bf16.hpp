// bfloat16: the upper 16 bits of a float.
#pragma once

#include <cstdint>

namespace gmixer {

struct Bf16 {
  std::uint16_t bits = 0;

  [[gnu::always_inline]] Bf16() = default;
  // Rounds to nearest even, as the CPUs' own conversions do. NaN stays NaN.
  [[gnu::always_inline]] Bf16(float x) {
    const auto whole = __builtin_bit_cast(std::uint32_t, x);
    const bool is_nan = (whole & 0x7fffffff) > 0x7f800000;
    bits = static_cast<std::uint16_t>((is_nan ? whole | 0x400000 : whole + 0x7fff + (whole >> 16 & 1)) >> 16);
  }
  [[gnu::always_inline]] explicit operator float() const { return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16); }
};

}  // namespace gmixer
