// Makes the fp32 row of an ISA. Included by each fp32/<isa>.cpp. The struct I lives there in an unnamed namespace, so
// every instantiation stays private to the file that was compiled with its flags.
#pragma once

#include <limits>

#include "../layernorm.hpp"
#include "../mean.hpp"
#include "../multiply_adds.hpp"
#include "../products.hpp"
#include "../tile.hpp"

namespace gmixer {

// The arithmetic of tile.hpp: a lane is one float, a dot is one fused multiply-add.
template <class I>
struct Fp32 : I {
  using Isa = I;
  using Element = float;
  using Vec = typename I::Vec;
  using Operand = Vec;
  using Sum = Vec;
  static constexpr bool integer = false;

  static Operand load_operand(const std::byte* p) { return I::load(reinterpret_cast<const float*>(p)); }
  static Operand broadcast(const std::byte* p) { return I::set1(*reinterpret_cast<const float*>(p)); }
  static Sum dot(Sum sum, Operand activation, Operand weight) { return I::fma(activation, weight, sum); }
  static void store(Element* to, Vec x) { I::store(to, x); }
  static Vec silu(Vec x) { return gmixer::silu<I>(x); }

  static Sum first_sum(int x) { return I::set1(static_cast<float>(x)); }
  static Operand small_operand() { return I::set1(0x1p-5f); }
  static Vec to_floats(Sum sum) { return sum; }
};

template <class A>
std::size_t fp32_panel_bytes(std::size_t depth) {
  return panel_element_bytes<A>(depth);
}

template <class A>
std::size_t fp32_hidden_tile_bytes(std::size_t, std::size_t outputs) {
  return tile_bytes<A>(outputs);
}

template <class A>
std::size_t fp32_hidden_panel_bytes(std::size_t, std::size_t outputs) {
  return panel_element_bytes<A>(round_up(outputs, A::tile_rows));  // fc1 writes whole tiles
}

template <class A>
std::size_t fp32_weight_bytes(Form form, std::size_t depth) {
  return form == Form::panels ? panel_element_bytes<A>(depth) : tile_bytes<A>(depth);
}

template <class A>
void fp32_rows_to_tiles(const float* x, std::size_t rows, std::size_t depth, std::byte* tiles) {
  using L = Layout<float>;
  for (std::size_t r = 0; r < rows; ++r) {
    float* tile = reinterpret_cast<float*>(tiles + r / A::tile_rows * tile_bytes<A>(depth));
    for (std::size_t k = 0; k < depth; k += L::run) {
      const std::size_t run = depth - k < L::run ? depth - k : L::run;
      __builtin_memcpy(tile + L::tile_offset(A::tile_rows, r % A::tile_rows, k), x + r * depth + k,
                       run * sizeof(float));
    }
  }
}

template <class A>
void fp32_columns_to_panel(const float* x, std::size_t depth, std::byte* panel) {
  __builtin_memcpy(panel, x, panel_element_bytes<A>(depth));
}

template <class I>
constexpr Products fp32_row(const char* isa) {
  using A = Fp32<I>;
  static_assert(I::tile_rows % 2 == 0, "a gated tile holds as many gates as values");
  static_assert(Layout<float>::run % I::lanes == 0, "a vector must not cross a run");
  static_assert(kChannelMultiple % I::lanes == 0, "channels are read in whole vectors");
  return {
      .isa = isa,
      .precision = "fp32",
      .extension = "",
      .tile_rows = I::tile_rows,
      .panel_columns = 2 * I::lanes,
      .run = Layout<float>::run,
      .max_depth = std::numeric_limits<std::size_t>::max(),
      .tile_bytes = tile_bytes<A>,
      .panel_bytes = fp32_panel_bytes<A>,
      .hidden_tile_bytes = fp32_hidden_tile_bytes<A>,
      .hidden_panel_bytes = fp32_hidden_panel_bytes<A>,
      .weight_bytes = fp32_weight_bytes<A>,
      .pack_weight = pack_elements<float>,
      .pack_quantized = nullptr,
      .rows_to_tiles = fp32_rows_to_tiles<A>,
      .columns_to_panel = fp32_columns_to_panel<A>,
      .rows_swiglu = rows_swiglu<A>,
      .rows_gelu = rows_gelu<A>,
      .rows_add = rows_to_matrix<A, true>,
      .columns_swiglu = columns_swiglu<A>,
      .columns_gelu = columns_gelu<A>,
      .columns_add = columns_add<A>,
      .norm_to_tiles = norm_to_tiles<I>,
      .norm_to_panels = norm_to_panels<I>,
      .rows_store = rows_to_matrix<A, false>,
      .norm_to_rows = norm_to_rows<I>,
      .mean_rows = mean_rows<I>,
      .group = Layout<float>::group,
      .multiply_adds = multiply_adds<A>,
  };
}

}  // namespace gmixer
