// The arithmetic ceiling of this machine: what no product on these threads can exceed.
#pragma once

#include <cstddef>

#include "products.hpp"

namespace gmixer {

// Multiply-adds on registers for that long, on all threads at once → floating-point operations a second of all
// together; a multiply-add counts as two. Throws std::system_error if the system gives no more threads.
double ceiling(const Kernels& kernels, std::size_t threads, double seconds);

}  // namespace gmixer
