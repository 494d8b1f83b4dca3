// Makes the fp32 row of an ISA. Included by each fp32/<isa>.cpp. The struct I lives there in an unnamed namespace, so
// every instantiation stays private to the file that was compiled with its flags.
#pragma once

#include "../layernorm.hpp"
#include "../mean.hpp"
#include "../multiply_adds.hpp"
#include "../products.hpp"
#include "tile.hpp"

namespace gmixer {

template <class I>
std::size_t tile_bytes(std::size_t depth) {
  return Layout<float>::tile_elements(I::tile_rows, depth) * sizeof(float);
}

template <class I>
std::size_t panel_bytes(std::size_t depth) {
  return Layout<float>::panel_elements(2 * I::lanes, depth) * sizeof(float);
}

template <class I>
std::size_t hidden_tile_bytes(std::size_t, std::size_t outputs) {
  return tile_bytes<I>(outputs);
}

template <class I>
std::size_t hidden_panel_bytes(std::size_t, std::size_t outputs) {
  return panel_bytes<I>(round_up(outputs, I::tile_rows));  // fc1 writes whole tiles
}

template <class I>
std::size_t weight_bytes(Form form, std::size_t depth) {
  return form == Form::panels ? panel_bytes<I>(depth) : tile_bytes<I>(depth);
}

template <class I>
constexpr Products fp32_row(const char* isa) {
  static_assert(I::tile_rows % 2 == 0, "a gated tile holds as many gates as values");
  static_assert(Layout<float>::run % I::lanes == 0, "a vector must not cross a run");
  static_assert(kChannelMultiple % I::lanes == 0, "channels are read in whole vectors");
  return {
      .isa = isa,
      .precision = "fp32",
      .tile_rows = I::tile_rows,
      .panel_columns = 2 * I::lanes,
      .run = Layout<float>::run,
      .tile_bytes = tile_bytes<I>,
      .panel_bytes = panel_bytes<I>,
      .hidden_tile_bytes = hidden_tile_bytes<I>,
      .hidden_panel_bytes = hidden_panel_bytes<I>,
      .weight_bytes = weight_bytes<I>,
      .pack_weight = pack_elements<float>,
      .rows_swiglu = rows_swiglu<I>,
      .rows_gelu = rows_gelu<I>,
      .rows_add = rows_to_matrix<I, true>,
      .columns_swiglu = columns_swiglu<I>,
      .columns_gelu = columns_gelu<I>,
      .columns_add = columns_add<I>,
      .norm_to_tiles = norm_to_tiles<I>,
      .norm_to_panels = norm_to_panels<I>,
      .rows_store = rows_to_matrix<I, false>,
      .norm_to_rows = norm_to_rows<I>,
      .mean_rows = mean_rows<I>,
      .multiply_adds = multiply_adds<I>,
  };
}

}  // namespace gmixer
