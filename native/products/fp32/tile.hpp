// The fp32 micro-kernel and the two products around it, generic over an ISA I, one struct of products/isa:
// I::Vec, I::lanes, I::tile_rows, and load, store, set1, fma, … on I::Vec.
//
// A register tile is ROWS rows by two vectors. Per k: two vector loads, ROWS broadcasts, 2·ROWS fused multiply-adds.
#pragma once

#include <cstddef>

#include "../activation.hpp"
#include "../layout.hpp"
#include "../pack.hpp"

namespace gmixer {

inline constexpr std::size_t kRun = Layout<float>::run;

template <class I, int ROWS>
struct RegisterTile {
  typename I::Vec at[ROWS][2];
};

// Fetches the next weights into the second-level cache while the multiply-adds run. The CPU's own prefetchers stop at
// the end of a page. May point past the end: a prefetch is not an access.
struct Ahead {
  const float* next;
  std::size_t lines_a_run;  // of kRun k

  [[gnu::always_inline]] void fetch() {
    for (std::size_t line = 0; line < lines_a_run; ++line, next += kRun) __builtin_prefetch(next, 0, 2);
  }
};

// acc[r][v] += sum over k of a[r][k] * b[k][v], in the order of k.
template <class I, int ROWS>
[[gnu::always_inline]] inline void multiply_add(RegisterTile<I, ROWS>& acc, std::size_t depth, const float* a,
                                                const float* b, Ahead& ahead) {
  using Vec = typename I::Vec;
  constexpr std::size_t panel = 2 * I::lanes;
  const auto step = [&acc](const float* a_k, const float* b_k) {
    const Vec b0 = I::load(b_k), b1 = I::load(b_k + I::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      const Vec a_rk = I::set1(a_k[r * kRun]);
      acc.at[r][0] = I::fma(a_rk, b0, acc.at[r][0]);
      acc.at[r][1] = I::fma(a_rk, b1, acc.at[r][1]);
    }
  };
  for (; depth >= kRun; depth -= kRun, a += I::tile_rows * kRun, b += kRun * panel) {
    ahead.fetch();
#pragma GCC unroll 16
    for (std::size_t k = 0; k < kRun; ++k) step(a + k, b + k * panel);
  }
  for (std::size_t k = 0; k < depth; ++k) step(a + k, b + k * panel);
}

// acc += sum over k of a[r][k] * b[k][v], as a sum of sums of w.sum_length.
template <class I, int ROWS>
[[gnu::always_inline]] inline void product(RegisterTile<I, ROWS>& acc, const PackedLinear& w, const float* a,
                                           const float* b, Ahead ahead) {
  for (std::size_t done = 0; done < w.depth; done += w.sum_length) {
    RegisterTile<I, ROWS> sum;
    for (int r = 0; r < ROWS; ++r) sum.at[r][0] = sum.at[r][1] = I::set1(0.0f);
    const std::size_t length = w.depth - done < w.sum_length ? w.depth - done : w.sum_length;
    multiply_add<I, ROWS>(sum, length, a + done * I::tile_rows, b + done * 2 * I::lanes, ahead);
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) acc.at[r][v] = acc.at[r][v] + sum.at[r][v];
  }
}

// Calls f.template operator()<rows>() with rows, 1 … I::tile_rows, as a constant.
template <class I, int ROWS = static_cast<int>(I::tile_rows), class F>
[[gnu::always_inline]] inline void with_rows(std::size_t rows, const F& f) {
  if constexpr (ROWS >= 1) {
    if (rows == ROWS) {
      f.template operator()<ROWS>();
    } else {
      with_rows<I, ROWS - 1>(rows, f);
    }
  }
}

// rows: panels outside, tiles inside. A panel is fetched from memory once and meets every tile. Meanwhile each tile
// prefetches its share of the next panel.
template <class I, class Write>
void rows_product(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* tiles,
                  std::size_t rows, const Write& write) {
  const float* a = reinterpret_cast<const float*>(tiles);
  const std::size_t runs = w.depth / kRun, panel_lines = w.part_bytes / kLineBytes;
  const std::size_t lines_a_run = runs ? ceil_div(panel_lines, runs * ceil_div(rows, I::tile_rows)) : 0;
  for (std::size_t panel = panel_begin; panel < panel_end; ++panel) {
    Ahead ahead{w.weight_of<float>(panel + 1), panel + 1 < panel_end ? lines_a_run : 0};
    for (std::size_t row = 0; row < rows; row += I::tile_rows) {
      with_rows<I>(rows - row < I::tile_rows ? rows - row : I::tile_rows, [&]<int ROWS>() {
        RegisterTile<I, ROWS> acc;
        for (int r = 0; r < ROWS; ++r)
          for (int v = 0; v < 2; ++v) acc.at[r][v] = I::load(w.bias_of(panel) + v * I::lanes);
        product<I, ROWS>(acc, w, a + row * round_up(w.depth, kRun), w.weight_of<float>(panel), ahead);
        write(acc, row, panel);
      });
      ahead.next += runs * lines_a_run * kRun;
    }
  }
}

// columns: every tile of weights meets the same panel of x. The panel stays in the first-level cache.
template <class I, class Write>
void columns_product(const PackedLinear& w, const std::byte* panel, const Write& write) {
  const float* x = reinterpret_cast<const float*>(panel);
  for (std::size_t tile = 0; tile < w.parts; ++tile)
    with_rows<I>(w.rows_of(tile), [&]<int ROWS>() {
      RegisterTile<I, ROWS> acc;
      for (int r = 0; r < ROWS; ++r) acc.at[r][0] = acc.at[r][1] = I::set1(w.bias_of(tile)[r]);
      product<I, ROWS>(acc, w, w.weight_of<float>(tile), x, Ahead{w.weight_of<float>(tile + 1), I::tile_rows});
      write(acc, tile);
    });
}

// c (+)= acc, for the first `columns` columns of the tile.
template <class I, bool ADD, int ROWS>
[[gnu::always_inline]] inline void write_rows(const RegisterTile<I, ROWS>& acc, float* c, std::size_t row_stride,
                                              std::size_t columns) {
  if (columns >= 2 * I::lanes) {
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) {
        float* to = c + r * row_stride + v * I::lanes;
        if (ADD) __builtin_prefetch(to + I::tile_rows * row_stride, 1);  // for the next tile
        I::store(to, ADD ? I::load(to) + acc.at[r][v] : acc.at[r][v]);
      }
    return;
  }
  for (int r = 0; r < ROWS; ++r) {  // the last panel of a width that is not a multiple of it
    float row[2 * I::lanes];
    for (int v = 0; v < 2; ++v) I::store(row + v * I::lanes, acc.at[r][v]);
    for (std::size_t n = 0; n < columns; ++n) c[r * row_stride + n] = ADD ? c[r * row_stride + n] + row[n] : row[n];
  }
}

template <class I, bool ADD>
void rows_to_matrix(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* a,
                    std::size_t rows, float* c, std::size_t row_stride) {
  rows_product<I>(w, panel_begin, panel_end, a, rows,
                  [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t row, std::size_t panel) {
                    const std::size_t column = panel * 2 * I::lanes;
                    write_rows<I, ADD>(acc, c + row * row_stride + column, row_stride, w.outputs - column);
                  });
}

template <class I>
void rows_swiglu(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out) {
  const std::size_t out_depth = round_up(w.outputs, kRun);
  rows_product<I>(w, 0, w.parts, a, rows,
                  [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t row, std::size_t panel) {
                    float* tile = reinterpret_cast<float*>(out) + row * out_depth;
                    for (int r = 0; r < ROWS; ++r)
                      I::store(tile + Layout<float>::tile_offset(I::tile_rows, r, panel * I::lanes),
                               acc.at[r][0] * silu<I>(acc.at[r][1]));
                  });
}

template <class I>
void rows_gelu(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out) {
  const std::size_t out_depth = round_up(w.outputs, kRun);
  rows_product<I>(w, 0, w.parts, a, rows,
                  [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t row, std::size_t panel) {
                    float* tile = reinterpret_cast<float*>(out) + row * out_depth;
                    for (std::size_t v = 0; v < 2; ++v) {
                      const std::size_t column = (panel * 2 + v) * I::lanes;
                      if (column >= w.outputs) break;  // padding of the last panel
                      for (int r = 0; r < ROWS; ++r)
                        I::store(tile + Layout<float>::tile_offset(I::tile_rows, r, column), gelu<I>(acc.at[r][v]));
                    }
                  });
}

template <class I>
void columns_swiglu(const PackedLinear& w, const std::byte* x, std::byte* out) {
  columns_product<I>(w, x, [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t tile) {
    if constexpr (ROWS % 2 == 0) {  // a gated tile always holds as many gates as values
      float* to = reinterpret_cast<float*>(out) + tile * I::tile_rows / 2 * 2 * I::lanes;
      for (int r = 0; r < ROWS / 2; ++r)
        for (int v = 0; v < 2; ++v)
          I::store(to + (r * 2 + v) * I::lanes, acc.at[r][v] * silu<I>(acc.at[r + ROWS / 2][v]));
    }
  });
}

template <class I>
void columns_gelu(const PackedLinear& w, const std::byte* x, std::byte* out) {
  columns_product<I>(w, x, [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t tile) {
    float* to = reinterpret_cast<float*>(out) + tile * I::tile_rows * 2 * I::lanes;
    for (int r = 0; r < ROWS; ++r)
      for (int v = 0; v < 2; ++v) I::store(to + (r * 2 + v) * I::lanes, gelu<I>(acc.at[r][v]));
  });
}

template <class I>
void columns_add(const PackedLinear& w, const std::byte* x, float* c, std::size_t row_stride, std::size_t columns) {
  columns_product<I>(w, x, [&]<int ROWS>(const RegisterTile<I, ROWS>& acc, std::size_t tile) {
    write_rows<I, true>(acc, c + tile * I::tile_rows * row_stride, row_stride, columns);
  });
}

}  // namespace gmixer
