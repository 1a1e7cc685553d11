// Distillation from full logits and from a teacher's top k; shards of a vocabulary and their merge.
#include "device.cuh"

#include <hence/cuda/distill_top_k.cuh>
#include <hence/cuda/vocabulary_shards.cuh>

namespace {

using namespace bench;
using hence::bf16;

/// Student and teacher in fp32, with the gradient apart.
void distill_jsd(benchmark::State& state) {
  const std::int64_t tokens = size(2048, 2), columns = size(131072, 1100);
  const array<float> student(tokens * columns, noise(0, 2.5f, 1)),
      teacher(tokens * columns, noise(0, 2.5f, 2));
  const array<float> value(tokens), gradient(tokens * columns);
  const array<std::byte> workspace(hence::cuda::distill_workspace_bytes(tokens));
  const array<hence::status> conditions(1);
  // read twice, the student's three times; slopes written and read, the gradient written
  run(state, {32.0 * double(tokens) * double(columns)}, [&](cudaStream_t s) {
    hence::cuda::distill(
        s, hence::divergence::generalized_jsd{0.5f}, {.temperature = 1.0}, student.read(columns),
        teacher.read(columns), {}, {.per_token = value.all(), .gradient = gradient.rows(columns)},
        {workspace.get(), static_cast<std::size_t>(workspace.all().extent[0])}, conditions.get());
  });
}
void distill_top_k(benchmark::State& state) {
  const std::int64_t tokens = size(2048, 2), columns = size(131072, 1100), k = size(64, 20);
  const array<float> student(tokens * columns, noise(0, 2.5f, 1));
  const array<std::int64_t> ids(tokens * k, [k](std::int64_t i) { return i % k * 7; });
  const array<float> logp(tokens * k, [k](std::int64_t i) { return -1.0f - 0.1f * float(i % k); });
  const array<float> value(tokens), gradient(tokens * columns);
  const array<std::byte> workspace(hence::cuda::distill_workspace_bytes(tokens));
  const array<hence::status> conditions(1);
  run(state, {16.0 * double(tokens) * double(columns)}, [&](cudaStream_t s) {
    hence::cuda::distill_top_k(
        s, hence::divergence::reverse_kl{}, hence::tail::one_token{}, {.temperature = 1.0},
        student.read(columns), ids.read(k), logp.read(k), {},
        {.per_token = value.all(), .gradient = gradient.rows(columns)},
        {workspace.get(), static_cast<std::size_t>(workspace.all().extent[0])}, conditions.get());
  });
}
BENCHMARK(distill_jsd)->Apply(times);
BENCHMARK(distill_top_k)->Apply(times);

/// One of eight shards in bf16: its sums, the merge of eight, its gradient.
enum class step { states, merge, gradient };
void shards(benchmark::State& state, step which) {
  const std::int64_t rows = size(4096, 2), columns = size(16384, 1000), count = 8;
  auto numbers = noise(0, 2.5f, 1);
  const array<bf16> logits(rows * columns, [&](std::int64_t i) { return bf16(numbers(i)); });
  const array<bf16> gradient(rows * columns);
  const array<std::int64_t> labels(rows, [](std::int64_t i) { return i * 7919 % 1000; });
  const array<float> logp(rows), entropy(rows), slope(rows, noise(0, 1, 2));
  const array<hence::softmax_state> parts(count * rows), whole(rows);
  const array<hence::status> conditions(1);
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const hence::token_labels of(labels.read());
  const auto sum = [&](cudaStream_t s, std::int64_t shard) {
    hence::cuda::shard_states(s, rule, logits.read(columns), of, shard * columns,
                              hence::view<hence::softmax_state>(parts.get() + shard * rows, rows),
                              conditions.get());
  };
  const auto merge = [&](cudaStream_t s) {
    hence::cuda::merge_shards(s, rule, parts.read(rows), of, count * columns,
                              {.logp = logp.all(), .entropy = entropy.all(), .states = whole.all()},
                              conditions.get());
  };
  const double n = double(rows), bytes = 2 * n * double(columns);
  if (which == step::states) return run(state, {bytes}, [&](cudaStream_t s) { sum(s, 0); });
  for (std::int64_t shard = 0; shard < count; ++shard) sum(nullptr, shard);
  if (which == step::merge) return run(state, {n * (40 * double(count) + 56)}, merge);
  merge(nullptr);
  run(state, {2 * bytes}, [&](cudaStream_t s) {
    hence::cuda::shard_gradient(s, rule, logits.read(columns), of, 0, whole.read(),
                                {.logp = slope.read()}, gradient.rows(columns), conditions.get());
  });
}
void shard_states_bf16(benchmark::State& s) { shards(s, step::states); }
void merge_shards(benchmark::State& s) { shards(s, step::merge); }
void shard_gradient_bf16(benchmark::State& s) { shards(s, step::gradient); }
BENCHMARK(shard_states_bf16)->Apply(times);
BENCHMARK(merge_shards)->Apply(times);
BENCHMARK(shard_gradient_bf16)->Apply(times);

}  // namespace
