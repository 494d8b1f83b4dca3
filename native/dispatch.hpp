// Finds the rows of the kernel tables by name, if this CPU can run them. gmixer/isa.py chooses the name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pixels/pixel_kernels.hpp"
#include "products/products.hpp"

namespace gmixer {

// ISAs that this CPU can run in that precision, best first. Throws std::invalid_argument for an unknown precision.
std::vector<std::string> available_isas(const std::string& precision);

// The extensions of the rows of that ISA and precision that this CPU can run, best first.
std::vector<std::string> available_extensions(const std::string& isa, const std::string& precision);

// The row of that name: the best one, or the one with that extension. They throw std::invalid_argument, with the ISAs that are available.
const Products& find_products(const std::string& isa, const std::string& precision,
                              const std::optional<std::string>& extension = std::nullopt);
const PixelKernels& find_pixels(const std::string& isa);

// What a network of that precision runs on.
ProductRows find_rows(const std::string& isa, const std::string& precision,
                      const std::optional<std::string>& extension = std::nullopt);

}  // namespace gmixer
