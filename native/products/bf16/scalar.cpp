// Two bfloat16 to a lane; their products are added to the sum one by one.
#include "../isa/scalar.hpp"

#include "row.hpp"

namespace gmixer {
namespace {

struct ScalarBf16 : Scalar {
  using Isa = Scalar;
  using Element = Bf16;
  struct Operand {
    Bf16 at[2];
  };
  using Sum = float;
  static constexpr bool integer = false;

  static Operand load_operand(const std::byte* p) { return *reinterpret_cast<const Operand*>(p); }
  static Operand broadcast(const std::byte* p) { return load_operand(p); }
  static Sum dot(Sum sum, Operand activation, Operand weight) {
    for (std::size_t i = 0; i < 2; ++i)
      sum += static_cast<float>(activation.at[i]) * static_cast<float>(weight.at[i]);
    return sum;
  }
  static Vec to_floats(Sum sum) { return sum; }
  static Vec silu(Vec x) { return quick_silu<Scalar>(x); }

  static void store(Element* to, Vec x) { *to = Bf16(x); }
  static Operand words(const Vec (&x)[2]) { return {{Bf16(x[0]), Bf16(x[1])}}; }
  static void store_words(std::byte* to, Operand words) { *reinterpret_cast<Operand*>(to) = words; }

  static Sum first_sum(int x) { return static_cast<float>(x); }
  static Operand small_operand() { return {{Bf16(0x1p-5f), Bf16(0x1p-5f)}}; }
};

}  // namespace

extern const Products scalar_bf16_products = bf16_row<ScalarBf16>("scalar", "");

}  // namespace gmixer
