// How operands lie in memory. One layout serves every product of an element type.
//
// tile   up to R = tile_rows rows, K deep      row r, element k at (k/run)·R·run + r·run + k%run
// panel  P = panel_columns columns, K deep     column p, element k at (k/group)·P·group + p·group + k%group
//
// A run of a row stays together and fills one cache line. LayerNorm and activations write whole vectors of a run. The
// micro-kernel reads every row of a tile at a constant offset from one pointer.
//
// A group fills one 32-bit lane: one float, two bfloat16 or four int8. A panel of floats is simply [K][P].
#pragma once

#include <cstddef>

namespace gmixer {

inline constexpr std::size_t kLineBytes = 64;  // of a cache line

constexpr std::size_t ceil_div(std::size_t n, std::size_t by) { return (n + by - 1) / by; }
constexpr std::size_t round_up(std::size_t n, std::size_t to) { return ceil_div(n, to) * to; }

template <class Element>
struct Layout {
  static constexpr std::size_t run = kLineBytes / sizeof(Element);
  static constexpr std::size_t group = sizeof(float) / sizeof(Element);

  static constexpr std::size_t tile_elements(std::size_t tile_rows, std::size_t depth) {
    return round_up(depth, run) * tile_rows;
  }
  static constexpr std::size_t tile_offset(std::size_t tile_rows, std::size_t row, std::size_t k) {
    return k / run * tile_rows * run + row * run + k % run;
  }
  static constexpr std::size_t panel_elements(std::size_t panel_columns, std::size_t depth) {
    return round_up(depth, group) * panel_columns;
  }
  static constexpr std::size_t panel_offset(std::size_t panel_columns, std::size_t column, std::size_t k) {
    return k / group * panel_columns * group + column * group + k % group;
  }
};

}  // namespace gmixer
