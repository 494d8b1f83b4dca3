// The kernel table: what one instruction set offers to the model, as one struct of function pointers.
//
// Two forms of product, one micro-kernel (gemm/tile.hpp):
//   rows     c[m][n] = bias[n] + sum_k a[m][k] * w[n][k]   channel mixing, stem, head: X·Wᵀ
//   columns  c[m][n] = bias[m] + sum_k w[m][k] * x[k][n]   token mixing: W·X, no transpose
//
// Operands (gemm/layout.hpp): a *tile* is up to tile_rows rows, broadcast element by element; a *panel* is
// panel_columns columns, read as vectors. The weights of `rows` are packed as panels, those of `columns` as tiles.
//
// Every element is summed in the order of k, whatever the batch, the tile it falls in or the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

struct PackedLinear;
struct TapsView;

// Rows of bytes, `stride` apart.
template <class Byte>
struct ByteRows {
  Byte* data;
  std::size_t stride;

  Byte* operator[](std::size_t row) const { return data + row * stride; }
};

struct Kernels {
  const char* isa;
  std::size_t tile_rows;
  std::size_t panel_columns;  // two vectors; of gated weights one of values and one of gates

  // rows. a: `rows` rows as consecutive tiles. Computes panels [panel_begin, panel_end) of w.
  // store: c = …   add: c += …   c: row-major, row_stride floats apart, w.outputs columns.
  void (*rows_store)(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const float* a,
                     std::size_t rows, float* c, std::size_t row_stride);
  void (*rows_add)(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const float* a,
                   std::size_t rows, float* c, std::size_t row_stride);
  // out = activation(…), as tiles of the next product. swiglu takes gated weights (gemm/pack.hpp).
  void (*rows_swiglu)(const PackedLinear& w, const float* a, std::size_t rows, float* out);
  void (*rows_gelu)(const PackedLinear& w, const float* a, std::size_t rows, float* out);

  // columns, for one panel of x. out: the panel [w.outputs][panel_columns] of the next product.
  void (*columns_swiglu)(const PackedLinear& w, const float* x, float* out);
  void (*columns_gelu)(const PackedLinear& w, const float* x, float* out);
  // c += …, row-major; only the first `columns` columns of the panel exist in c.
  void (*columns_add)(const PackedLinear& w, const float* x, float* c, std::size_t row_stride, std::size_t columns);

  // LayerNorm over `channels` of `rows` row-major rows: y = (x - mean) / sqrt(var + 1e-6) * gamma + beta.
  // channels: a multiple of 16. As tiles; as panels (patches rows apart, from row `patch` of the panels); as rows.
  void (*norm_to_tiles)(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                        float* tiles);
  void (*norm_to_panels)(const float* x, std::size_t rows, std::size_t channels, const float* gamma,
                         const float* beta, float* panels, std::size_t patch, std::size_t patches);
  void (*norm_to_rows)(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                       float* y);

  // mean[c] = sum_r x[r][c] / rows.
  void (*mean_rows)(const float* x, std::size_t rows, std::size_t channels, float* mean);

  // Passes of a resize (resize/taps.hpp), the same bytes on every row of this table. Down columns: `from` has taps.span
  // rows of `bytes`, `to` taps.count. Along rows: `from` has `rows` rows of taps.span pixels, `to` of taps.count;
  // scratch: resize_width_scratch(resize_lanes, …) bytes.
  std::size_t resize_lanes;
  void (*resize_height)(ByteRows<const std::uint8_t> from, std::size_t bytes, const TapsView& taps,
                        ByteRows<std::uint8_t> to);
  void (*resize_width)(ByteRows<const std::uint8_t> from, std::size_t rows, std::size_t channels, const TapsView& taps,
                       std::uint8_t* scratch, ByteRows<std::uint8_t> to);

  // steps · tile_rows · panel_columns multiply-adds on registers: no product of this row can be faster (ceiling/).
  float (*multiply_adds)(std::size_t steps);
};

}  // namespace gmixer
