/// \file
/// `thread_pool`: std::thread workers that sleep when idle, for programs that have no pool of their
/// own.
#pragma once

#include <hence/core/check.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace hence::inline v0 {

/// A fixed set of threads with one `parallel_for` at a time; nothing spins. A call made while
/// another runs (nested, or from a second thread) runs in its own thread, so it never waits and
/// never deadlocks.
/// \tparam Exceptions, Isa keep translation units apart that are compiled differently.
template <bool Exceptions = detail::exceptions_enabled, class Isa = native_isa>
class basic_thread_pool {
 public:
  /// \param threads in all, the caller's included; 0 asks the machine.
  explicit basic_thread_pool(int threads = 0) {
    if (threads < 0)
      detail::refuse(detail::message()
                     << "hence: threads is " << std::int64_t{threads} << ", expected 0 or more");
    if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  basic_thread_pool(const basic_thread_pool&) = delete;
  basic_thread_pool& operator=(const basic_thread_pool&) = delete;
  ~basic_thread_pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

  /// Threads that take part, the caller's included.
  int size() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls f(0) ... f(n - 1) in any order and returns when all are done. The first exception that
  /// an f throws is thrown again here, after the others have ended.
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    bool idle = false;
    if (n <= 1 || workers_.empty() || !busy_.compare_exchange_strong(idle, true)) {
      for (std::int64_t i = 0; i < n; ++i) f(i);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      call_ = [](void* function, std::int64_t i) {
        (*static_cast<std::remove_reference_t<F>*>(function))(i);
      };
      function_ = const_cast<void*>(static_cast<const void*>(&f));
      next_ = 0;
      end_ = n;
      running_ = static_cast<int>(workers_.size());
      ++round_;
    }
    wake_.notify_all();
    drain();
    std::exception_ptr error;
    {
      std::unique_lock lock(mutex_);
      done_.wait(lock, [this] { return running_ == 0; });
      error = error_;
      error_ = nullptr;
    }
    busy_ = false;
#if defined(__cpp_exceptions)
    if (error) std::rethrow_exception(error);
#endif
  }

 private:
  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || round_ != seen; });
        if (stop_) return;
        seen = round_;
      }
      drain();
      const std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }
  void drain() {
    for (std::int64_t i; (i = next_.fetch_add(1)) < end_;) {
#if defined(__cpp_exceptions)
      try {
        call_(function_, i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
#else
      call_(function_, i);
#endif
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  void (*call_)(void*, std::int64_t) = nullptr;
  void* function_ = nullptr;
  std::atomic<std::int64_t> next_{0};
  std::int64_t end_ = 0;
  std::uint64_t round_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::exception_ptr error_;
  std::atomic<bool> busy_{false};
};

/// The one for the exceptions and the instruction set of this translation unit.
using thread_pool = basic_thread_pool<>;

}  // namespace hence::inline v0
