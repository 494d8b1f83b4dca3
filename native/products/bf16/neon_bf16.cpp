#include "../isa/neon.hpp"

#include "row.hpp"

namespace gmixer {
namespace {

struct NeonBf16 : Neon {
  using Isa = Neon;
  using Element = Bf16;
  using Operand = bfloat16x8_t;
  using Sum = Vec;
  static constexpr bool integer = false;

  static Operand load_operand(const std::byte* p) {
    return vreinterpretq_bf16_u16(vld1q_u16(reinterpret_cast<const std::uint16_t*>(p)));
  }
  static Operand broadcast(const std::byte* p) {
    return vreinterpretq_bf16_u32(vld1q_dup_u32(reinterpret_cast<const std::uint32_t*>(p)));
  }
  static Sum dot(Sum sum, Operand activation, Operand weight) { return vbfdotq_f32(sum, activation, weight); }
  static Vec to_floats(Sum sum) { return sum; }
  static Vec silu(Vec x) { return quick_silu<Neon>(x); }

  static uint16x4_t halves(Vec x) { return vreinterpret_u16_bf16(vcvt_bf16_f32(x)); }
  static void store(Element* to, Vec x) { vst1_u16(reinterpret_cast<std::uint16_t*>(to), halves(x)); }
  static uint32x4_t words(const Vec (&x)[2]) {
    return vorrq_u32(vmovl_u16(halves(x[0])), vshll_n_u16(halves(x[1]), 16));
  }
  static void store_words(std::byte* to, uint32x4_t words) { vst1q_u32(reinterpret_cast<std::uint32_t*>(to), words); }

  static Sum first_sum(int x) { return vdupq_n_f32(static_cast<float>(x)); }
  static Operand small_operand() { return vreinterpretq_bf16_u32(vdupq_n_u32(0x3d003d00)); }  // 2^-5 twice
};

}  // namespace

extern const Products neon_bf16_products = bf16_row<NeonBf16>("neon", "bf16");

}  // namespace gmixer
