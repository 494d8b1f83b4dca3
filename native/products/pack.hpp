// Weights, packed once at load into the layout that the micro-kernel reads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bf16/bf16.hpp"
#include "buffer.hpp"
#include "layout.hpp"
#include "products.hpp"

namespace gmixer {

// A linear layer y = W·x + b, with W [out][depth] as in the checkpoint. The row of the table that computes the layer
// chooses the element type of W.
//
// gated: the first half of W are values, the second half are gates. A part then holds as many gates as values, so the
// activation finds both in one register tile. `outputs` counts after the gate.
struct PackedLinear {
  PackedLinear() = default;
  PackedLinear(Form form, const Products& row, std::size_t out, std::size_t depth, bool gated);

  // rows: W [out][depth], row-major, whole. Packs the rows of one part. Threads may pack different parts at once.
  void pack_weight(std::size_t part, const float* rows) { row->pack_weight(*this, part, rows); }
  // The same for quantised rows, with a scale of each.
  void pack_quantized(std::size_t part, const std::int8_t* rows, const float* scales) {
    row->pack_quantized(*this, part, rows, scales);
  }
  void pack_bias(const float* values);  // [out]
  // Cuts the sums evenly, none longer than this. 128 until it is called.
  void cut_sums(std::size_t longest);

  std::byte* part(std::size_t part) { return weight.data() + part * part_bytes; }
  const std::byte* part(std::size_t part) const { return weight.data() + part * part_bytes; }
  const float* bias_of(std::size_t part) const { return bias.data() + part * part_width; }
  // Rows of a tile that exist; gates included.
  std::size_t rows_of(std::size_t part) const {
    const std::size_t per_part = gated ? part_width / 2 : part_width;
    const std::size_t left = outputs - part * per_part;
    return (left < per_part ? left : per_part) * (gated ? 2 : 1);
  }
  // Calls body(row of W, its place in the part) for every row of the part. The gates of a panel are its second vector.
  // The gates of a tile follow its values.
  template <class Body>
  void for_rows_of(std::size_t part, const Body& body) const {
    const std::size_t values = rows_of(part) / (gated ? 2 : 1);
    const std::size_t first = part * (gated ? part_width / 2 : part_width);
    for (std::size_t i = 0; i < values; ++i) body(first + i, i);
    if (!gated) return;
    const std::size_t first_gate = form == Form::panels ? part_width / 2 : values;
    for (std::size_t i = 0; i < values; ++i) body(outputs + first + i, first_gate + i);
  }

  Form form = Form::panels;
  const Products* row = nullptr;
  bool gated = false;
  std::size_t out = 0;      // rows of W
  std::size_t depth = 0;    // K
  std::size_t outputs = 0;  // out, or out / 2 when gated
  std::size_t parts = 0;    // tiles or panels
  std::size_t part_width = 0;
  std::size_t part_bytes = 0;
  // A sum over k is cut into sums of this length. The rounding error of one long sum grows faster than that of a sum of
  // sums. A multiple of a run; a property of the layer, never of batch or threads.
  std::size_t sum_length = 0;
  Buffer<std::byte> weight;
  Buffer<float> bias;
};

// Packs the rows of one part. rows: W, [out][depth]; each element is converted as C++ converts it. Compiled in pack.cpp,
// without the flags of an ISA.
template <class Element, class From>
void pack_elements(PackedLinear& w, std::size_t part, const From* rows);
extern template void pack_elements<float>(PackedLinear& w, std::size_t part, const float* rows);
extern template void pack_elements<Bf16>(PackedLinear& w, std::size_t part, const float* rows);
extern template void pack_elements<std::int8_t>(PackedLinear& w, std::size_t part, const std::int8_t* rows);
extern template void pack_elements<std::int16_t>(PackedLinear& w, std::size_t part, const std::int8_t* rows);

}  // namespace gmixer
