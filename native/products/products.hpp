// The table of products: what one ISA offers to the network in one precision, as one struct of function pointers.
//
// There are two forms of product:
//   rows     c[m][n] = bias[n] + sum_k a[m][k] * w[n][k]   channel mixing, stem, head: X·Wᵀ
//   columns  c[m][n] = bias[m] + sum_k w[m][k] * x[k][n]   token mixing: W·X, without a transpose
//
// Operands are tiles and panels (layout.hpp). A *tile* is up to tile_rows rows, broadcast element by element. A *panel*
// is panel_columns columns, read as vectors. `rows` packs its weights as panels, `columns` packs them as tiles.
//
// A row of the table chooses the element type of its operands. The network allocates the bytes of an operand and
// passes them on. Only the kernels of the row read or write them. The residual stream, biases, γ and β are float.
//
// Every element is summed in the order of k. Batch, tile and number of threads do not change the result.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gmixer {

struct PackedLinear;

// Vectors read whole: the channels of a network are a multiple of the widest vector of floats.
inline constexpr std::size_t kChannelMultiple = 16;

enum class Form { panels, tiles };  // of weights. panels: for `rows` products; tiles: for `columns` products

struct Products {
  const char* isa;
  const char* precision;
  const char* extension;  // what the row needs of the CPU beyond its ISA: "vnni", "bf16", …; "" for nothing
  std::size_t tile_rows;
  std::size_t panel_columns;  // two vectors; of gated weights one of values and one of gates
  std::size_t run;            // elements of a run (layout.hpp); sums are cut at multiples of it
  std::size_t max_depth;      // of a product whose sums cannot overflow

  // Bytes of one tile or panel of activations, `depth` deep.
  std::size_t (*tile_bytes)(std::size_t depth);
  std::size_t (*panel_bytes)(std::size_t depth);
  // The same for the output of fc1, with the working memory of fc1 and fc2. inputs: depth of fc1. outputs: after the gate.
  // A row of reduced precision (reduced.hpp) puts floats here, and the panel of x once it is converted.
  std::size_t (*hidden_tile_bytes)(std::size_t inputs, std::size_t outputs);
  std::size_t (*hidden_panel_bytes)(std::size_t inputs, std::size_t outputs);

  // Weights, converted and packed once at load (pack.hpp). Bytes of one part; packs one part.
  std::size_t (*weight_bytes)(Form form, std::size_t depth);
  void (*pack_weight)(PackedLinear& w, std::size_t part, const float* rows);
  // Rows of int8 have this one instead (int8/quantize.hpp).
  void (*pack_quantized)(PackedLinear& w, std::size_t part, const std::int8_t* rows, const float* scales);

  // Row-major floats as tiles and [depth][panel_columns] floats as a panel: operands of rows_add and columns_add, as fc1
  // and the head make them.
  void (*rows_to_tiles)(const float* x, std::size_t rows, std::size_t depth, std::byte* tiles);
  void (*columns_to_panel)(const float* x, std::size_t depth, std::byte* panel);

  // rows. a: `rows` rows as consecutive tiles. out = activation(…), as tiles of the next product. swiglu takes gated
  // weights (pack.hpp).
  void (*rows_swiglu)(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out);
  void (*rows_gelu)(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out);
  // c += …, for panels [panel_begin, panel_end) of w. c: row-major, row_stride floats apart, w.outputs columns.
  void (*rows_add)(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* a,
                   std::size_t rows, float* c, std::size_t row_stride);

  // columns, for one panel of x. out: the panel [w.outputs][panel_columns] of the next product.
  void (*columns_swiglu)(const PackedLinear& w, const std::byte* x, std::byte* out);
  void (*columns_gelu)(const PackedLinear& w, const std::byte* x, std::byte* out);
  // c += …, row-major. Only the first `columns` columns of the panel exist in c.
  void (*columns_add)(const PackedLinear& w, const std::byte* x, float* c, std::size_t row_stride,
                      std::size_t columns);

  // LayerNorm over `channels` of `rows` row-major rows: y = (x - mean) / sqrt(var + 1e-6) * gamma + beta.
  // channels: a multiple of kChannelMultiple. panels: patches rows apart, from row `patch` of the panels.
  void (*norm_to_tiles)(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                        std::byte* tiles);
  void (*norm_to_panels)(const float* x, std::size_t rows, std::size_t channels, const float* gamma,
                         const float* beta, std::byte* panels, std::size_t patch, std::size_t patches);

  // Stem, last norm and head stay fp32 in every precision. Rows of another precision leave these three null.
  // c = …, otherwise as rows_add.
  void (*rows_store)(const PackedLinear& w, std::size_t panel_begin, std::size_t panel_end, const std::byte* a,
                     std::size_t rows, float* c, std::size_t row_stride);
  // LayerNorm, written as row-major rows.
  void (*norm_to_rows)(const float* x, std::size_t rows, std::size_t channels, const float* gamma, const float* beta,
                       float* y);
  // mean[c] = sum_r x[r][c] / rows.
  void (*mean_rows)(const float* x, std::size_t rows, std::size_t channels, float* mean);

  // steps · tile_rows · panel_columns · group multiply-adds on registers. group: elements in 32 bits. No product of this row can be faster (ceiling.hpp).
  std::size_t group;
  float (*multiply_adds)(std::size_t steps);
};

// The two rows that one network runs on, both of one ISA.
struct ProductRows {
  const Products& blocks;  // in the precision asked for
  const Products& ends;    // fp32: stem, last norm and head
};

}  // namespace gmixer
