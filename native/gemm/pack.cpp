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
  weight = Buffer(parts * part_floats);
  bias = Buffer(parts * part_width);
}

// Where row `row` of W goes. Gated: a panel's gates are its second vector; a tile's gates follow its values.
PackedLinear::Place PackedLinear::place_of(std::size_t row) const {
  if (!gated) return {row / part_width, row % part_width};
  const bool gate = row >= outputs;
  const std::size_t output = gate ? row - outputs : row;
  const std::size_t half = part_width / 2;
  const std::size_t part = output / half;
  const std::size_t first_gate = form == Form::panels ? half : rows_of(part) / 2;
  return {part, output % half + (gate ? first_gate : 0)};
}

void PackedLinear::pack_weight(const float* rows) {
  for (std::size_t row = 0; row < out; ++row) {
    const Place place = place_of(row);
    float* packed = weight.data() + place.part * part_floats;
    const float* from = rows + row * depth;
    if (form == Form::panels) {
      for (std::size_t k = 0; k < depth; ++k) packed[k * part_width + place.lane] = from[k];
    } else {
      for (std::size_t k = 0; k < depth; ++k) packed[tile_offset(part_width, place.lane, k)] = from[k];
    }
  }
}

void PackedLinear::pack_bias(const float* values) {
  for (std::size_t row = 0; row < out; ++row) {
    const Place place = place_of(row);
    bias.data()[place.part * part_width + place.lane] = values[row];
  }
}

}  // namespace gmixer
