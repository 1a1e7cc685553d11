// GRPO on Thrust's device_vectors: the same file for CUDA (nvcc) and for Thrust's host systems.
//
// The task: 32 prompts, each with one right token of 8. The policy is a table of logits, a response
// is one token. A step draws 16 responses to each prompt, rewards them, and follows the gradient of
// the loss. Everything stays in the device system's memory; hence's functions take the vectors.
#include <hence/interop/thrust.hpp>
#include <hence/policy/recipe.hpp>

#include <thrust/device_vector.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/random.h>
#include <thrust/reduce.h>
#include <thrust/sequence.h>

#include <cstdint>
#include <cstdio>

constexpr std::int64_t prompts = 32, group = 16, rows = prompts * group, vocabulary = 8;

template <class T> using vector = thrust::device_vector<T>;
template <class T> T* raw(vector<T>& x) { return thrust::raw_pointer_cast(x.data()); }

// hence's numbers and functions: the same bits on every system, so the table printed is the same
using number = hence::num<float>;

// log p of every token of a prompt
HENCE_HOST_DEVICE inline void log_softmax(const float* logits, number (&logp)[vocabulary]) {
  number sum = 0.0f;
  for (int v = 0; v < vocabulary; ++v) sum = sum + exp(number(logits[v]));
  for (int v = 0; v < vocabulary; ++v) logp[v] = number(logits[v]) - log(sum);
}

// draws a response's token; its log-prob and reward
struct respond {
  const float* logits;  // [prompts, vocabulary]
  unsigned step;
  int* token;     // [rows]
  float* logp;    // [rows]
  float* reward;  // [rows]

  HENCE_HOST_DEVICE void operator()(std::int64_t row) const {
    const std::int64_t prompt = row / group;
    number logps[vocabulary];
    log_softmax(logits + prompt * vocabulary, logps);
    thrust::minstd_rand random(step * 2654435761u + static_cast<unsigned>(row));
    random.discard(4);
    number left = static_cast<float>(random() >> 7) * 0x1p-24f;
    int v = 0;
    for (; v + 1 < vocabulary; ++v) {
      left = left - exp(logps[v]);
      if (left.v < 0) break;
    }
    token[row] = v, logp[row] = logps[v].v;
    reward[row] = v == prompt * 5 % vocabulary ? 1.0f : 0.0f;
  }
};

// a prompt's logits follow the gradient: d logp(token) / d logit(v) = [v = token] - p(v)
struct descend {
  const int* token;       // [rows]
  const float* gradient;  // [rows], d loss / d logp
  float rate;
  float* logits;  // [prompts, vocabulary]

  HENCE_HOST_DEVICE void operator()(std::int64_t prompt) const {
    float* const mine = logits + prompt * vocabulary;
    number logps[vocabulary];
    log_softmax(mine, logps);
    for (int v = 0; v < vocabulary; ++v) {
      number slope = 0.0f;
      for (std::int64_t row = prompt * group; row < (prompt + 1) * group; ++row)
        slope =
            slope + number(gradient[row]) * (number(v == token[row] ? 1.0f : 0.0f) - exp(logps[v]));
      mine[v] = (number(mine[v]) - number(rate) * slope).v;
    }
  }
};

int main() {
  const hence::on_thrust on(thrust::device);
  const auto rule =
      hence::advantage::grpo(/*ddof=*/1, /*eps=*/1e-4, hence::advantage::singleton_zero{});
  const auto loss = hence::recipe::dapo();

  vector<float> logits(prompts * vocabulary), logp(rows), rewards(rows), advantages(rows),
      gradient(rows);
  vector<int> tokens(rows);
  vector<std::int64_t> cu_groups(prompts + 1), cu_seqlens(rows + 1);
  thrust::sequence(cu_groups.begin(), cu_groups.end(), std::int64_t{0}, group);
  thrust::sequence(cu_seqlens.begin(), cu_seqlens.end());  // one token a response
  const thrust::counting_iterator<std::int64_t> first(0);

  float mean = 0;
  for (unsigned step = 0; step < 60; ++step) {
    thrust::for_each_n(on.policy(), first, rows,
                       respond{raw(logits), step, raw(tokens), raw(logp), raw(rewards)});
    // A = (r - mean) / (std + eps) within each prompt's responses
    hence::advantages(on, rule, {on(cu_groups)}, on(rewards), on(advantages));
    // on policy: the old log-probs are these
    const auto result =
        hence::loss_and_gradient(on, loss, hence::ragged{.cu_seqlens = on(cu_seqlens)},
                                 {.logp = {on(logp), {.temperature = 1.0}},
                                  .old = {on(logp), {.temperature = 1.0}},
                                  .advantages = on(advantages)},
                                 hence::over_this_call, on(gradient));
    thrust::for_each_n(on.policy(), first, prompts,
                       descend{raw(tokens), raw(gradient), 40.0f, raw(logits)});
    mean = thrust::reduce(rewards.begin(), rewards.end()) / rows;
    if (step % 10 == 0 || step == 59)
      std::printf("step %2u  reward %.3f  tokens %lld\n", step, double(mean),
                  static_cast<long long>(result.counts().tokens));
  }
  return mean > 0.9f ? 0 : 1;
}
