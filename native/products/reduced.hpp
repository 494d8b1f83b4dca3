// Rows of reduced precision. Their operands hold fewer bits than a float; everything else stays float. So floats are
// converted just before a product reads them:
//   norm2 → tiles            row by row: the normalised channels of a row are computed twice, not stored
//   norm1 → panels           as floats. fc1 of token mixing converts the panel when a thread picks it up
//   fc1 → tiles or a panel   as floats in the working memory; converted once all rows or columns are whole. Tiles of
//                            bfloat16 need no scale: they are written at once
//
// The arithmetic A (tile.hpp) also has
//   A::store(to, x)     converts a vector to `lanes` elements that lie side by side
//   A::store_run(to, x) the same for all vectors of a run, where that is faster
//   A::words(x)         converts `group` vectors, one for each element of a group
// and with integers
//   A::Magnitudes       bits of the largest magnitudes so far, compared as integers: no NaN is dropped
#pragma once

#include <limits>

#include "layernorm.hpp"
#include "products.hpp"
#include "tile.hpp"

namespace gmixer {

// The factor to integers, and the scale that turns them back. A row of nothing but magnitudes below 1e-30 counts as
// zeros. NaN or infinity makes the scale NaN: each result of that row or column is then NaN, never a wrong number.
template <class I>
[[gnu::always_inline]] inline void scales_of(typename I::Vec largest, typename I::Vec& factor,
                                             typename I::Vec& scale) {
  using Vec = typename I::Vec;
  const Vec zero = I::set1(0.0f), least = I::set1(1e-30f);
  factor = I::select_below(largest, least, zero, I::set1(127.0f) / largest);
  scale = I::select_below(largest, least, zero, largest * I::set1(1.0f / 127.0f)) + (largest - largest);
}

// Makes the last group of row r whole. Vectors have written zeros there, unless a group is wider than they are.
template <class A>
[[gnu::always_inline]] inline void fill_last_group(std::byte* tile, std::size_t r, std::size_t depth) {
  using L = Layout<typename A::Element>;
  auto* to = reinterpret_cast<typename A::Element*>(tile);
  for (std::size_t k = round_up(depth, A::lanes); k < round_up(depth, L::group); ++k)
    to[L::tile_offset(A::tile_rows, r, k)] = {};
}

// at(k): a vector of elements k … k + lanes - 1; zeros beyond depth. Writes row r of a tile.
template <class A, class At>
[[gnu::always_inline]] inline void convert_row(const At& at, std::size_t depth, std::byte* tile, std::size_t r) {
  using I = typename A::Isa;
  using L = Layout<typename A::Element>;
  auto* to = reinterpret_cast<typename A::Element*>(tile);
  [[maybe_unused]] typename A::Vec factor;
  if constexpr (A::integer) {
    typename A::Magnitudes largest[2] = {};  // two chains hide the latency
    std::size_t k = 0;
    for (; k + 2 * A::lanes <= depth; k += 2 * A::lanes)
      for (std::size_t i = 0; i < 2; ++i) largest[i] = A::larger(largest[i], at(k + i * A::lanes));
    for (; k < depth; k += A::lanes) largest[0] = A::larger(largest[0], at(k));
    typename A::Vec scale;
    scales_of<I>(I::set1(A::largest(A::larger(largest[0], A::magnitudes(largest[1])))), factor, scale);
    float scales[A::lanes];
    I::store(scales, scale);
    reinterpret_cast<float*>(tile + tile_element_bytes<A>(depth))[r] = scales[0];
  }
  const auto scaled = [&](std::size_t k) {
    if constexpr (A::integer) {
      return at(k) * factor;
    } else {
      return at(k);
    }
  };
  std::size_t k = 0;
  if constexpr (requires { A::store_run; })  // packs a whole run at once
    for (; k + L::run <= depth; k += L::run) {
      typename A::Vec x[L::run / A::lanes];
      for (std::size_t i = 0; i < L::run / A::lanes; ++i) x[i] = scaled(k + i * A::lanes);
      A::store_run(to + L::tile_offset(A::tile_rows, r, k), x);
    }
  for (; k < depth; k += A::lanes) A::store(to + L::tile_offset(A::tile_rows, r, k), scaled(k));
  fill_last_group<A>(tile, r, depth);
}

template <class A>
void reduced_norm_to_tiles(const float* x, std::size_t rows, std::size_t channels, const float* gamma,
                           const float* beta, std::byte* tiles) {
  using I = typename A::Isa;
  for (std::size_t r = 0; r < rows; ++r) {
    const NormRow<I> row = measure_row<I>(x + r * channels, channels, gamma, beta);
    convert_row<A>([&](std::size_t c) { return row.at(c); }, channels, tiles + r / A::tile_rows * tile_bytes<A>(channels),
                   r % A::tile_rows);
  }
}

template <class A>
void reduced_rows_to_tiles(const float* x, std::size_t rows, std::size_t depth, std::byte* tiles) {
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = x + r * depth;
    const auto at = [&](std::size_t k) {
      if (k + A::lanes <= depth) return A::Isa::load(row + k);
      float rest[A::lanes] = {};
      for (std::size_t i = 0; k + i < depth; ++i) rest[i] = row[k + i];
      return A::Isa::load(rest);
    };
    convert_row<A>(at, depth, tiles + r / A::tile_rows * tile_bytes<A>(depth), r % A::tile_rows);
  }
}

// floats: tiles of floats. tiles: the same in A's elements.
template <class A>
void convert_tiles(const std::byte* floats, std::size_t rows, std::size_t depth, std::byte* tiles) {
  using L = Layout<float>;
  for (std::size_t r = 0; r < rows; ++r) {
    const float* from = reinterpret_cast<const float*>(floats) + r / A::tile_rows * L::tile_elements(A::tile_rows, depth);
    convert_row<A>([&](std::size_t k) { return A::Isa::load(from + L::tile_offset(A::tile_rows, r % A::tile_rows, k)); },
                   depth, tiles + r / A::tile_rows * tile_bytes<A>(depth), r % A::tile_rows);
  }
}

// from: a panel of floats, [depth][P]. panel: the same in A's elements, with a scale of each column.
template <class A>
void convert_panel(const float* from, std::size_t depth, std::byte* panel) {
  using I = typename A::Isa;
  constexpr std::size_t group = Layout<typename A::Element>::group, P = 2 * A::lanes;
  for (std::size_t v = 0; v < 2; ++v) {
    const auto at = [&](std::size_t k) { return I::load(from + k * P + v * A::lanes); };
    [[maybe_unused]] typename A::Vec factor;
    if constexpr (A::integer) {
      typename A::Magnitudes largest = {};
      for (std::size_t k = 0; k < depth; ++k) largest = A::larger(largest, at(k));
      typename A::Vec scale;
      scales_of<I>(A::magnitudes(largest), factor, scale);
      I::store(reinterpret_cast<float*>(panel + panel_element_bytes<A>(depth)) + v * A::lanes, scale);
    }
    std::byte* to = panel + v * A::lanes * kGroupBytes;
    for (std::size_t k = 0; k < depth; k += group, to += P * kGroupBytes) {
      typename A::Vec x[group];
      for (std::size_t i = 0; i < group; ++i) {
        x[i] = k + i < depth ? at(k + i) : I::set1(0.0f);
        if constexpr (A::integer) x[i] = x[i] * factor;
      }
      A::store_words(to, A::words(x));
    }
  }
}

template <class A>
constexpr std::size_t panel_bytes_of(std::size_t depth) {
  return round_up(panel_element_bytes<A>(depth) + (A::integer ? 2 * A::lanes * sizeof(float) : 0), kLineBytes);
}
template <class A>
constexpr std::size_t float_panel_bytes(std::size_t depth) {
  return depth * 2 * A::lanes * sizeof(float);
}

template <class A>
std::size_t reduced_panel_bytes(std::size_t depth) {
  return float_panel_bytes<A>(depth);  // as norm_to_panels writes it
}
template <class A>
std::size_t reduced_hidden_tile_bytes(std::size_t, std::size_t outputs) {
  const std::size_t floats = A::integer ? Layout<float>::tile_elements(A::tile_rows, outputs) : 0;
  return tile_bytes<A>(outputs) + floats * sizeof(float);
}
// The panel of fc2, then the floats that it is converted from (fc1 writes whole tiles), then the panel of fc1.
template <class A>
std::size_t reduced_hidden_panel_bytes(std::size_t inputs, std::size_t outputs) {
  return panel_bytes_of<A>(outputs) + round_up(float_panel_bytes<A>(round_up(outputs, A::tile_rows)), kLineBytes) +
         panel_bytes_of<A>(inputs);
}
template <class A>
std::size_t reduced_weight_bytes(Form form, std::size_t depth) {
  const std::size_t width = form == Form::panels ? 2 * A::lanes : A::tile_rows;
  const std::size_t elements = form == Form::panels ? panel_element_bytes<A>(depth) : tile_element_bytes<A>(depth);
  const std::size_t scales = A::integer ? width * (sizeof(float) + sizeof(std::int32_t)) : 0;
  return round_up(elements + scales, kLineBytes);
}

// FC1: rows_swiglu or rows_gelu.
template <class A, auto FC1>
void reduced_rows(const PackedLinear& w, const std::byte* a, std::size_t rows, std::byte* out) {
  if constexpr (A::integer) {
    std::byte* floats = out + ceil_div(rows, A::tile_rows) * tile_bytes<A>(w.outputs);
    FC1(w, a, rows, floats);
    convert_tiles<A>(floats, rows, w.outputs, out);
  } else {
    FC1(w, a, rows, out);
    for (std::size_t r = 0; r < rows; ++r)
      fill_last_group<A>(out + r / A::tile_rows * tile_bytes<A>(w.outputs), r % A::tile_rows, w.outputs);
  }
}

// FC1: columns_swiglu or columns_gelu.
template <class A, auto FC1>
void reduced_columns(const PackedLinear& w, const std::byte* x, std::byte* out) {
  std::byte* floats = out + panel_bytes_of<A>(w.outputs);
  std::byte* panel = floats + round_up(float_panel_bytes<A>(round_up(w.outputs, A::tile_rows)), kLineBytes);
  convert_panel<A>(reinterpret_cast<const float*>(x), w.depth, panel);
  FC1(w, panel, floats);
  convert_panel<A>(reinterpret_cast<const float*>(floats), w.outputs, out);
}

template <class A>
constexpr Products reduced_row(const char* isa, const char* precision, const char* extension) {
  return {
      .isa = isa,
      .precision = precision,
      .extension = extension,
      .tile_rows = A::tile_rows,
      .panel_columns = 2 * A::lanes,
      .run = Layout<typename A::Element>::run,
      // The magnitude of a sum, or of a part of one, is at most depth · 128 · 127.
      .max_depth = A::integer ? std::size_t{1} << 17 : std::numeric_limits<std::size_t>::max(),
      .tile_bytes = tile_bytes<A>,
      .panel_bytes = reduced_panel_bytes<A>,
      .hidden_tile_bytes = reduced_hidden_tile_bytes<A>,
      .hidden_panel_bytes = reduced_hidden_panel_bytes<A>,
      .weight_bytes = reduced_weight_bytes<A>,
      .pack_weight = nullptr,
      .pack_quantized = nullptr,
      .rows_to_tiles = reduced_rows_to_tiles<A>,
      .columns_to_panel = convert_panel<A>,
      .rows_swiglu = reduced_rows<A, rows_swiglu<A>>,
      .rows_gelu = reduced_rows<A, rows_gelu<A>>,
      .rows_add = rows_to_matrix<A, true>,
      .columns_swiglu = reduced_columns<A, columns_swiglu<A>>,
      .columns_gelu = reduced_columns<A, columns_gelu<A>>,
      .columns_add = columns_add<A>,
      .norm_to_tiles = reduced_norm_to_tiles<A>,
      .norm_to_panels = norm_to_panels<typename A::Isa>,
      .rows_store = nullptr,
      .norm_to_rows = nullptr,
      .mean_rows = nullptr,
      .group = Layout<typename A::Element>::group,
      .multiply_adds = multiply_adds<A>,
  };
}

}  // namespace gmixer
