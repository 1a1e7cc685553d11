#include <hence/policy.hpp>
#include <hence/threads/openmp.hpp>

#include <doctest/doctest.h>

#include <omp.h>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

TEST_CASE("every index is run once on OpenMP's threads") {
  hence::openmp_pool pool;
  std::vector<std::atomic<int>> runs(1000);
  pool.parallel_for(1000, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
  for (const auto& r : runs) CHECK(r == 1);
}

TEST_CASE("a second thread takes part") {
  // two indices that each wait for the other: one thread alone would not get past the first
  hence::openmp_pool pool;
  if (omp_get_max_threads() < 2) omp_set_num_threads(2);
  std::atomic<int> arrived{0};
  bool met = false;
  pool.parallel_for(2, [&](std::int64_t i) {
    ++arrived;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    if (i == 0) met = arrived == 2;
  });
  CHECK(met);
}

TEST_CASE("the loss on OpenMP has the bits of one thread") {
  std::vector<std::int64_t> cu{0};
  for (int i = 0; i < 400; ++i) cu.push_back(cu.back() + i % 60);
  const auto tokens = static_cast<std::size_t>(cu.back());
  std::vector<float> logp(tokens), old_logp(tokens), advantages(400), one(tokens), many(tokens);
  for (std::size_t t = 0; t < tokens; ++t)
    logp[t] = -0.01f * static_cast<float>(t % 331),
    old_logp[t] = logp[t] + 0.002f * static_cast<float>(t % 97);
  for (std::size_t i = 0; i < 400; ++i) advantages[i] = static_cast<float>(i % 5) - 2;
  hence::openmp_pool pool;
  const auto run = [&](const auto& executor, std::vector<float>& gradient) {
    return hence::loss_and_gradient(executor, hence::recipe::dapo(),
                                    hence::ragged{.cu_seqlens = cu},
                                    {.logp = {logp, {.temperature = 1.0}},
                                     .old = {old_logp, {.temperature = 1.0}},
                                     .advantages = advantages},
                                    hence::over_this_call, gradient)
        .loss();
  };
  CHECK(run(hence::cpu{}, one) == run(hence::cpu(pool), many));
  CHECK(one == many);
}
