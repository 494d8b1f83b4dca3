// The micro-kernel and both forms of product, generic over the arithmetic A of a row: fp32/row.hpp, bf16/row.hpp and
// int8/row.hpp each define one. A is an ISA I of products/isa (vectors of floats) and what the precision adds:
//   A::Element                       of tiles and panels
//   A::Operand, A::Sum               vectors of 32-bit lanes: a lane of an operand holds a group (layout.hpp)
//   A::load_operand, A::broadcast    an operand from a panel; one group of a tile in every lane
//   A::dot(sum, activation, weight)  each lane: sum + the products of its group
//   A::integer                       sums are exact integers. Operands then carry scales (below)
//
// A register tile is ROWS rows by two vectors. Per group: two vector loads, ROWS broadcasts, 2·ROWS dots.
//
// With integers, value = integer · scale. Behind its elements, a tile has a scale of each row and a panel has a scale
// of each column. An activation may be stored with an offset, so that it is not negative. Behind its scales, a part of
// weights has -offset · Σw of each of its rows. The sums start there, so the offset cancels exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "activation.hpp"
#include "layout.hpp"
#include "pack.hpp"

namespace gmixer {

inline constexpr std::size_t kGroupBytes = sizeof(float);
inline constexpr std::size_t kRunGroups = kLineBytes / kGroupBytes;

// A register tile of running sums, and one of finished values.
template <class A, int ROWS>
struct Sums {
  typename A::Sum at[ROWS][2];
};
template <class A, int ROWS>
struct Values {
  typename A::Vec at[ROWS][2];
};

// Where the elements of a tile or a panel end, and where its scales end.
template <class A>
constexpr std::size_t tile_element_bytes(std::size_t depth) {
  return Layout<typename A::Element>::tile_elements(A::tile_rows, depth) * sizeof(typename A::Element);
}
template <class A>
constexpr std::size_t panel_element_bytes(std::size_t depth) {
  return Layout<typename A::Element>::panel_elements(2 * A::lanes, depth) * sizeof(typename A::Element);
}
template <class A>
std::size_t tile_bytes(std::size_t depth) {
  return tile_element_bytes<A>(depth) + (A::integer ? round_up(A::tile_rows * sizeof(float), kLineBytes) : 0);
}

// Fetches the next weights into the second-level cache while the dots run. The CPU's own prefetchers stop at the end of
// a page. May point past the end: a prefetch is not an access.
struct Ahead {
  const std::byte* next;
  std::size_t lines_a_run;

  [[gnu::always_inline]] void fetch() {
    for (std::size_t line = 0; line < lines_a_run; ++line, next += kLineBytes) __builtin_prefetch(next, 0, 2);
  }
};

// sums[r][v] += sum over all groups of tile[r] · panel[v], in their order. FORM: of the weights.
template <class A, Form FORM, int ROWS>
[[gnu::always_inline]] inline void add_dots(Sums<A, ROWS>& sums, std::size_t groups,
                                            const std::byte* tile, const std::byte* panel, Ahead& ahead) {
  constexpr std::size_t vector_bytes = A::lanes * kGroupBytes, panel_bytes = 2 * vector_bytes;
  const auto dot = [](auto sum, auto of_tile, auto of_panel) {
    return FORM == Form::panels ? A::dot(sum, of_tile, of_panel) : A::dot(sum, of_panel, of_tile);
  };
  const auto step = [&](const std::byte* tile_k, const std::byte* panel_k) {
    const auto panel0 = A::load_operand(panel_k), panel1 = A::load_operand(panel_k + vector_bytes);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      const auto tile_r = A::broadcast(tile_k + r * kLineBytes);
      sums.at[r][0] = dot(sums.at[r][0], tile_r, panel0);
      sums.at[r][1] = dot(sums.at[r][1], tile_r, panel1);
    }
  };
  for (; groups >= kRunGroups; groups -= kRunGroups) {
    ahead.fetch();
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kRunGroups; ++k) step(tile + k * kGroupBytes, panel + k * panel_bytes);
    tile += A::tile_rows * kLineBytes;
    panel += kRunGroups * panel_bytes;
  }
  for (std::size_t k = 0; k < groups; ++k) step(tile + k * kGroupBytes, panel + k * panel_bytes);
}

// bias + the product of a tile and a panel, one of them part `part` of w, as floats.
template <class A, Form FORM, int ROWS>
[[gnu::always_inline]] inline Values<A, ROWS> product(const PackedLinear& w, std::size_t part,
                                                                          const std::byte* tile,
                                                                          const std::byte* panel, Ahead ahead) {
  using I = typename A::Isa;
  constexpr std::size_t group = Layout<typename A::Element>::group;
  constexpr bool rows_of_weights = FORM == Form::tiles;
  Values<A, ROWS> values;
  const float* bias = w.bias_of(part);
  if constexpr (A::integer) {
    const auto* row_scales = reinterpret_cast<const float*>(tile + tile_element_bytes<A>(w.depth));
    const auto* column_scales = reinterpret_cast<const float*>(panel + panel_element_bytes<A>(w.depth));
    const auto* starts = reinterpret_cast<const std::int32_t*>(
        rows_of_weights ? static_cast<const void*>(row_scales + A::tile_rows)
                        : static_cast<const void*>(column_scales + 2 * A::lanes));
    Sums<A, ROWS> sums;
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v)
        sums.at[r][v] = A::offset == 0     ? A::set1_sum(0)
                        : rows_of_weights ? A::set1_sum(starts[r])
                                          : A::load_sum(starts + v * A::lanes);
    add_dots<A, FORM, ROWS>(sums, ceil_div(w.depth, group), tile, panel, ahead);
    for (int v = 0; v < 2; ++v) {
      const auto column_scale = I::load(column_scales + v * A::lanes);
      for (int r = 0; r < ROWS; ++r) {
        const auto bias_rv = rows_of_weights ? I::set1(bias[r]) : I::load(bias + v * A::lanes);
        values.at[r][v] = I::fma(A::to_floats(sums.at[r][v]), I::set1(row_scales[r]) * column_scale, bias_rv);
      }
    }
  } else {
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) values.at[r][v] = rows_of_weights ? I::set1(bias[r]) : I::load(bias + v * A::lanes);
    for (std::size_t done = 0; done < w.depth; done += w.sum_length) {  // a sum of sums of w.sum_length
      Sums<A, ROWS> sum;
      for (int r = 0; r < ROWS; ++r) sum.at[r][0] = sum.at[r][1] = I::set1(0.0f);
      const std::size_t length = w.depth - done < w.sum_length ? w.depth - done : w.sum_length;
      add_dots<A, FORM, ROWS>(sum, ceil_div(length, group), tile + done / group * A::tile_rows * kGroupBytes,
                              panel + done / group * 2 * A::lanes * kGroupBytes, ahead);
      for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < 2; ++v) values.at[r][v] = values.at[r][v] + sum.at[r][v];
    }
  }
  return values;
}

// Calls f.template operator()<rows>() with rows, 1 … A::tile_rows, as a constant.
template <class A, int ROWS = static_cast<int>(A::tile_rows), class F>
[[gnu::always_inline]] inline void with_rows(std::size_t rows, const F& f) {
  if constexpr (ROWS >= 1) {
    if (rows == ROWS) {
      f.template operator()<ROWS>();
    } else {
      with_rows<A, ROWS - 1>(rows, f);
    }
  }
}

// rows: panels outside, tiles inside. A panel is fetched from memory once and meets every tile. Meanwhile each tile
// prefetches its share of the next panel. Calls write(values, first row, panel).
template <class A, class Write>
void rows_product(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* tiles,
                  std::size_t rows, const Write& write) {
  const std::size_t runs = w.depth / Layout<typename A::Element>::run, panel_lines = w.part_bytes / kLineBytes;
  const std::size_t lines_a_run = runs ? ceil_div(panel_lines, runs * ceil_div(rows, A::tile_rows)) : 0;
  for (std::size_t panel = panel_begin; panel < panel_end; ++panel) {
    Ahead ahead{w.part(panel + 1), panel + 1 < panel_end ? lines_a_run : 0};
    const std::byte* tile = tiles;
    for (std::size_t row = 0; row < rows; row += A::tile_rows, tile += tile_bytes<A>(w.depth)) {
      with_rows<A>(rows - row < A::tile_rows ? rows - row : A::tile_rows, [&]<int ROWS>() {
        write(product<A, Form::panels, ROWS>(w, panel, tile, w.part(panel), ahead), row, panel);
      });
      ahead.next += runs * lines_a_run * kLineBytes;
    }
  }
}

// columns: every tile of weights meets the same panel of x. The panel stays in the first-level cache. Calls
// write(values, tile).
template <class A, class Write>
void columns_product(const PackedLinear& w, const std::byte* panel, const Write& write) {
  for (std::size_t tile = 0; tile < w.parts; ++tile)
    with_rows<A>(w.rows_of(tile), [&]<int ROWS>() {
      write(product<A, Form::tiles, ROWS>(w, tile, w.part(tile), panel, Ahead{w.part(tile + 1), A::tile_rows}), tile);
    });
}

// c (+)= values, for the first `columns` columns of the tile.
template <class A, bool ADD, int ROWS>
[[gnu::always_inline]] inline void write_rows(const Values<A, ROWS>& values, float* c,
                                              std::size_t row_stride, std::size_t columns) {
  using I = typename A::Isa;
  if (columns >= 2 * I::lanes) {
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) {
        float* to = c + r * row_stride + v * I::lanes;
        if (ADD) __builtin_prefetch(to + A::tile_rows * row_stride, 1);  // for the next tile
        I::store(to, ADD ? I::load(to) + values.at[r][v] : values.at[r][v]);
      }
    return;
  }
  for (int r = 0; r < ROWS; ++r) {  // the last panel of a width that is not a multiple of it
    float row[2 * I::lanes];
    for (int v = 0; v < 2; ++v) I::store(row + v * I::lanes, values.at[r][v]);
    for (std::size_t n = 0; n < columns; ++n) c[r * row_stride + n] = ADD ? c[r * row_stride + n] + row[n] : row[n];
  }
}

template <class A, bool ADD>
void rows_to_matrix(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* a,
                    std::size_t rows, float* c, std::size_t row_stride) {
  rows_product<A>(w, panel_begin, panel_end, a, rows,
                  [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t row, std::size_t panel) {
                    const std::size_t column = panel * 2 * A::lanes;
                    write_rows<A, ADD>(values, c + row * row_stride + column, row_stride, w.outputs - column);
                  });
}

template <class A>
void columns_add(const PackedLinear& w, const std::byte* x, float* c, std::size_t row_stride, std::size_t columns) {
  columns_product<A>(w, x, [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t tile) {
    write_rows<A, true>(values, c + tile * A::tile_rows * row_stride, row_stride, columns);
  });
}

// The activation of fc1, as tiles of elements, with integers as tiles of floats: the scale of a row is known only once
// the row is whole. A::silu may be less exact than fp32's.
template <class A>
using RowElement = std::conditional_t<A::integer, float, typename A::Element>;

template <class A>
[[gnu::always_inline]] inline void store_activation(RowElement<A>* tile, int r, std::size_t column,
                                                    typename A::Vec x) {
  auto* to = tile + Layout<RowElement<A>>::tile_offset(A::tile_rows, r, column);
  if constexpr (A::integer) {
    A::Isa::store(to, x);
  } else {
    A::store(to, x);
  }
}

template <class A>
void rows_swiglu(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out) {
  const std::size_t out_depth = round_up(w.outputs, Layout<RowElement<A>>::run);
  rows_product<A>(w, 0, w.parts, a, rows,
                  [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t row, std::size_t panel) {
                    auto* tile = reinterpret_cast<RowElement<A>*>(out) + row * out_depth;
                    for (int r = 0; r < ROWS; ++r)
                      store_activation<A>(tile, r, panel * A::lanes, values.at[r][0] * A::silu(values.at[r][1]));
                  });
}

template <class A>
void rows_gelu(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out) {
  using I = typename A::Isa;
  const std::size_t out_depth = round_up(w.outputs, Layout<RowElement<A>>::run);
  rows_product<A>(w, 0, w.parts, a, rows,
                  [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t row, std::size_t panel) {
                    auto* tile = reinterpret_cast<RowElement<A>*>(out) + row * out_depth;
                    for (std::size_t v = 0; v < 2; ++v) {
                      const std::size_t column = (panel * 2 + v) * A::lanes;
                      if (column >= w.outputs) break;  // padding of the last panel
                      for (int r = 0; r < ROWS; ++r) store_activation<A>(tile, r, column, gelu<I>(values.at[r][v]));
                    }
                  });
}

// The same as a panel of floats: with integers its scales are not known yet, and a group of bfloat16 holds two rows.
template <class A>
void columns_swiglu(const PackedLinear& w, const std::byte* x, std::byte* out) {
  using I = typename A::Isa;
  columns_product<A>(w, x, [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t tile) {
    if constexpr (ROWS % 2 == 0) {  // a gated tile always holds as many gates as values
      float* to = reinterpret_cast<float*>(out) + tile * A::tile_rows / 2 * 2 * A::lanes;
      for (int r = 0; r < ROWS / 2; ++r)
        for (int v = 0; v < 2; ++v)
          I::store(to + (r * 2 + v) * A::lanes, values.at[r][v] * A::silu(values.at[r + ROWS / 2][v]));
    }
  });
}

template <class A>
void columns_gelu(const PackedLinear& w, const std::byte* x, std::byte* out) {
  using I = typename A::Isa;
  columns_product<A>(w, x, [&]<int ROWS>(const Values<A, ROWS>& values, std::size_t tile) {
    float* to = reinterpret_cast<float*>(out) + tile * A::tile_rows * 2 * A::lanes;
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) I::store(to + (r * 2 + v) * A::lanes, gelu<I>(values.at[r][v]));
  });
}

}  // namespace gmixer
