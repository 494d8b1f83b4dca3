// Memory for weights, operands and results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "layout.hpp"

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>  // its macros are empty unless the address sanitizer is on
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes)
#endif

namespace gmixer {

// Zeroed elements that start on a cache line. calloc takes fresh pages from the system, and these are zero already.
template <class Element>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t elements) : block_(std::calloc(elements * sizeof(Element) + kLineBytes, 1)) {
    if (!block_) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(block_.get());
    data_ = reinterpret_cast<Element*>(round_up(address, kLineBytes));
    [[maybe_unused]] const std::size_t before = round_up(address, kLineBytes) - address;
    ASAN_POISON_MEMORY_REGION(block_.get(), before);  // the slack around the elements is out of bounds
    ASAN_POISON_MEMORY_REGION(data_ + elements, kLineBytes - before);
  }
  Element* data() { return data_; }
  const Element* data() const { return data_; }

 private:
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  std::unique_ptr<void, Free> block_;
  Element* data_ = nullptr;
};

}  // namespace gmixer
