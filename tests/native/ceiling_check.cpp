// On every row of products, the loop that measures the ceiling does all of its multiply-adds, and the ceiling counts
// every thread.
#include "products/ceiling.hpp"

#include <cmath>
#include <cstdio>
#include <string>

#include "every_row.hpp"

namespace {

long failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "%s\n", what.c_str());
}

// The sum that multiply_adds must give. Operands are 2^-5 as floats and 1 as integers. Every number is a multiple of
// 2^-10 below 2^14, or an integer below 2^24. So all of them are exact in float32.
double wanted(const gmixer::Products& products, std::size_t steps) {
  const bool integer = products.precision == std::string("int8");
  const double step = static_cast<double>(products.group) * (integer ? 1 : 0x1p-10);
  double sum = 0;
  for (std::size_t r = 0; r < products.tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) sum += static_cast<double>(1 + r + v) + static_cast<double>(steps) * step;
  return sum * static_cast<double>(products.panel_columns) / 2;
}

}  // namespace

int main() {
  const std::vector<Row> rows = every_row();
  for (const Row& row : rows) {
    const gmixer::Products& products = row.products();
    for (const std::size_t steps : {0, 1, 2, 1000, 4096}) {
      const double got = products.multiply_adds(steps), want = wanted(products, steps);
      const std::string where = row.name() + ", " + std::to_string(steps) + " steps: ";
      expect(got == want, where + std::to_string(got) + ", wanted " + std::to_string(want));
    }
    for (const std::size_t threads : {1, 2, 4}) {  // more threads than processors, too
      const double operations = gmixer::ceiling(products, threads, 0.01);
      expect(std::isfinite(operations) && operations > 0, row.name() + ": a ceiling of " + std::to_string(operations));
    }
  }
  std::printf("ceiling_check: %s\n", listed(rows).c_str());
  return failures != 0;
}
