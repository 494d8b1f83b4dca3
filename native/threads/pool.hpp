// A small pool for many short phases: the caller works too, and waits for items, never for a late worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace gmixer {

// How many forks lie between this process and the one that loaded the core: a number that a child sees change. Not a
// process id, which costs a system call and comes round again.
unsigned forks();

// Not for a child of the process that made it: fork copies no thread. There, leave it alone, and do not destroy it.
class ThreadPool {
 public:
  // threads: the caller included, at least 1. Throws std::system_error if the system gives no more of them.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return workers_.size() + 1; }

  // Calls body(item, thread) for every item in [0, items), on whichever thread is free; returns when all are done.
  // thread is in [0, threads()). One run at a time; body must not throw.
  template <class Body>
  void run(std::size_t items, const Body& body) {
    run_erased(items, [](const void* b, std::size_t item, std::size_t thread) {
      (*static_cast<const Body*>(b))(item, thread);
    }, &body);
  }

 private:
  using Call = void (*)(const void* body, std::size_t item, std::size_t thread);

  void run_erased(std::size_t items, Call call, const void* body);
  void work(std::size_t thread, std::uint32_t job);
  void stop();
  void serve(std::size_t thread);

  // The job's number and its untaken items share one word, so that a worker that wakes up late can take an item of the
  // job it knows, or none. It counts down: nothing of a finished job is left to take, whatever else has changed since.
  std::atomic<std::uint64_t> ticket_{0};  // job << 32 | untaken items
  std::atomic<std::uint32_t> job_{0};     // workers sleep on this
  std::atomic<std::uint32_t> undone_{0};  // the caller sleeps on this
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> body_{nullptr};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace gmixer
