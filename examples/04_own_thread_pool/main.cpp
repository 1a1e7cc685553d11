// Your threads, hence's loss. Two ways, and the bits are those of one thread:
// 1. anything with parallel_for(n, f) is a pool for hence::cpu;
// 2. the row-range form, called from threads that you drive yourself.
#include <hence/policy.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

// The smallest possible pool: a thread per share of the indices.
struct my_pool {
  int threads;
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    std::vector<std::thread> workers;
    for (int w = 0; w < threads; ++w)
      workers.emplace_back([&, w] {
        for (std::int64_t i = w; i < n; i += threads) f(i);
      });
    for (auto& worker : workers) worker.join();
  }
};

int main() {
  const std::int64_t rows = 300, width = 400;
  const auto size = static_cast<std::size_t>(rows * width);
  std::vector<float> logp(size), old_logp(size), ref_logp(size),
      advantages(static_cast<std::size_t>(rows));
  std::uint32_t state = 1;
  const auto noise = [&] {
    return static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
  };
  for (std::size_t i = 0; i < size; ++i) {
    logp[i] = noise() - 1;
    old_logp[i] = logp[i] + 0.3f * noise();
    ref_logp[i] = logp[i] + 0.3f * noise();
  }
  for (float& a : advantages) a = noise();

  const auto on = [&](const std::vector<float>& v) {
    return hence::view<const float, 2>(v.data(), rows, width);
  };
  const hence::padded batch{.rows = rows, .width = width};
  const auto loss = hence::recipe::grpo(0.2f);
  const hence::policy_inputs<float> inputs{.logp = {on(logp), {.temperature = 1.0}},
                                           .old = {on(old_logp), {.temperature = 1.0}},
                                           .ref = {on(ref_logp), {.temperature = 1.0}},
                                           .advantages = advantages};
  const auto window = hence::over_window(loss.aggregation, hence::count(batch));

  std::vector<float> one(size), many(size), own(size);
  const auto out = [&](std::vector<float>& v) {
    return hence::view<float, 2>(v.data(), rows, width);
  };
  const auto serial = hence::loss_and_gradient(hence::cpu{}, loss, batch, inputs, window, out(one));

  my_pool pool{3};
  const auto pooled =
      hence::loss_and_gradient(hence::cpu(pool), loss, batch, inputs, window, out(many));

  auto low = serial, high = serial;
  std::thread first([&] {
    low =
        hence::loss_and_gradient_rows(hence::cpu{}, loss, batch, inputs, window, out(own), 0, 117);
  });
  std::thread second([&] {
    high = hence::loss_and_gradient_rows(hence::cpu{}, loss, batch, inputs, window, out(own), 117,
                                         rows);
  });
  first.join();
  second.join();
  low += high;

  std::printf("one thread  %.17g\nown pool    %.17g\nrow ranges  %.17g\n", serial.loss(),
              pooled.loss(), low.loss());
  const bool same = serial.loss() == pooled.loss() && serial.loss() == low.loss() &&
                    std::memcmp(one.data(), many.data(), size * sizeof(float)) == 0 &&
                    std::memcmp(one.data(), own.data(), size * sizeof(float)) == 0;
  std::printf("%s\n", same ? "the same bits" : "DIFFERENT");
  return same ? 0 : 1;
}
