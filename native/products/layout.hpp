// How operands lie in memory so that one micro-kernel serves every product.
//
// tile   up to R = tile_rows rows, K deep:     [ceil(K/16)][R][16]  row r, element k at (k/16)·R·16 + r·16 + k%16
// panel  P = panel_columns columns, K deep:    [K][P]
//
// Sixteen consecutive k of a row stay together: a LayerNorm or an activation writes whole vectors, and the
// micro-kernel reads every row of a tile at a constant offset from one pointer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>  // its macros are empty unless the address sanitizer is on
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes)
#endif

namespace gmixer {

inline constexpr std::size_t kRun = 16;
inline constexpr std::size_t kLineFloats = 16;  // of a cache line

constexpr std::size_t ceil_div(std::size_t n, std::size_t by) { return (n + by - 1) / by; }
constexpr std::size_t round_up(std::size_t n, std::size_t to) { return ceil_div(n, to) * to; }

constexpr std::size_t tile_floats(std::size_t tile_rows, std::size_t depth) {
  return round_up(depth, kRun) * tile_rows;
}
constexpr std::size_t tile_offset(std::size_t tile_rows, std::size_t row, std::size_t k) {
  return k / kRun * tile_rows * kRun + row * kRun + k % kRun;
}

// Zeroed floats on a cache line's boundary. calloc takes fresh pages from the system, which are zero already: weights
// are written once, by packing.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t floats) : block_(std::calloc(floats * sizeof(float) + kLine, 1)) {
    if (!block_) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(block_.get());
    data_ = reinterpret_cast<float*>(round_up(address, kLine));
    [[maybe_unused]] const std::size_t before = round_up(address, kLine) - address;
    ASAN_POISON_MEMORY_REGION(block_.get(), before);  // the slack around the floats is out of bounds
    ASAN_POISON_MEMORY_REGION(data_ + floats, kLine - before);
  }
  float* data() { return data_; }
  const float* data() const { return data_; }

 private:
  static constexpr std::size_t kLine = 64;
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  std::unique_ptr<void, Free> block_;
  float* data_ = nullptr;
};

// Row-major rows as tiles. Copies `depth` floats a row.
inline void rows_to_tiles(const float* x, std::size_t rows, std::size_t depth, std::size_t tile_rows, float* tiles) {
  for (std::size_t r = 0; r < rows; ++r) {
    float* tile = tiles + r / tile_rows * tile_floats(tile_rows, depth);
    for (std::size_t k = 0; k < depth; k += kRun) {
      const std::size_t run = depth - k < kRun ? depth - k : kRun;
      std::memcpy(tile + tile_offset(tile_rows, r % tile_rows, k), x + r * depth + k, run * sizeof(float));
    }
  }
}

}  // namespace gmixer
