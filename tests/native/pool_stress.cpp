// Runs short jobs of 2 and of 64 items in turn. Fails unless every item runs exactly once, in its own job.
// Usage: pool_stress THREADS MILLISECONDS
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "threads/pool.hpp"

int main(int, char** arguments) {
  const std::size_t threads = std::atoi(arguments[1]);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::atoi(arguments[2]));
  gmixer::ThreadPool pool(threads);
  const std::unique_ptr<std::atomic<int>[]> ran(new std::atomic<int>[64]);
  long jobs = 0, wrong = 0;
  while (std::chrono::steady_clock::now() < end)
    for (int burst = 0; burst < 1000; ++burst, ++jobs) {
      const std::size_t items = jobs % 2 ? 64 : 2;
      for (std::size_t i = 0; i < items; ++i) ran[i].store(0);
      pool.run(items, [&](std::size_t item, std::size_t thread) {
        if (thread >= threads) std::abort();
        ran[item].fetch_add(1);
      });
      for (std::size_t i = 0; i < items; ++i) wrong += ran[i].load() != 1;
    }
  std::printf("pool_stress: %ld jobs on %zu threads, %ld items not run once\n", jobs, threads, wrong);
  return wrong != 0;
}
