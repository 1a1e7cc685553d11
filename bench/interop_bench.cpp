// What a call between frameworks costs: a tensor taken and given back, a result lent and returned.

#include <hence/interop/dlpack_lend.hpp>

#include <benchmark/benchmark.h>
#include <cstdint>
#include <memory>
#include <vector>

namespace {

namespace dlpack = hence::dlpack;

void take_and_give_back(benchmark::State& state) {
  std::vector<float> data(12);
  std::int64_t shape[2] = {3, 4};
  dlpack::managed_tensor_versioned m{};
  m.version = {1, 0};
  m.dl_tensor = {
      data.data(), {dlpack::device_cpu, 0}, 2, dlpack::type_of<float>(), shape, nullptr, 0};
  m.deleter = [](dlpack::managed_tensor_versioned* p) { benchmark::DoNotOptimize(p); };
  for (auto _ : state) {
    auto taken = dlpack::take<float, 2>(&m, "x", dlpack::on_host);
    const hence::view<float, 2> v = taken;
    benchmark::DoNotOptimize(v.data);
  }
}
BENCHMARK(take_and_give_back);

void lend_and_return(benchmark::State& state) {
  const auto kept = std::make_shared<std::vector<float>>(12);
  const hence::view<float, 2> v(kept->data(), 3, 4);
  for (auto _ : state) {
    auto* const lent = dlpack::lend(v, kept);
    benchmark::DoNotOptimize(lent);
    lent->deleter(lent);
  }
}
BENCHMARK(lend_and_return);

}  // namespace
