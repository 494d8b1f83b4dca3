// On every fp32 row of the table, the loop that measures the ceiling does all of its multiply-adds, and the ceiling
// counts every thread.
#include "products/ceiling.hpp"

#include <cmath>
#include <cstdio>
#include <string>

#include "dispatch.hpp"

namespace {

long failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "%s\n", what.c_str());
}

// The sum that multiply_adds must give. Every number in it is a multiple of 2^-12 below 2^12, so the floats are exact.
double wanted(const gmixer::Products& products, std::size_t steps) {
  double sum = 0;
  for (std::size_t r = 0; r < products.tile_rows; ++r)
    for (std::size_t v = 0; v < 2; ++v) sum += 1.0 + r + v + steps / 1024.0 * (v ? 0.75 : 0.5);
  return sum * products.panel_columns / 2;
}

}  // namespace

int main() {
  std::string isas;
  for (const std::string& isa : gmixer::available_isas("fp32")) {
    isas += (isas.empty() ? "" : ", ") + isa;
    const gmixer::Products& products = gmixer::find_products(isa, "fp32");
    for (const std::size_t steps : {0, 1, 2, 1000, 4096}) {
      const double got = products.multiply_adds(steps);
      const double want = wanted(products, steps);
      const std::string where = isa + ", " + std::to_string(steps) + " steps: ";
      expect(std::abs(got - want) <= 1e-6 * want, where + std::to_string(got) + ", wanted " + std::to_string(want));
    }
    for (const std::size_t threads : {1, 2, 4}) {  // more threads than processors, too
      const double flops = gmixer::ceiling(products, threads, 0.01);
      expect(std::isfinite(flops) && flops > 0, isa + ": a ceiling of " + std::to_string(flops));
    }
  }
  std::printf("ceiling_check: %s\n", isas.c_str());
  return failures != 0;
}
