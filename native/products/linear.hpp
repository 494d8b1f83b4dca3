// One linear layer on its own, for checks of a row of products against the same sums elsewhere.
#pragma once

#include "pack.hpp"

namespace gmixer {

// rows: x [count][depth] → c [count][out]. columns: x [depth][count] → c [out][count]. W is packed in the form that the
// product reads; no bias. scales: of each row of W; quantized is then used, else weight.
struct Linear {
  const Products& row;
  Form form;
  std::size_t out, depth;
  const float* weight;
  const std::int8_t* quantized;
  const float* scales;

  void operator()(const float* x, std::size_t count, float* c) const;
};

}  // namespace gmixer
