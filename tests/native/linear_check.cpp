// Products of integers on every int8 row that this CPU supports, bit by bit: plain loops give the same sums. A row of
// activations with NaN or infinity gives NaN, and changes no other. Sums that could overflow are refused.
//
// M rows of activations (columns in the other form), N outputs, K depth.
#include "products/linear.hpp"

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "every_row.hpp"
#include "products/int8/quantize.hpp"

namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::int8_t>;

long failures = 0, products = 0;

void fail(const std::string& what) {
  if (++failures <= 20) std::fprintf(stderr, "linear_check: %s\n", what.c_str());
}

struct Shape {
  std::size_t M, N, K;
};
// Tiles have 4, 6, 12 or 14 rows, panels 2 to 32 columns, runs 32 or 64 elements, groups 2 or 4.
const Shape kShapes[] = {{1, 1, 1}, {2, 3, 2}, {3, 2, 5}, {5, 7, 15}, {12, 13, 33}, {14, 31, 64},
                         {15, 33, 65}, {17, 32, 127}, {29, 35, 130}, {33, 15, 196}};

Floats drawn(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  Floats values(count);
  for (float& value : values) value = draw(random);
  return values;
}

// x [M][K], or turned for columns. Returns [M][N].
Floats multiply(const Row& row, gmixer::Form form, Shape s, const Floats& x, const Bytes& w, const Floats& scales) {
  const bool columns = form == gmixer::Form::tiles;
  Floats turned(x.size()), c(s.M * s.N), out(s.M * s.N);
  for (std::size_t m = 0; m < s.M; ++m)
    for (std::size_t k = 0; k < s.K; ++k) turned[k * s.M + m] = x[m * s.K + k];
  gmixer::Linear{row.products(), form, s.N, s.K, nullptr, w.data(), scales.data()}(columns ? turned.data() : x.data(),
                                                                                    s.M, c.data());
  for (std::size_t m = 0; m < s.M; ++m)
    for (std::size_t n = 0; n < s.N; ++n) out[m * s.N + n] = c[columns ? n * s.M + m : m * s.N + n];
  return out;
}

// The same in plain loops. Rows are finite, and not zeros.
Floats wanted(Shape s, const Floats& x, const Bytes& w, const Floats& scales) {
  Floats c(s.M * s.N);
  for (std::size_t m = 0; m < s.M; ++m) {
    float largest = 0;
    for (std::size_t k = 0; k < s.K; ++k) largest = std::fmax(largest, std::fabs(x[m * s.K + k]));
    const float factor = 127.0f / largest, scale = largest * (1.0f / 127.0f);
    for (std::size_t n = 0; n < s.N; ++n) {
      std::int32_t sum = 0;
      for (std::size_t k = 0; k < s.K; ++k)
        sum += static_cast<std::int32_t>(std::nearbyint(x[m * s.K + k] * factor)) * w[n * s.K + k];
      c[m * s.N + n] = static_cast<float>(sum) * (scale * scales[n]);
    }
  }
  return c;
}

void check_row(const Row& row, gmixer::Form form) {
  const std::string where = row.name() + (form == gmixer::Form::tiles ? ", columns" : ", rows");
  for (const Shape& s : kShapes) {
    const std::string shape = std::to_string(s.M) + " x " + std::to_string(s.N) + " x " + std::to_string(s.K);
    Floats x = drawn(s.M * s.K, 1), w = drawn(s.N * s.K, 2), scales(s.N);
    Bytes quantized(s.N * s.K);
    for (std::size_t n = 0; n < s.N; ++n)
      scales[n] = gmixer::quantize_row(w.data() + n * s.K, s.K, quantized.data() + n * s.K);
    const Floats exact = wanted(s, x, quantized, scales);
    if (multiply(row, form, s, x, quantized, scales) != exact) fail(where + ", " + shape + ": other sums");
    ++products;
    for (const float poison : {-std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const std::size_t bad = s.M / 2;
      Floats poisoned = x;
      poisoned[bad * s.K + s.K / 2] = poison;
      const Floats got = multiply(row, form, s, poisoned, quantized, scales);
      for (std::size_t i = 0; i < got.size(); ++i)
        if (i / s.N == bad ? !std::isnan(got[i]) : got[i] != exact[i])
          fail(where + ", " + shape + ": " + std::to_string(poison) + " in row " + std::to_string(bad) + " gives " +
               std::to_string(got[i]) + " in row " + std::to_string(i / s.N));
    }
  }

  // The largest sums there are: ±127 · ±127.
  const std::size_t depth = row.products().max_depth;
  Floats x(2 * depth, 1.0f);
  std::fill_n(x.begin(), depth, -1.0f);
  Bytes w(2 * depth, 127);
  std::fill_n(w.begin(), depth, std::int8_t{-127});
  const Floats ones(2, 1.0f);
  if (multiply(row, form, {2, 2, depth}, x, w, ones) != wanted({2, 2, depth}, x, w, ones))
    fail(where + ": the longest sums overflow");
  try {
    gmixer::PackedLinear(form, row.products(), 1, depth + 1, false);
    fail(where + ": took a product deeper than max_depth");
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace

int main() {
  const std::vector<Row> rows = rows_of("int8");
  for (const Row& row : rows)
    for (const gmixer::Form form : {gmixer::Form::panels, gmixer::Form::tiles}) check_row(row, form);
  std::printf("linear_check: %s; %ld products bit for bit\n", listed(rows).c_str(), products);
  if (failures) std::fprintf(stderr, "linear_check: %ld failures\n", failures);
  return failures != 0;
}
