// The arithmetic ceiling of this machine: no product on these threads can exceed it.
#pragma once

#include <cstddef>

#include "products.hpp"

namespace gmixer {

// Runs multiply-adds on registers for that long, on all threads at once. Returns the operations per second of all
// threads together. A multiply-add counts as two. Throws std::system_error if the system gives no more threads.
double ceiling(const Products& products, std::size_t threads, double seconds);

}  // namespace gmixer
