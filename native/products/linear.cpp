#include "linear.hpp"

#include <algorithm>

namespace gmixer {

void Linear::operator()(const float* x, std::size_t count, float* c) const {
  PackedLinear w(form, row, out, depth, false);
  for (std::size_t part = 0; part < w.parts; ++part)
    scales ? w.pack_quantized(part, quantized, scales) : w.pack_weight(part, weight);
  std::fill_n(c, out * count, 0.0f);
  if (form == Form::panels) {
    Buffer<std::byte> tiles(ceil_div(count, row.tile_rows) * row.tile_bytes(depth));
    row.rows_to_tiles(x, count, depth, tiles.data());
    row.rows_add(w, 0, w.parts, tiles.data(), count, c, out);
    return;
  }
  const std::size_t P = row.panel_columns;
  Buffer<float> columns(depth * P);
  Buffer<std::byte> panel(row.hidden_panel_bytes(depth, depth));
  for (std::size_t first = 0; first < count; first += P) {
    const std::size_t width = std::min(P, count - first);
    for (std::size_t k = 0; k < depth; ++k)
      std::copy_n(x + k * count + first, width, columns.data() + k * P);
    row.columns_to_panel(columns.data(), depth, panel.data());
    row.columns_add(w, panel.data(), c + first, count, width);
  }
}

}  // namespace gmixer
