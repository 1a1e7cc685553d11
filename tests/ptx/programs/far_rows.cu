// Rows that lie more than 2^31 elements apart: every kernel with a row stride gives what it gives
// for the same rows side by side, to the bit. What those are is judged by the other programs.
#include "check.hpp"

#include <hence/cuda/distill_top_k.cuh>
#include <hence/cuda/gate.cuh>
#include <hence/cuda/gate_backward.cuh>
#include <hence/cuda/linear_logprob.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/cuda/sample.cuh>
#include <hence/cuda/token_logprob_split.cuh>
#include <hence/cuda/vocabulary_shards.cuh>
#include <hence/logits/divergence.hpp>
#include <hence/policy.hpp>

namespace {

using hence::bf16, hence::view;
using bits = std::vector<unsigned char>;

constexpr std::int64_t rows = 2, columns = 40, far = (std::int64_t{1} << 31) + 8;

/// Two rows in device memory, the second `stride` elements behind the first.
template <class T> class matrix {
 public:
  matrix(std::int64_t row_stride, std::int64_t width) : stride_(row_stride), width_(width) {
    test::check(cudaMalloc(reinterpret_cast<void**>(&data_),
                           static_cast<std::size_t>(row_stride + width) * sizeof(T)));
  }
  /// With the value f(row, column) in each place.
  template <class F>
  matrix(std::int64_t row_stride, std::int64_t width, F&& f) : matrix(row_stride, width) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::vector<T> row;
      for (std::int64_t c = 0; c < width; ++c) row.push_back(T(f(i, c)));
      test::check(cudaMemcpy(data_ + i * stride_, row.data(), row.size() * sizeof(T),
                             cudaMemcpyHostToDevice));
    }
  }
  matrix(const matrix&) = delete;
  matrix& operator=(const matrix&) = delete;
  ~matrix() { cudaFree(data_); }

  view<T, 2> all() const { return {data_, rows, width_, stride_}; }
  view<const T, 2> read() const { return {data_, rows, width_, stride_}; }
  void append_to(bits& out) const {
    std::vector<T> row(static_cast<std::size_t>(width_));
    for (std::int64_t i = 0; i < rows; ++i) {
      test::check(cudaMemcpy(static_cast<void*>(row.data()), data_ + i * stride_,
                             row.size() * sizeof(T), cudaMemcpyDeviceToHost));
      const auto* p = reinterpret_cast<const unsigned char*>(row.data());
      out.insert(out.end(), p, p + row.size() * sizeof(T));
    }
  }

 private:
  std::int64_t stride_, width_;
  T* data_ = nullptr;
};

float number(std::int64_t i, std::int64_t c) {
  return static_cast<float>((i * 41 + c * 29) % 97) / 16.0f - 3.0f;
}
template <class T> view<T> vector_of(const test::output<T>& x) { return {x.get(), rows}; }
template <class T> view<const T> vector_of(const test::input<T>& x) { return {x.get(), rows}; }

const hence::softmax_rule rule{.temperature = 0.9, .negative = hence::negative_labels::ignored};

/// Runs f(stride between rows of `width`, where its results' bytes go) near and far.
template <class F> void same_bits(const char* name, std::int64_t width, F&& f) {
  bits near_by, far_away;
  f(width, near_by);
  f(far, far_away);
  test::check(!near_by.empty() && near_by == far_away, name);
}
template <class T> void append(bits& out, const test::output<T>& x) {
  const std::vector<T> values = x.read();
  const auto* p = reinterpret_cast<const unsigned char*>(values.data());
  out.insert(out.end(), p, p + values.size() * sizeof(T));
}

/// What the log-prob kernels leave.
struct scores {
  test::output<float> logp{rows}, entropy{rows};
  test::output<hence::softmax_state> states{rows};
  test::output<hence::status> conditions{1};

  hence::token_results<float> results() const {
    return {.logp = vector_of(logp), .entropy = vector_of(entropy), .states = vector_of(states)};
  }
  void append_to(bits& out) const {
    append(out, logp), append(out, entropy), append(out, conditions);
  }
};

void logprobs(cudaStream_t s) {
  const test::input<std::int64_t> labels({7, 39});
  const hence::token_labels of(vector_of(labels));
  const test::input<float> slope({1.0f, -0.5f});
  same_bits("token_logprob, split, gradient, shards", columns, [&](std::int64_t stride, bits& out) {
    const matrix<bf16> logits(stride, columns, number), gradient(stride, columns),
        of_shard(stride, columns);
    const scores whole, split, shard;
    const std::int64_t memory = hence::cuda::token_logprob_workspace_bytes(rows);
    const test::output<std::byte> workspace(static_cast<std::size_t>(memory));
    hence::cuda::token_logprob(s, rule, logits.read(), of, whole.results(), whole.conditions.get());
    hence::cuda::token_logprob(s, rule, logits.read(), of, split.results(),
                               {workspace.get(), static_cast<std::size_t>(memory)},
                               split.conditions.get());
    hence::cuda::token_logprob_gradient(
        s, rule, logits.read(), of, view<const hence::softmax_state>(vector_of(whole.states)),
        {.logp = vector_of(slope)}, gradient.all(), whole.conditions.get());
    hence::cuda::shard_states(s, rule, logits.read(), of, 0, vector_of(shard.states),
                              shard.conditions.get());
    hence::cuda::shard_gradient(s, rule, logits.read(), of, 0,
                                view<const hence::softmax_state>(vector_of(whole.states)),
                                {.logp = vector_of(slope)}, of_shard.all(), shard.conditions.get());
    test::check(cudaStreamSynchronize(s));
    whole.append_to(out), split.append_to(out), append(out, shard.states);
    gradient.append_to(out), of_shard.append_to(out);
  });
}

void linear(cudaStream_t s) {
  const test::input<std::int64_t> labels({2, 0});
  const hence::token_labels of(vector_of(labels));
  const test::input<float> slope({1.0f, -0.5f});
  constexpr std::int64_t width = 8;
  same_bits("linear_logprob and its gradient", width, [&](std::int64_t stride, bits& out) {
    const matrix<bf16> hidden(stride, width, number), weight(stride, width, number);
    const matrix<float> to_hidden(stride, width), to_weight(stride, width);
    const scores of_rows;
    const test::output<std::byte> workspace(64);
    const std::span<std::byte> space(workspace.get(), 64);
    const test::input<std::int64_t> own({1, 0});
    const hence::token_labels own_labels(vector_of(own));
    const hence::linear_head<const bf16> head{weight.read()};  // two tokens of a vocabulary
    hence::cuda::linear_logprob(s, rule, hidden.read(), head, own_labels, of_rows.results(), space,
                                of_rows.conditions.get());
    hence::cuda::linear_logprob_gradient(
        s, rule, hidden.read(), head, own_labels,
        view<const hence::softmax_state>(vector_of(of_rows.states)), {.logp = vector_of(slope)},
        {.hidden = to_hidden.all(), .weight = to_weight.all()}, space, of_rows.conditions.get());
    test::check(cudaStreamSynchronize(s));
    of_rows.append_to(out), to_hidden.append_to(out), to_weight.append_to(out);
  });
}

void samples(cudaStream_t s) {
  const test::input<float> uniforms({0.2f, 0.9f});
  same_bits("sample", columns, [&](std::int64_t stride, bits& out) {
    const matrix<bf16> logits(stride, columns, number);
    const test::output<std::int64_t> token(rows);
    const test::output<float> logp(rows), full(rows);
    const test::output<hence::status> conditions(1);
    hence::cuda::sample(
        s, {.temperature = 0.8, .top_k = 20, .top_p = 0.9}, logits.read(), vector_of(uniforms),
        {.token = vector_of(token), .logp = vector_of(logp), .logp_full = vector_of(full)},
        conditions.get());
    test::check(cudaStreamSynchronize(s));
    append(out, token), append(out, logp), append(out, full), append(out, conditions);
  });
}

void distillation(cudaStream_t s) {
  const test::input<std::int64_t> ids({3, 5, 39, 0});
  const test::input<float> taught({-0.5f, -1.5f, -0.25f, -2.0f});
  same_bits("distill and distill_top_k", columns, [&](std::int64_t stride, bits& out) {
    const matrix<bf16> student(stride, columns, number),
        teacher(stride, columns, [](auto i, auto c) { return number(i + 1, c); });
    const matrix<float> gradient(stride, columns), of_top_k(stride, columns);
    const test::output<float> value(rows), of_k(rows);
    const test::output<hence::status> conditions(2);
    const auto bytes = static_cast<std::size_t>(hence::cuda::distill_workspace_bytes(rows));
    const test::output<std::byte> workspace(bytes);
    const std::span<std::byte> space(workspace.get(), bytes);
    hence::cuda::distill(
        s, hence::divergence::reverse_kl{}, {.temperature = 1.5}, student.read(), teacher.read(),
        {}, {.per_token = vector_of(value), .gradient = gradient.all()}, space, conditions.get());
    hence::cuda::distill_top_k(s, hence::divergence::forward_kl{}, hence::tail::one_token{},
                               {.temperature = 1, .log_prob_min = -30}, student.read(),
                               view<const std::int64_t, 2>(ids.get(), rows, 2),
                               view<const float, 2>(taught.get(), rows, 2), {},
                               {.per_token = vector_of(of_k), .gradient = of_top_k.all()}, space,
                               conditions.get() + 1);
    test::check(cudaStreamSynchronize(s));
    append(out, value), append(out, of_k), append(out, conditions);
    gradient.append_to(out), of_top_k.append_to(out);
  });
}

void losses(cudaStream_t s) {
  const test::input<float> advantages({1.0f, -2.0f});
  same_bits("policy loss", columns, [&](std::int64_t stride, bits& out) {
    const matrix<float> logp(stride, columns, [](auto i, auto c) { return number(i, c) - 4; }),
        old(stride, columns, [](auto i, auto c) { return number(i, c) - 4.125f; }),
        gradient(stride, columns);
    const matrix<std::uint8_t> mask(stride, columns, [](auto, auto c) { return c % 5 != 0; });
    const auto loss = hence::recipe::dapo();
    using state_t = hence::cuda::loss_state_for<std::remove_cv_t<decltype(loss)>,
                                                hence::over_this_call_t, hence::without_metrics_t>;
    const test::output<state_t> state(1);
    constexpr hence::sampled plain{.temperature = 1.0};
    hence::cuda::loss_and_gradient(
        s, loss, hence::padded{.rows = rows, .width = columns, .mask = {.response = mask.read()}},
        hence::policy_inputs<float>{.logp = {logp.read(), plain},
                                    .old = {old.read(), plain},
                                    .advantages = vector_of(advantages)},
        hence::over_this_call, gradient.all(), state.get());
    test::check(cudaStreamSynchronize(s));
    const double value = state.read()[0].result().loss();
    const auto* p = reinterpret_cast<const unsigned char*>(&value);
    out.insert(out.end(), p, p + sizeof value);
    gradient.append_to(out);
  });
}

void routing(cudaStream_t s) {
  namespace moe = hence::moe;
  const moe::gate gate{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
  same_bits("routing and its gradient", columns, [&](std::int64_t stride, bits& out) {
    const matrix<bf16> logits(stride, columns, number);
    const matrix<float> weights(stride, 2), gradient(stride, columns),
        cotangent(stride, 2, [](auto i, auto c) { return i + c + 1; });
    const matrix<std::int32_t> ids(stride, 2);
    const test::output<moe::route_counts> counts(2);
    moe::gate_inputs<float, bf16> in;
    in.logits = logits.read();
    moe::gate_outputs<float> to;
    to.ids = ids.all(), to.weights = weights.all();
    moe::gate_backward_inputs<float, bf16> back;
    back.logits = logits.read(), back.ids = ids.read(), back.grad_weights = cotangent.read();
    hence::cuda::route(s, gate, in, to, counts.get());
    hence::cuda::route_backward(s, gate, back, gradient.all(), counts.get() + 1);
    test::check(cudaStreamSynchronize(s));
    append(out, counts), ids.append_to(out), weights.append_to(out), gradient.append_to(out);
  });
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  logprobs(stream);
  linear(stream);
  samples(stream);
  distillation(stream);
  losses(stream);
  routing(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
