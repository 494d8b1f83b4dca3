// Products of signed bytes, four to a lane.
#include "../isa/neon.hpp"


#include "row.hpp"

namespace gmixer {
namespace {

struct NeonDotProduct : Neon {
  using Isa = Neon;
  using Element = std::int8_t;
  using Operand = int8x16_t;
  using Sum = int32x4_t;
  using Magnitudes = int32x4_t;
  static constexpr bool integer = true;
  static constexpr std::int32_t offset = 0;

  static Operand load_operand(const std::byte* p) { return vld1q_s8(reinterpret_cast<const std::int8_t*>(p)); }
  static Operand broadcast(const std::byte* p) {
    return vreinterpretq_s8_s32(vld1q_dup_s32(reinterpret_cast<const std::int32_t*>(p)));
  }
  static Sum set1_sum(std::int32_t x) { return vdupq_n_s32(x); }
  static Sum load_sum(const std::int32_t* p) { return vld1q_s32(p); }
  static Sum dot(Sum sum, Operand activation, Operand weight) { return vdotq_s32(sum, activation, weight); }
  static Vec to_floats(Sum sum) { return vcvtq_f32_s32(sum); }
  static Vec silu(Vec x) { return quick_silu<Neon>(x); }

  static Magnitudes larger(Magnitudes m, Vec x) {
    return vmaxq_s32(m, vandq_s32(vreinterpretq_s32_f32(x), vdupq_n_s32(0x7fffffff)));
  }
  static Vec magnitudes(Magnitudes m) { return vreinterpretq_f32_s32(m); }
  static float largest(Magnitudes m) { return __builtin_bit_cast(float, vmaxvq_s32(m)); }

  static int32x4_t rounded(Vec x) { return vcvtnq_s32_f32(x); }  // to nearest even
  static void store(Element* to, Vec x) {
    const int16x4_t halves = vmovn_s32(rounded(x));
    const int8x8_t bytes = vmovn_s16(vcombine_s16(halves, halves));
    vst1_lane_s32(reinterpret_cast<std::int32_t*>(to), vreinterpret_s32_s8(bytes), 0);
  }
  static int32x4_t words(const Vec (&x)[4]) {
    const int32x4_t byte = vdupq_n_s32(255);
    int32x4_t words = vandq_s32(rounded(x[0]), byte);
    words = vorrq_s32(words, vshlq_n_s32(vandq_s32(rounded(x[1]), byte), 8));
    words = vorrq_s32(words, vshlq_n_s32(vandq_s32(rounded(x[2]), byte), 16));
    return vorrq_s32(words, vshlq_n_s32(rounded(x[3]), 24));
  }
  static void store_words(std::byte* to, int32x4_t words) { vst1q_s32(reinterpret_cast<std::int32_t*>(to), words); }

  static Sum first_sum(int x) { return vdupq_n_s32(x); }
  static Operand small_operand() { return vdupq_n_s8(1); }
};

}  // namespace

extern const Products neon_dotprod_int8_products = int8_row<NeonDotProduct>("neon", "dotprod");

}  // namespace gmixer
