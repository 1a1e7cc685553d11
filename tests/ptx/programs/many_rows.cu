// More rows than a grid's y or a 16-bit number has room for, 65,536 + 3: every kernel with rows on
// its grid gives each row what it gives the same row in a batch of 8, to the bit. What that is is
// judged by the other programs.
//
// Rows are short, and only the last 8 of them live, where a kernel knows dead ones.
#include "check.hpp"

#include <hence/cuda/advantages.cuh>
#include <hence/cuda/distill_top_k.cuh>
#include <hence/cuda/gate.cuh>
#include <hence/cuda/gate_backward.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/cuda/sample.cuh>
#include <hence/cuda/token_logprob_split.cuh>
#include <hence/cuda/vocabulary_shards.cuh>
#include <hence/logits/divergence.hpp>
#include <hence/policy.hpp>

namespace {

using hence::view;

constexpr std::int64_t few = 8, columns = 3;
enum class alive { all, none, last };

/// A batch: how many rows, which of them live, and the bytes of what a kernel wrote of each.
class batch {
 public:
  const std::int64_t rows;

  batch(std::int64_t row_count, alive which) : rows(row_count), which_(which) {}
  bool lives(std::int64_t i) const {
    return which_ == alive::all || (which_ == alive::last && i >= rows - few);
  }
  std::size_t count(std::int64_t width = 1) const { return static_cast<std::size_t>(rows * width); }
  /// width values a row, f(row modulo 8, column, whether it lives) each.
  template <class T, class F> std::vector<T> values(std::int64_t width, F&& f) const {
    std::vector<T> out;
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t c = 0; c < width; ++c) out.push_back(T(f(i % few, c, lives(i))));
    return out;
  }
  template <class T> void add(const test::output<T>& x) {
    const std::vector<T> v = x.read();
    const auto* p = reinterpret_cast<const unsigned char*>(v.data());
    written.emplace_back(p, p + v.size() * sizeof(T));
  }
  std::vector<std::vector<unsigned char>> written;

 private:
  alive which_;
};

template <class F> void same_rows(const char* name, F&& f, std::int64_t many = 65536 + 3) {
  batch living(few, alive::all), dead(few, alive::none), all(many, alive::last);
  f(living), f(dead), f(all);
  test::check(!all.written.empty() && all.written.size() == living.written.size(), name);
  for (std::size_t k = 0; k < all.written.size(); ++k) {
    const std::size_t width = living.written[k].size() / few;
    bool same = width > 0 && all.written[k].size() == width * all.count();
    for (std::int64_t i = 0; same && i < many; ++i) {
      const auto& wanted = all.lives(i) ? living : dead;
      const auto at = static_cast<std::size_t>(i), from = static_cast<std::size_t>(i % few);
      same = std::memcmp(all.written[k].data() + at * width,
                         wanted.written[k].data() + from * width, width) == 0;
    }
    test::check(same, std::string(name) + ", output " + std::to_string(k));
  }
}

float number(std::int64_t i, std::int64_t c) {
  return static_cast<float>((i * 41 + c * 29) % 97) / 16.0f - 3.0f;
}
template <class T> view<T> rows_of(const test::output<T>& x, const batch& b) {
  return {x.get(), b.rows};
}
template <class T> view<const T> rows_of(const test::input<T>& x, const batch& b) {
  return {x.get(), b.rows};
}
template <class T>
view<T, 2> matrix_of(const test::output<T>& x, const batch& b, std::int64_t w = columns) {
  return {x.get(), b.rows, w};
}
template <class T>
view<const T, 2> matrix_of(const test::input<T>& x, const batch& b, std::int64_t w = columns) {
  return {x.get(), b.rows, w};
}
test::input<float> numbers(const batch& b, std::int64_t width) {
  return test::input<float>(
      b.values<float>(width, [](auto i, auto c, bool) { return number(i, c); }));
}

const hence::softmax_rule rule{.temperature = 0.9, .negative = hence::negative_labels::ignored};
test::input<std::int64_t> labels_of(const batch& b) {
  return test::input<std::int64_t>(
      b.values<std::int64_t>(1, [](auto i, auto, bool lives) { return lives ? i % columns : -1; }));
}

/// The shards' gradient is launched as that of whole rows.
void logprobs(cudaStream_t s) {
  same_rows("token_logprob, gradient, shards", [&](batch& b) {
    const auto logits = numbers(b, columns), slope = numbers(b, 1);
    const auto labels = labels_of(b);
    const hence::token_labels of(rows_of(labels, b));
    const auto n = b.count();
    const test::output<float> whole(n), merged(n), gradient(b.count(columns));
    const test::output<hence::softmax_state> states(n), shard(n);
    const test::output<hence::status> conditions(1);
    const auto in = matrix_of(logits, b);
    hence::cuda::token_logprob(s, rule, in, of,
                               {.logp = rows_of(whole, b), .states = rows_of(states, b)},
                               conditions.get());
    hence::cuda::token_logprob_gradient(
        s, rule, in, of, view<const hence::softmax_state>(states.get(), b.rows),
        {.logp = rows_of(slope, b)}, matrix_of(gradient, b), conditions.get());
    hence::cuda::shard_states(s, rule, in, of, 0, rows_of(shard, b), conditions.get());
    hence::cuda::merge_shards(s, rule, view<const hence::softmax_state, 2>(shard.get(), 1, b.rows),
                              of, columns, {.logp = rows_of(merged, b)}, conditions.get());
    test::check(cudaStreamSynchronize(s));
    b.add(whole), b.add(gradient), b.add(merged);
  });
}

/// Eight blocks a row.
void split_logprobs(cudaStream_t s) {
  const auto run = [&](batch& b) {
    const auto logits = numbers(b, columns);
    const auto labels = labels_of(b);
    const test::output<float> logp(b.count());
    const test::output<hence::status> conditions(1);
    const auto bytes = static_cast<std::size_t>(hence::cuda::token_logprob_workspace_bytes(b.rows));
    const test::output<std::byte> workspace(bytes);
    hence::cuda::token_logprob(s, rule, matrix_of(logits, b),
                               hence::token_labels(rows_of(labels, b)), {.logp = rows_of(logp, b)},
                               {workspace.get(), bytes}, conditions.get());
    test::check(cudaStreamSynchronize(s));
    b.add(logp);
  };
  same_rows("split token_logprob", run, 65536 / 8 + 3);
}

void samples(cudaStream_t s) {
  same_rows("sample", [&](batch& b) {  // a row without a uniform of [0, 1) is dead
    const auto logits = numbers(b, columns);
    const test::input<float> uniforms(b.values<float>(
        1, [](auto i, auto, bool lives) { return lives ? static_cast<float>(i) / 8 : -1.0f; }));
    const test::output<std::int64_t> token(b.count());
    const test::output<hence::status> conditions(1);
    hence::cuda::sample(s, {.temperature = 0.8}, matrix_of(logits, b), rows_of(uniforms, b),
                        {.token = rows_of(token, b)}, conditions.get());
    test::check(cudaStreamSynchronize(s));
    b.add(token);
  });
}

void distillation(cudaStream_t s) {
  same_rows("distill and distill_top_k", [&](batch& b) {
    const auto student = numbers(b, columns);
    const auto teacher = test::input<float>(
        b.values<float>(columns, [](auto i, auto c, bool) { return number(i + 3, c); }));
    const test::input<std::uint8_t> mask(
        b.values<std::uint8_t>(1, [](auto, auto, bool lives) { return lives; }));
    const test::input<std::int64_t> ids(
        b.values<std::int64_t>(1, [](auto i, auto, bool) { return i % columns; }));
    const test::input<float> taught(
        b.values<float>(1, [](auto i, auto, bool) { return -0.25f * static_cast<float>(i + 1); }));
    const test::output<float> value(b.count()), of_k(b.count()), gradient(b.count(columns)),
        of_top_k(b.count(columns));
    const test::output<hence::status> conditions(1);
    const auto bytes = static_cast<std::size_t>(hence::cuda::distill_workspace_bytes(b.rows));
    const test::output<std::byte> workspace(bytes);
    const std::span<std::byte> space(workspace.get(), bytes);
    const hence::distill_inputs<float> in{.mask = rows_of(mask, b)};
    hence::cuda::distill(s, hence::divergence::reverse_kl{}, {.temperature = 1.5},
                         matrix_of(student, b), matrix_of(teacher, b), in,
                         {.per_token = rows_of(value, b), .gradient = matrix_of(gradient, b)},
                         space, conditions.get());
    hence::cuda::distill_top_k(s, hence::divergence::forward_kl{}, hence::tail::one_token{},
                               {.temperature = 1, .log_prob_min = -30}, matrix_of(student, b),
                               matrix_of(ids, b, 1), matrix_of(taught, b, 1), in,
                               {.per_token = rows_of(of_k, b), .gradient = matrix_of(of_top_k, b)},
                               space, conditions.get());
    test::check(cudaStreamSynchronize(s));
    b.add(value), b.add(of_k), b.add(gradient), b.add(of_top_k);
  });
}

void losses(cudaStream_t s) {
  same_rows("policy loss", [&](batch& b) {
    const auto logp = numbers(b, columns), advantages = numbers(b, 1);
    const test::input<std::uint8_t> mask(
        b.values<std::uint8_t>(columns, [](auto, auto, bool lives) { return lives; }));
    const test::output<float> gradient(b.count(columns));
    const auto loss = hence::recipe::dapo();
    using state_t = hence::cuda::loss_state_for<std::remove_cv_t<decltype(loss)>,
                                                hence::over_this_call_t, hence::without_metrics_t>;
    const test::output<state_t> state(1);
    constexpr hence::sampled plain{.temperature = 1.0};
    hence::cuda::loss_and_gradient<hence::cuda::policy_loss_tuning{.threads = 32}>(
        s, loss,
        hence::padded{.rows = b.rows, .width = columns, .mask = {.response = matrix_of(mask, b)}},
        hence::policy_inputs<float>{.logp = {matrix_of(logp, b), plain},
                                    .old = {matrix_of(logp, b), plain},
                                    .advantages = rows_of(advantages, b)},
        hence::over_this_call, matrix_of(gradient, b), state.get());
    test::check(cudaStreamSynchronize(s));
    b.add(gradient);
  });
}

void advantages(cudaStream_t s) {
  same_rows("advantages", [&](batch& b) {  // groups of two
    const auto rewards = numbers(b, 2);
    std::vector<std::int64_t> ends;
    for (std::int64_t i = 0; i <= b.rows; ++i) ends.push_back(2 * i);
    const test::input<std::int64_t> cu(ends);
    const test::output<float> out(b.count(2));
    const test::output<hence::status> conditions(1);
    hence::cuda::advantages(s, hence::advantage::grpo(1, 1e-4, hence::advantage::singleton_zero{}),
                            {{view<const std::int64_t>(cu.get(), b.rows + 1)}},
                            view<const float>(rewards.get(), 2 * b.rows),
                            view<float>(out.get(), 2 * b.rows), conditions.get());
    test::check(cudaStreamSynchronize(s));
    b.add(out);
  });
}

void routing(cudaStream_t s) {
  namespace moe = hence::moe;
  const moe::gate gate{moe::score::softmax{}, 1, moe::all_experts{}, moe::raw{}, 1.0};
  same_rows("routing and its gradient", [&](batch& b) {
    const auto logits = numbers(b, columns), cotangent = numbers(b, 1);
    const test::input<std::uint8_t> valid(
        b.values<std::uint8_t>(1, [](auto, auto, bool lives) { return lives; }));
    const test::output<std::int32_t> ids(b.count());
    const test::output<float> weights(b.count()), gradient(b.count(columns));
    const test::output<moe::route_counts> counts(2);
    moe::gate_inputs<float> in;
    in.logits = matrix_of(logits, b), in.valid = rows_of(valid, b);
    moe::gate_outputs<float> to;
    to.ids = matrix_of(ids, b, 1), to.weights = matrix_of(weights, b, 1);
    moe::gate_backward_inputs<float> back;
    back.logits = in.logits, back.valid = in.valid;
    back.ids = {ids.get(), b.rows, 1}, back.grad_weights = matrix_of(cotangent, b, 1);
    hence::cuda::route(s, gate, in, to, counts.get());
    hence::cuda::route_backward(s, gate, back, matrix_of(gradient, b), counts.get() + 1);
    test::check(cudaStreamSynchronize(s));
    b.add(ids), b.add(weights), b.add(gradient);
  });
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  logprobs(stream);
  split_logprobs(stream);
  samples(stream);
  distillation(stream);
  losses(stream);
  advantages(stream);
  routing(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
