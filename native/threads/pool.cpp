#include "pool.hpp"

namespace gmixer {
namespace {

// About 20 µs of waiting before the thread sleeps: phases of a forward pass follow each other faster than that, and
// waking a sleeper costs more.
constexpr int kSpins = 1000;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once word differs from old.
void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  word.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(std::size_t threads) {
  for (std::size_t thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { serve(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(std::size_t items, Call call, const void* body) {
  if (workers_.empty() || items <= 1) {
    for (std::size_t item = 0; item < items; ++item) call(body, item, 0);
    return;
  }
  const std::uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  // The last job is over, so no worker holds an item of it; one still awake reads these and then fails to take a
  // ticket of the old number.
  call_.store(call, std::memory_order_relaxed);
  body_.store(body, std::memory_order_relaxed);
  items_.store(static_cast<std::uint32_t>(items), std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(std::uint64_t{job} << 32, std::memory_order_release);
  job_.store(job, std::memory_order_release);
  job_.notify_all();

  work(0, job);
  for (std::uint32_t done; (done = done_.load(std::memory_order_acquire)) != items;) wait_while(done_, done);
}

void ThreadPool::work(std::size_t thread, std::uint32_t job) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while (ticket >> 32 == job) {
    const std::uint32_t items = items_.load(std::memory_order_relaxed);
    const Call call = call_.load(std::memory_order_relaxed);
    const void* body = body_.load(std::memory_order_relaxed);
    const std::uint32_t item = static_cast<std::uint32_t>(ticket);
    if (item >= items) return;
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    call(body, item, thread);
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == items) done_.notify_one();
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::serve(std::size_t thread) {
  for (std::uint32_t seen = 0;;) {
    wait_while(job_, seen);
    seen = job_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    work(thread, seen);
  }
}

}  // namespace gmixer
