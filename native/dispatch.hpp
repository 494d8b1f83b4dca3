// Picks a row of the kernel table at run time.
#pragma once

#include <string>
#include <vector>

#include "products/products.hpp"

namespace gmixer {

// Names of the rows that this processor can run, best first.
std::vector<std::string> available_isas();

// The best row, or the one named. Throws std::invalid_argument that lists those present.
const Kernels& choose_kernels(const std::string& isa);

}  // namespace gmixer
