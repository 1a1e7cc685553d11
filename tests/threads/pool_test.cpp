#include <hence/policy.hpp>
#include <hence/threads.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <vector>

TEST_CASE("every index is run once, whatever the number of threads") {
  for (const int threads : {1, 2, 3, 8}) {
    hence::thread_pool pool(threads);
    CHECK(pool.size() == threads);
    for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(n));
      pool.parallel_for(n, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const auto& r : runs) CHECK(r == 1);
    }
  }
}

TEST_CASE("a pool takes part in work with more than one thread") {
  hence::thread_pool pool(3);
  std::atomic<int> inside{0}, together{0};
  pool.parallel_for(3, [&](std::int64_t) {
    ++inside;
    const auto start = std::chrono::steady_clock::now();
    while (inside < 3 && std::chrono::steady_clock::now() - start < std::chrono::seconds(20))
      std::this_thread::yield();
    if (inside == 3) ++together;
  });
  CHECK(together == 3);
}

TEST_CASE("calls may be nested and may come from several threads") {
  hence::thread_pool pool(3);
  std::atomic<int> total{0};
  pool.parallel_for(8, [&](std::int64_t) { pool.parallel_for(8, [&](std::int64_t) { ++total; }); });
  CHECK(total == 64);
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int k = 0; k < 200; ++k) pool.parallel_for(5, [&](std::int64_t) { ++total; });
    });
  for (auto& c : callers) c.join();
  CHECK(total == 64 + 4 * 200 * 5);
}

TEST_CASE("an exception reaches the caller after the rest has run, and the pool lives on") {
  hence::thread_pool pool(3);
  std::atomic<int> runs{0};
  CHECK_THROWS_WITH_AS(pool.parallel_for(20,
                                         [&](std::int64_t i) {
                                           ++runs;
                                           if (i == 5) throw std::runtime_error("five");
                                         }),
                       "five", std::runtime_error);
  CHECK(runs == 20);
  pool.parallel_for(4, [&](std::int64_t) { ++runs; });
  CHECK(runs == 24);
  hence::thread_pool alone(1);
  CHECK_THROWS_AS(alone.parallel_for(2, [](std::int64_t) { throw std::runtime_error("one"); }),
                  std::runtime_error);
}

TEST_CASE("an idle pool uses no processor time") {
  hence::thread_pool pool(4);
  pool.parallel_for(4, [](std::int64_t) {});
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // four spinning threads would burn 0.3 s each
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.1);
}

TEST_CASE("a negative number of threads is refused") {
  CHECK_THROWS_WITH_AS(hence::thread_pool(-2), "hence: threads is -2, expected 0 or more",
                       std::invalid_argument);
}

TEST_CASE("the loss on the pool has the bits of one thread") {
  const std::int64_t rows = 700;
  std::vector<std::int64_t> cu{0};
  std::vector<float> logp, old_logp, advantages;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t t = 0; t < (i * 37) % 90; ++t) {
      logp.push_back(-0.01f * static_cast<float>((i * 13 + t * 7) % 300));
      old_logp.push_back(logp.back() + 0.001f * static_cast<float>((i + t * 11) % 200 - 100));
    }
    cu.push_back(static_cast<std::int64_t>(logp.size()));
    advantages.push_back(0.1f * static_cast<float>(i % 21 - 10));
  }
  const auto loss = hence::recipe::dapo();
  const auto run = [&](const auto& executor, std::vector<float>& gradient) {
    gradient.assign(logp.size(), 7.0f);
    return hence::loss_and_gradient(executor, loss, hence::ragged{.cu_seqlens = cu},
                                    {.logp = {logp, {.temperature = 1.0}},
                                     .old = {old_logp, {.temperature = 1.0}},
                                     .advantages = advantages},
                                    hence::over_this_call, gradient)
        .loss();
  };
  std::vector<float> one, many;
  const double expected = run(hence::cpu{}, one);
  CHECK(expected != 0);
  for (const int threads : {1, 2, 3, 8}) {
    hence::thread_pool pool(threads);
    CHECK(run(hence::cpu(pool), many) == expected);
    CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0);
  }
}
