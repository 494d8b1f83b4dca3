// Makes a row of the kernel table out of an instruction set I. Included by each isa/<name>.cpp, inside which I lives
// in an unnamed namespace: every instantiation stays private to the file that was compiled with its flags.
#pragma once

#include "../multiply_adds.hpp"
#include "tile.hpp"
#include "../products.hpp"
#include "../layernorm.hpp"
#include "../mean.hpp"
#include "../../pixels/passes.hpp"

namespace gmixer {

template <class I>
constexpr Kernels table_row(const char* name) {
  static_assert(I::tile_rows % 2 == 0, "a gated tile holds as many gates as values");
  static_assert(kRun % I::lanes == 0, "a vector must not cross a run");
  return {
      .isa = name,
      .tile_rows = I::tile_rows,
      .panel_columns = 2 * I::lanes,
      .rows_store = rows_to_matrix<I, false>,
      .rows_add = rows_to_matrix<I, true>,
      .rows_swiglu = rows_swiglu<I>,
      .rows_gelu = rows_gelu<I>,
      .columns_swiglu = columns_swiglu<I>,
      .columns_gelu = columns_gelu<I>,
      .columns_add = columns_add<I>,
      .norm_to_tiles = norm_to_tiles<I>,
      .norm_to_panels = norm_to_panels<I>,
      .norm_to_rows = norm_to_rows<I>,
      .mean_rows = mean_rows<I>,
      .resize_lanes = Sums<I>::lanes,
      .resize_height = resize_height<I>,
      .resize_width = resize_width<I>,
      .multiply_adds = multiply_adds<I>,
  };
}

}  // namespace gmixer
