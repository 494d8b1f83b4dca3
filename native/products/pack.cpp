#include "pack.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace gmixer {

PackedLinear::PackedLinear(Form form, const Products& row, std::size_t out, std::size_t depth, bool gated)
    : form(form),
      row(&row),
      gated(gated),
      out(out),
      depth(depth),
      outputs(gated ? out / 2 : out),
      part_width(form == Form::panels ? row.panel_columns : row.tile_rows),
      part_bytes(row.weight_bytes(form, depth)) {
  if (depth > row.max_depth)
    throw std::invalid_argument(std::string("a product of precision ") + row.precision + " sums at most " +
                                std::to_string(row.max_depth) + " values, not " + std::to_string(depth));
  parts = ceil_div(outputs, gated ? part_width / 2 : part_width);
  cut_sums(128);
  weight = Buffer<std::byte>(parts * part_bytes);
  bias = Buffer<float>(parts * part_width);
}

void PackedLinear::cut_sums(std::size_t longest) {
  sum_length = round_up(ceil_div(depth, ceil_div(depth, longest)), row->run);
}

void PackedLinear::pack_bias(const float* values) {
  for (std::size_t part = 0; part < parts; ++part)
    for_rows_of(part, [&](std::size_t row, std::size_t place) {
      bias.data()[part * part_width + place] = values[row];
    });
}

template <class Element, class From>
void pack_elements(PackedLinear& w, std::size_t part, const From* rows) {
  using L = Layout<Element>;
  Element* packed = reinterpret_cast<Element*>(w.part(part));
  for (std::size_t k = 0; k < w.depth; k += L::run) {  // a run of every row in turn: what is written stays in cache
    const std::size_t run = w.depth - k < L::run ? w.depth - k : L::run;
    w.for_rows_of(part, [&](std::size_t row, std::size_t place) {
      const From* from = rows + row * w.depth + k;
      if (w.form == Form::tiles) {
        std::copy(from, from + run, packed + L::tile_offset(w.part_width, place, k));
      } else {
        for (std::size_t i = 0; i < run; ++i)
          packed[L::panel_offset(w.part_width, place, k + i)] = static_cast<Element>(from[i]);
      }
    });
  }
}

template void pack_elements<float>(PackedLinear& w, std::size_t part, const float* rows);
template void pack_elements<Bf16>(PackedLinear& w, std::size_t part, const float* rows);
template void pack_elements<std::int8_t>(PackedLinear& w, std::size_t part, const std::int8_t* rows);
template void pack_elements<std::int16_t>(PackedLinear& w, std::size_t part, const std::int8_t* rows);

}  // namespace gmixer
