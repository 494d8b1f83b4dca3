// The slow clear version of the vector rows: signed bytes, four to a lane, no offset.
#include "../isa/scalar.hpp"


#include "row.hpp"

namespace gmixer {
namespace {

struct ScalarBytes : Scalar {
  using Isa = Scalar;
  using Element = std::int8_t;
  using Sum = std::int32_t;
  using Magnitudes = std::int32_t;
  struct Operand {
    std::int8_t at[4];
  };
  static constexpr bool integer = true;
  static constexpr std::int32_t offset = 0;

  static Operand load_operand(const std::byte* p) { return *reinterpret_cast<const Operand*>(p); }
  static Operand broadcast(const std::byte* p) { return load_operand(p); }
  static Sum set1_sum(std::int32_t x) { return x; }
  static Sum load_sum(const std::int32_t* p) { return *p; }
  static Sum dot(Sum sum, Operand activation, Operand weight) {
    for (std::size_t i = 0; i < 4; ++i) sum += activation.at[i] * weight.at[i];
    return sum;
  }
  static Vec to_floats(Sum sum) { return static_cast<float>(sum); }
  static Vec silu(Vec x) { return quick_silu<Scalar>(x); }

  static Magnitudes larger(Magnitudes m, Vec x) {
    const std::int32_t bits = __builtin_bit_cast(std::int32_t, x) & 0x7fffffff;
    return bits > m ? bits : m;
  }
  static Vec magnitudes(Magnitudes m) { return __builtin_bit_cast(float, m); }
  static float largest(Magnitudes m) { return magnitudes(m); }

  // To nearest even. NaN, which no integer stands for, becomes 0: the scale tells of it.
  static Element rounded(Vec x) { return x == x ? static_cast<Element>(std::nearbyint(x)) : Element{0}; }
  static void store(Element* to, Vec x) { *to = rounded(x); }
  static Operand words(const Vec (&x)[4]) { return {{rounded(x[0]), rounded(x[1]), rounded(x[2]), rounded(x[3])}}; }
  static void store_words(std::byte* to, Operand words) { *reinterpret_cast<Operand*>(to) = words; }

  static Sum first_sum(int x) { return x; }
  static Operand small_operand() { return {{1, 1, 1, 1}}; }
};

}  // namespace

extern const Products scalar_int8_products = int8_row<ScalarBytes>("scalar", "");

}  // namespace gmixer
