/// \file
/// Threads that meet inside a call: a pool that gives each part a thread of its own, and a score in
/// which all of them wait for each other once, when each has read the logits of its first tile. Two
/// parts that share memory are seen in every run, and not only in an unlucky one.
#pragma once

#include <hence/core/math.hpp>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace meeting {

inline std::atomic<std::int64_t> missing{0};

struct pool {
  template <class F> void parallel_for(std::int64_t n, F&& f) const {
    missing = n;
    std::vector<std::thread> threads;
    for (std::int64_t i = 0; i < n; ++i) threads.emplace_back([&f, i] { f(i); });
    for (auto& t : threads) t.join();
    missing = 0;
  }
};

struct sigmoid {
  auto operator()(const auto& z) const {
    thread_local bool has_met = false;
    if (missing > 0 && !has_met) {
      has_met = true;
      --missing;
      for (int i = 0; missing > 0 && i < 1000000; ++i) std::this_thread::yield();
    }
    return hence::sigmoid(z);
  }
};

}  // namespace meeting
