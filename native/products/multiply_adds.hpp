// Dots on registers alone, in the shape of the register tile. This is what a product would cost if its
// operands took no time to fetch.
#pragma once

#include <cstddef>
#include <utility>

#include "forget.hpp"

namespace gmixer {

// steps · tile_rows · panel_columns · group of them, in as many independent sums as the tile has. For up to 2^16 steps,
// floats stay between 1 and 100 and integers below 2^31. Returns a sum of all, so the compiler can leave none out.
template <class A>
float multiply_adds(std::size_t steps) {
  // Each row by a constant index: a loop that is unrolled late leaves the sums in memory.
  return [&]<std::size_t... R>(std::index_sequence<R...>) {
    typename A::Sum sums[A::tile_rows][2] = {{A::first_sum(1 + R), A::first_sum(2 + R)}...};
    auto a = A::small_operand(), b0 = a, b1 = a;
    forget(b0);
    forget(b1);
    for (std::size_t step = 0; step < steps; ++step)
      ((forget(a),  // as if it belonged to another row
        sums[R][0] = A::dot(sums[R][0], a, b0), forget(sums[R][0]),  // forgotten: else GCC stores sums of integers
        sums[R][1] = A::dot(sums[R][1], a, b1), forget(sums[R][1])),
       ...);
    return (A::Isa::sum(A::to_floats(sums[R][0]) + A::to_floats(sums[R][1])) + ...);
  }(std::make_index_sequence<A::tile_rows>());
}

}  // namespace gmixer
