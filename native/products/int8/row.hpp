// Makes an int8 row of an ISA. Included by each int8/<isa>….cpp, which defines the arithmetic A (tile.hpp, reduced.hpp)
// in an unnamed namespace. Weights lie in [-127, 127]. Activations too, plus A::offset; their scales follow the values
// of each row (channel mixing) or of each image and channel (token mixing).
#pragma once

#include "../mean.hpp"
#include "../multiply_adds.hpp"
#include "../reduced.hpp"

namespace gmixer {

template <class A>
void pack_quantized(PackedLinear& w, std::size_t part, const std::int8_t* rows, const float* scales) {
  pack_elements<typename A::Element>(w, part, rows);
  const bool tiles = w.form == Form::tiles;
  std::byte* end = w.part(part) + (tiles ? tile_element_bytes<A>(w.depth) : panel_element_bytes<A>(w.depth));
  auto* part_scales = reinterpret_cast<float*>(end);
  auto* starts = reinterpret_cast<std::int32_t*>(part_scales + w.part_width);
  w.for_rows_of(part, [&](std::size_t row, std::size_t place) {
    std::int32_t sum = 0;
    for (std::size_t k = 0; k < w.depth; ++k) sum += rows[row * w.depth + k];
    part_scales[place] = scales[row];
    starts[place] = -A::offset * sum;
  });
}

template <class A>
constexpr Products int8_row(const char* isa, const char* extension) {
  Products row = reduced_row<A>(isa, "int8", extension);
  row.pack_quantized = pack_quantized<A>;
  return row;
}

}  // namespace gmixer
