#include "pack.hpp"

namespace gmixer {

PackedLinear::PackedLinear(Form form, const Kernels& kernels, std::size_t out, std::size_t depth, bool gated)
    : form(form),
      gated(gated),
      out(out),
      depth(depth),
      outputs(gated ? out / 2 : out),
      part_width(form == Form::panels ? kernels.panel_columns : kernels.tile_rows) {
  parts = ceil_div(outputs, gated ? part_width / 2 : part_width);
  part_floats = form == Form::panels ? depth * part_width : tile_floats(part_width, depth);
  cut_sums(128);
  weight = Buffer(parts * part_floats);
  bias = Buffer(parts * part_width);
}

void PackedLinear::cut_sums(std::size_t longest) {
  sum_length = round_up(ceil_div(depth, ceil_div(depth, longest)), kRun);
}

// Gated: a panel's gates are its second vector; a tile's gates follow its values.
template <class Body>
void PackedLinear::for_rows_of(std::size_t part, const Body& body) const {
  const std::size_t values = rows_of(part) / (gated ? 2 : 1);
  const std::size_t first = part * (gated ? part_width / 2 : part_width);
  for (std::size_t i = 0; i < values; ++i) body(first + i, i);
  if (!gated) return;
  const std::size_t first_gate = form == Form::panels ? part_width / 2 : values;
  for (std::size_t i = 0; i < values; ++i) body(outputs + first + i, first_gate + i);
}

void PackedLinear::pack_weight(std::size_t part, const float* rows) {
  float* packed = weight.data() + part * part_floats;
  for (std::size_t k = 0; k < depth; k += kRun) {  // a run of every row in turn: what is written stays in cache
    const std::size_t run = depth - k < kRun ? depth - k : kRun;
    for_rows_of(part, [&](std::size_t row, std::size_t place) {
      const float* from = rows + row * depth + k;
      if (form == Form::tiles) {
        std::memcpy(packed + tile_offset(part_width, place, k), from, run * sizeof(float));
      } else {
        for (std::size_t i = 0; i < run; ++i) packed[(k + i) * part_width + place] = from[i];
      }
    });
  }
}

void PackedLinear::pack_bias(const float* values) {
  for (std::size_t part = 0; part < parts; ++part)
    for_rows_of(part, [&](std::size_t row, std::size_t place) { bias.data()[part * part_width + place] = values[row]; });
}

}  // namespace gmixer
