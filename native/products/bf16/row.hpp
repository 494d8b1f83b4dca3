// Makes the bf16 row of an ISA. Included by each bf16/<isa>….cpp, which defines the arithmetic A (tile.hpp, reduced.hpp)
// in an unnamed namespace. Sums are floats and cut as in fp32. A CPU's own dots may flush subnormals and round once for
// two products, so the rows of two ISAs agree within a bound, not bit by bit.
#pragma once

#include "../mean.hpp"
#include "../multiply_adds.hpp"
#include "../reduced.hpp"

namespace gmixer {

template <class A>
constexpr Products bf16_row(const char* isa, const char* extension) {
  Products row = reduced_row<A>(isa, "bf16", extension);
  row.pack_weight = pack_elements<Bf16>;
  return row;
}

}  // namespace gmixer
