// One step of GRPO's training on a GPU, from hidden states to gradients: raw device pointers, one
// stream. The arrays come from a model's forward pass, and the gradients go into its backward pass;
// here they are made up, and the result is checked against the formulas in plain loops below.
#include <hence/cuda/advantages.cuh>
#include <hence/cuda/linear_logprob.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/policy/recipe.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

using hence::view;

struct shape {
  std::int64_t prompts, rows, tokens, width, vocabulary;
};

// DAPO's loss: the ratio is clipped to [0.8, 1.28], the mean is over all response tokens.
const auto loss = hence::recipe::dapo();
using loss_state = hence::cuda::loss_state_for<std::remove_const_t<decltype(loss)>,
                                               hence::over_this_call_t, hence::with_metrics_t>;

// All in device memory.
struct arrays {
  const hence::bf16 *hidden, *head;            // [tokens, width], [vocabulary, width]
  const std::int64_t* labels;                  // [tokens], the next token; -100 within a prompt
  const std::uint8_t* response;                // [tokens], 0 within a prompt
  const std::int64_t *cu_seqlens, *cu_groups;  // [rows + 1], [prompts + 1]
  const float *rewards, *old_logp;             // [rows], [tokens]
  float* advantages;                           // [rows]
  float *logp, *entropy, *d_logp;              // [tokens]
  hence::softmax_state* states;                // [tokens]
  float *d_hidden, *d_head;                    // [tokens, width], [vocabulary, width]
  loss_state* state;
  hence::status* conditions;  // [3]
  std::byte* workspace;
  std::size_t workspace_bytes;
};

// Queues the step. Nothing is allocated and nothing waits, so a graph may capture it.
void step(cudaStream_t stream, const shape& n, const arrays& d) {
  // A = (r - mean) / (std + eps) within each prompt's responses
  hence::cuda::advantages(
      stream, hence::advantage::grpo(/*ddof=*/1, /*eps=*/1e-4, hence::advantage::singleton_zero{}),
      {{view(d.cu_groups, n.prompts + 1)}}, view(d.rewards, n.rows), view(d.advantages, n.rows),
      d.conditions);

  // log-probs without the [tokens, vocabulary] logits: a tile of them in the workspace
  const hence::softmax_rule rule{.temperature = 1.0, .negative = hence::negative_labels::ignored};
  const view<const hence::bf16, 2> hidden(d.hidden, n.tokens, n.width);
  const hence::linear_head<const hence::bf16> head{
      view<const hence::bf16, 2>(d.head, n.vocabulary, n.width)};
  const hence::token_labels labels(view(d.labels, n.tokens));
  const std::span<std::byte> workspace(d.workspace, d.workspace_bytes);
  hence::cuda::linear_logprob(stream, rule, hidden, head, labels,
                              {.logp = {d.logp, n.tokens},
                               .entropy = {d.entropy, n.tokens},
                               .states = {d.states, n.tokens}},
                              workspace, d.conditions + 1);

  // the loss and its gradient with respect to the log-probs
  hence::ragged batch{.cu_seqlens = view(d.cu_seqlens, n.rows + 1)};
  batch.mask.response = {d.response, n.tokens};
  hence::policy_inputs<float> in;
  in.logp = {view<const float>(d.logp, n.tokens), {.temperature = 1.0}};
  in.old = {view(d.old_logp, n.tokens), {.temperature = 1.0}};
  in.advantages = view<const float>(d.advantages, n.rows);
  hence::cuda::loss_and_gradient(stream, loss, batch, in, hence::over_this_call,
                                 view(d.d_logp, n.tokens), d.state, hence::with_metrics);

  // and with respect to the hidden states and the head
  hence::cuda::linear_logprob_gradient(
      stream, rule, hidden, head, labels, view<const hence::softmax_state>(d.states, n.tokens),
      {.logp = {d.d_logp, n.tokens}},
      {.hidden = {d.d_hidden, n.tokens, n.width}, .weight = {d.d_head, n.vocabulary, n.width}},
      workspace, d.conditions + 2);
}

// ---- The rest is a batch and a check.

void cuda(cudaError_t e) { hence::cuda::check(e, "a call of main.cu"); }
template <class T> T* allocate(std::size_t n) {
  void* p = nullptr;
  cuda(cudaMalloc(&p, n * sizeof(T)));
  return static_cast<T*>(p);
}
template <class T> T* to_device(const std::vector<T>& x) {
  T* const p = allocate<T>(x.size());
  cuda(cudaMemcpy(p, x.data(), x.size() * sizeof(T), cudaMemcpyHostToDevice));
  return p;
}
template <class T> std::vector<T> to_host(const T* p, std::size_t n) {
  std::vector<T> x(n);
  cuda(cudaMemcpy(static_cast<void*>(x.data()), p, n * sizeof(T), cudaMemcpyDeviceToHost));
  return x;
}

struct host_batch {
  shape n{4, 16, 0, 24, 90};
  std::vector<std::int64_t> labels, cu_seqlens{0}, cu_groups{0};
  std::vector<std::uint8_t> response;
  std::vector<float> rewards, old_logp;
};

// The same loss in float64, from the formulas.
double loss_of(const host_batch& b, const std::vector<double>& hidden,
               const std::vector<double>& head) {
  const auto n = b.n;
  double sum = 0, count = 0;
  for (std::int64_t p = 0; p < n.prompts; ++p) {
    const auto first = b.cu_groups[p], last = b.cu_groups[p + 1];
    double mean = 0, variance = 0;
    for (auto i = first; i < last; ++i) mean += b.rewards[i] / double(last - first);
    for (auto i = first; i < last; ++i)
      variance += std::pow(b.rewards[i] - mean, 2) / double(last - first - 1);
    for (auto i = first; i < last; ++i)
      for (auto t = b.cu_seqlens[i]; t < b.cu_seqlens[i + 1]; ++t) {
        if (b.response[t] == 0) continue;
        double total = 0, label = 0;
        for (std::int64_t v = 0; v < n.vocabulary; ++v) {
          double logit = 0;
          for (std::int64_t d = 0; d < n.width; ++d)
            logit += hidden[t * n.width + d] * head[v * n.width + d];
          total += std::exp(logit);
          if (v == b.labels[t]) label = logit;
        }
        const double a = (b.rewards[i] - mean) / (std::sqrt(variance) + 1e-4);
        const double ratio = std::exp(label - std::log(total) - b.old_logp[t]);
        sum -= std::fmin(ratio * a, std::fmin(std::fmax(ratio, 0.8), 1.28) * a), ++count;
      }
  }
  return sum / count;
}

int main() {
  host_batch b;
  shape& n = b.n;
  std::mt19937 random(1);
  const auto noise = [&] { return static_cast<float>(random()) / 2147483648.0f - 1.0f; };
  for (std::int64_t i = 0; i < n.rows; ++i) {  // a prompt of 2 tokens, a response of 3 to 9
    const auto length = 5 + static_cast<std::int64_t>(random() % 7);
    for (std::int64_t t = 0; t < length; ++t) {
      b.response.push_back(t >= 2);
      b.labels.push_back(t >= 2 ? static_cast<std::int64_t>(random()) % n.vocabulary : -100);
    }
    b.cu_seqlens.push_back(b.cu_seqlens.back() + length);
    b.rewards.push_back(random() % 2 == 0 ? 1.0f : 0.0f);
  }
  for (std::int64_t p = 0; p < n.prompts; ++p) b.cu_groups.push_back((p + 1) * n.rows / n.prompts);
  n.tokens = b.cu_seqlens.back();
  std::vector<hence::bf16> hidden, head;
  for (std::int64_t i = 0; i < n.tokens * n.width; ++i) hidden.push_back(hence::bf16(noise()));
  for (std::int64_t i = 0; i < n.vocabulary * n.width; ++i) head.push_back(hence::bf16(noise()));
  const auto tokens = b.labels.size(), rows = b.rewards.size();

  arrays d{};
  d.hidden = to_device(hidden), d.head = to_device(head), d.labels = to_device(b.labels);
  d.response = to_device(b.response), d.rewards = to_device(b.rewards);
  d.cu_seqlens = to_device(b.cu_seqlens), d.cu_groups = to_device(b.cu_groups);
  d.advantages = allocate<float>(rows), d.logp = allocate<float>(tokens);
  d.entropy = allocate<float>(tokens), d.d_logp = allocate<float>(tokens);
  d.states = allocate<hence::softmax_state>(tokens);
  d.d_hidden = allocate<float>(hidden.size()), d.d_head = allocate<float>(head.size());
  d.state = allocate<loss_state>(1), d.conditions = allocate<hence::status>(3);
  d.workspace_bytes = static_cast<std::size_t>(
      hence::cuda::linear_logprob_workspace_bytes(/*tile=*/64, n.vocabulary));
  d.workspace = allocate<std::byte>(d.workspace_bytes);
  cudaStream_t stream;
  cuda(cudaStreamCreate(&stream));

  // The policy that sampled is some steps away from this one.
  d.old_logp = to_device(std::vector<float>(tokens));  // any: the log-probs are asked for
  step(stream, n, d);
  cuda(cudaStreamSynchronize(stream));
  b.old_logp = to_host(d.logp, tokens);
  for (float& x : b.old_logp) x += 0.4f * noise();
  d.old_logp = to_device(b.old_logp);

  step(stream, n, d);
  cuda(cudaStreamSynchronize(stream));
  const auto result = to_host(d.state, 1)[0].result();
  const auto d_hidden = to_host(d.d_hidden, hidden.size());
  const auto d_head = to_host(d.d_head, head.size());
  std::printf("%lld response tokens of %lld\n", static_cast<long long>(result.counts().tokens),
              static_cast<long long>(n.tokens));
  std::printf("loss     %+.7f\n", result.loss());
  std::printf("clipped  %.4f\n", result.metrics().clip_region_mean());

  // The loss against the formulas; the gradients against its change along a random direction.
  std::vector<double> x(hidden.begin(), hidden.end()), w(head.begin(), head.end());
  const double expected = loss_of(b, x, w);
  double slope = 0;
  std::vector<double> x2 = x, w2 = w;
  const double by = 1e-5;
  const auto move = [&](std::vector<double>& one, std::vector<double>& other,
                        const std::vector<float>& gradient) {
    for (std::size_t i = 0; i < one.size(); ++i) {
      const double direction = noise();
      one[i] += by * direction, other[i] -= by * direction;
      slope += direction * gradient[i];
    }
  };
  move(x, x2, d_hidden), move(w, w2, d_head);
  const double expected_slope = (loss_of(b, x, w) - loss_of(b, x2, w2)) / (2 * by);
  std::printf("formulas %+.7f, slope %+.6f, expected %+.6f\n", expected, slope, expected_slope);
  bool is_sound = result.conditions() == hence::status::ok;
  for (const hence::status s : to_host(d.conditions, 3)) is_sound &= s == hence::status::ok;
  return is_sound && std::fabs(result.loss() - expected) < 1e-6 &&
                 std::fabs(slope - expected_slope) < 1e-5 * (1 + std::fabs(expected_slope))
             ? 0
             : 1;
}
