// Weights, packed once at load into the layout the micro-kernel reads.
#pragma once

#include <cstddef>

#include "products.hpp"
#include "layout.hpp"

namespace gmixer {

// A linear layer y = W·x + b, W [out][depth] as in the checkpoint.
//
// gated: W's first half are values, its second half gates. A part then holds as many gates as values, so that the
// activation finds both in one register tile; `outputs` counts after the gate.
struct PackedLinear {
  enum class Form { panels, tiles };  // panels: for `rows` products; tiles: for `columns` products

  PackedLinear() = default;
  PackedLinear(Form form, const Kernels& kernels, std::size_t out, std::size_t depth, bool gated);

  // rows: W [out][depth], row-major, whole; packs the rows of one part. Parts may be packed by several threads at once.
  void pack_weight(std::size_t part, const float* rows);
  void pack_bias(const float* values);  // [out]
  // Cuts the sums evenly, none longer than this. 128 until it is called.
  void cut_sums(std::size_t longest);

  const float* weight_of(std::size_t part) const { return weight.data() + part * part_floats; }
  const float* bias_of(std::size_t part) const { return bias.data() + part * part_width; }
  // Rows of a tile that exist; gates included.
  std::size_t rows_of(std::size_t part) const {
    const std::size_t per_part = gated ? part_width / 2 : part_width;
    const std::size_t left = outputs - part * per_part;
    return (left < per_part ? left : per_part) * (gated ? 2 : 1);
  }

  Form form = Form::panels;
  bool gated = false;
  std::size_t out = 0;      // rows of W
  std::size_t depth = 0;    // K
  std::size_t outputs = 0;  // out, or out / 2 when gated
  std::size_t parts = 0;    // tiles or panels
  std::size_t part_width = 0;
  std::size_t part_floats = 0;
  // A sum over k is cut into sums of this length, since the rounding error of one long sum grows faster than that of a
  // sum of sums. A multiple of kRun; a property of the layer, never of batch or threads.
  std::size_t sum_length = 0;
  Buffer weight, bias;

 private:
  // Calls body(row of W, its place in the part) for every row of the part.
  template <class Body>
  void for_rows_of(std::size_t part, const Body& body) const;
};

}  // namespace gmixer
