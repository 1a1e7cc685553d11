// Rules that cover every branch of the kernel. Judged as policy_loss.cu is; nothing here runs
// without a GPU (tests/ptx runs the kernel).
#include <hence/cuda/advantages.cuh>

void instantiate(const float* rewards, float* out, const std::int64_t* cu_groups,
                 hence::status* conditions) {
  using namespace hence::advantage;
  const auto with = [&](const auto& rule) {
    const hence::groups groups{hence::offsets(hence::view<const std::int64_t>(cu_groups, 3))};
    hence::cuda::advantages(nullptr, rule, groups, hence::view<const float>(rewards, 8),
                            hence::view<float>(out, 8), conditions);
  };
  with(grpo(1, 1e-4, singleton_zero{}));
  with(dr_grpo(singleton_error{}));
  with(rloo(singleton_raw{}));
  with(maxrl(1e-6, singleton_raw{}));
  with(group_baseline{baseline_none{}, scale_group{0, 0.0}, singleton_as_group{}});
}
