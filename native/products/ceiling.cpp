#include "ceiling.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "../threads/pool.hpp"

namespace gmixer {
namespace {

constexpr std::size_t kSteps = 4096;  // between two readings of the clock: some 10 µs

}  // namespace

double ceiling(const Products& products, std::size_t threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  const double step_flops = 2.0 * products.tile_rows * products.panel_columns * products.group;
  ThreadPool pool(threads);
  std::vector<double> flops_per_second(threads);
  std::atomic<std::size_t> ready{0};
  pool.run(threads, [&](std::size_t item, std::size_t) {
    // A thread with an item waits until every thread has one. So all of them compute at the same time.
    ready.fetch_add(1);
    while (ready.load() < threads) std::this_thread::yield();
    volatile float sum;  // written, so a compiler that sees all files at once cannot leave the work out
    const Clock::time_point begin = Clock::now();
    double steps = 0, elapsed = 0;
    do {
      sum = products.multiply_adds(kSteps);
      steps += kSteps;
      elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    } while (elapsed < seconds);
    (void)sum;
    flops_per_second[item] = steps * step_flops / elapsed;
  });
  double together = 0;
  for (const double of_thread : flops_per_second) together += of_thread;
  return together;
}

}  // namespace gmixer
