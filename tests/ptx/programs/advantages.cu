// The advantages kernel against the CPU executor, to the bit.
#include "advantages.hpp"

#include "check.hpp"

#include <hence/cuda/advantages.cuh>

namespace {

using advantage_case::batch;

/// \param stride of the rewards; the entries between are never read and hold nothing.
template <hence::cuda::advantages_tuning Tuning>
void run(const batch& b, std::int64_t stride, cudaStream_t stream) {
  const auto rows = static_cast<std::int64_t>(b.rewards.size());
  std::vector<float> spread(b.rewards.size() * static_cast<std::size_t>(stride));
  for (std::size_t k = 0; k < b.rewards.size(); ++k)
    spread[k * static_cast<std::size_t>(stride)] = b.rewards[k];
  const test::input<std::int64_t> cu(b.cu);
  const test::input<float> rewards(spread);
  const auto wanted = advantage_case::on_cpu(b);
  std::size_t k = 0;
  advantage_case::for_each_rule([&](const std::string& name, const auto& rule) {
    const test::output<float> out(b.rewards.size());
    const test::output<hence::status> conditions(1);
    hence::view<const float> in(rewards.get(), rows);
    in.stride[0] = stride;
    const hence::offsets boundaries(
        hence::view<const std::int64_t>(cu.get(), static_cast<std::int64_t>(cu.size())));
    const int kernels = test::captured(stream, [&] {
      hence::cuda::advantages<Tuning>(stream, rule, hence::groups{.cu_groups = boundaries}, in,
                                      hence::view<float>(out.get(), rows), conditions.get());
    });
    test::check(kernels == 1, "kernels of a call");
    const auto got = out.read();
    test::check(std::memcmp(got.data(), wanted[k].values.data(), got.size() * sizeof(float)) == 0,
                name + ": values");
    test::check(conditions.read()[0] == wanted[k].found, name + ": status");
    ++k;
  });
}

/// What is wrong with boundaries in device memory is told, and no sound group suffers.
/// \param sound the rows of the group that two calls share.
void run_malformed(const std::vector<std::int64_t>& boundaries, std::pair<int, int> sound,
                   cudaStream_t stream) {
  const test::input<float> rewards({1, 0, 0, 1, 5, 6, 7, 8});
  const auto call = [&](const auto& rule, const std::vector<std::int64_t>& cu, auto status) {
    const test::input<std::int64_t> at(cu);
    const test::output<float> out(8);
    const test::output<hence::status> conditions(1);
    test::check(cudaMemset(out.get(), 0, 8 * sizeof(float)));
    const auto n = static_cast<std::int64_t>(cu.size());
    hence::cuda::advantages(
        stream, rule,
        hence::groups{.cu_groups = hence::offsets(hence::view<const std::int64_t>(at.get(), n))},
        hence::view<const float>(rewards.get(), 8), hence::view<float>(out.get(), 8),
        conditions.get());
    test::check(cudaStreamSynchronize(stream));
    test::check(conditions.read()[0] == status, "status of boundaries");
    return out.read();
  };
  advantage_case::for_each_rule([&](const std::string& name, const auto& rule) {
    std::vector<float> wanted = call(rule, {0, 4, 8}, hence::status::ok);
    for (int i = 0; i < 8; ++i)
      if (i < sound.first || i >= sound.second) wanted[static_cast<std::size_t>(i)] = 0;
    test::check(call(rule, boundaries, hence::status::malformed) == wanted,
                name + ": a sound group beside a malformed one");
  });
}

void run_empty(cudaStream_t stream) {
  const test::input<std::int64_t> cu({0, 0, 0});
  const test::output<hence::status> conditions(1);
  const int kernels = test::captured(stream, [&] {
    hence::cuda::advantages(
        stream, hence::advantage::dr_grpo(hence::advantage::singleton_zero{}),
        hence::groups{.cu_groups = hence::offsets(hence::view<const std::int64_t>(cu.get(), 3))},
        hence::view<const float>(), hence::view<float>(), conditions.get());
  });
  test::check(kernels == 0, "no rows launch nothing");
  test::check(conditions.read()[0] == hence::status::empty, "status of no rows");
}

/// A status inside what a call reads is refused before it is overwritten.
void run_refused(cudaStream_t stream) {
  const test::input<std::int64_t> cu({0, 2});
  const test::input<float> rewards({1, 0});
  const test::output<float> out(2);
  test::check(cudaMemset(out.get(), 0, 8));
  const auto call = [&](const void* conditions) {
    hence::cuda::advantages(
        stream, hence::advantage::dr_grpo(hence::advantage::singleton_zero{}),
        hence::groups{.cu_groups = hence::offsets(hence::view<const std::int64_t>(cu.get(), 2))},
        hence::view<const float>(rewards.get(), 2), hence::view<float>(out.get(), 2),
        static_cast<hence::status*>(const_cast<void*>(conditions)));
  };
  test::refused([&] { call(nullptr); }, "hence: conditions is null");
  test::refused([&] { call(rewards.get()); }, "hence: an input overlaps conditions");
  test::refused([&] { call(cu.get() + 1); }, "hence: an input overlaps conditions");
  test::refused([&] { call(out.get() + 1); }, "hence: an output overlaps conditions");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  for (const batch& b : advantage_case::batches()) {
    run<hence::cuda::advantages_tuning{.threads = 32, .max_blocks = 3}>(b, 1, stream);
    run<hence::cuda::advantages_tuning{}>(b, 3, stream);
  }
  run_malformed({0, 4, -1, 9, 8}, {0, 4}, stream);
  run_malformed({0, 4, 9}, {0, 4}, stream);  // the last one beyond the end
  run_malformed({0, 4, 7}, {0, 4}, stream);  // before the end
  run_malformed({1, 4, 8}, {4, 8}, stream);
  run_malformed({-1, 4, 8}, {4, 8}, stream);
  run_empty(stream);
  run_refused(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
