#include "pool.hpp"

#include <pthread.h>

#include <new>

namespace gmixer {
namespace {

// A thread waits about 20 µs before it sleeps. The jobs of a forward pass follow each other faster than that, and it
// costs more to wake a thread.
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

std::atomic<unsigned> fork_count{0};
const int counts_forks = pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

unsigned forks() {
  if (counts_forks) throw std::bad_alloc();  // pthread_atfork fails only for lack of memory
  return fork_count.load(std::memory_order_relaxed);
}

ThreadPool::ThreadPool(std::size_t threads) {
  try {
    for (std::size_t thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { serve(thread); });
  } catch (...) {
    stop();  // a std::thread that is destroyed before it is joined ends the process
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
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
  call_.store(call, std::memory_order_relaxed);
  body_.store(body, std::memory_order_relaxed);
  undone_.store(static_cast<std::uint32_t>(items), std::memory_order_relaxed);
  ticket_.store(std::uint64_t{job} << 32 | items, std::memory_order_release);
  job_.store(job, std::memory_order_release);
  job_.notify_all();

  work(0, job);
  for (std::uint32_t undone; (undone = undone_.load(std::memory_order_acquire)) != 0;) wait_while(undone_, undone);
}

void ThreadPool::work(std::size_t thread, std::uint32_t job) {
  for (std::uint64_t ticket = ticket_.load(std::memory_order_acquire);;) {
    const std::uint32_t untaken = static_cast<std::uint32_t>(ticket);
    if (ticket >> 32 != job || untaken == 0) return;
    // If the exchange succeeds, an item was still untaken. So the job was not over, and call and body belong to it.
    const Call call = call_.load(std::memory_order_relaxed);
    const void* body = body_.load(std::memory_order_relaxed);
    if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
    call(body, untaken - 1, thread);
    if (undone_.fetch_sub(1, std::memory_order_acq_rel) == 1) undone_.notify_one();
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
