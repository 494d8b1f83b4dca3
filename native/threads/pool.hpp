// A small pool of threads for many short jobs. The caller works too. It waits for items, never for a late worker.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace gmixer {

// The number of forks between the process that loaded the core and this one. A child sees another number than its
// parent. A process id would cost a system call, and the system reuses ids.
unsigned forks();

// A child of the process that made the pool must neither use nor destroy it: fork copies no thread.
class ThreadPool {
 public:
  // threads: at least 1; the caller counts. Throws std::system_error if the system gives no more threads.
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t threads() const { return workers_.size() + 1; }

  // Calls body(item, thread) for every item in [0, items), on any free thread. Returns when all items are done. thread
  // is in [0, threads()). One run at a time. body must not throw.
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

  // The number of the job and the count of its untaken items share one word. So a worker that wakes up late takes an
  // item of the job that it knows, or none. The count goes down to 0: a finished job has no item left to take.
  std::atomic<std::uint64_t> ticket_{0};  // job << 32 | untaken items
  std::atomic<std::uint32_t> job_{0};     // workers sleep on this
  std::atomic<std::uint32_t> undone_{0};  // the caller sleeps on this
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> body_{nullptr};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace gmixer
