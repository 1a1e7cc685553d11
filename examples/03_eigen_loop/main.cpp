// A training loop on Eigen arrays that learns: a table of logits is taught to spell a word per
// prompt. Everything but the loss is the toy's own: sampling, the softmax's backward, plain
// gradient descent.
#include <hence/policy.hpp>

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
  constexpr int prompts = 4, length = 5, letters = 8, group = 16, rows = prompts * group;
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(0.0f, 1.0f);

  std::vector<matrix> logits(prompts,
                             matrix::Zero(length, letters));  // the "model", [length, letters] each
  Eigen::MatrixXi word(prompts, length);                      // the answers
  for (int p = 0; p < prompts; ++p)
    for (int t = 0; t < length; ++t) word(p, t) = static_cast<int>(random() % letters);

  std::vector<std::int64_t> cu_groups;
  for (int p = 0; p <= prompts; ++p) cu_groups.push_back(p * group);
  const hence::padded batch{.rows = rows, .width = length};  // every response has the same length
  const auto advantage =
      hence::advantage::grpo(/*ddof=*/1, /*eps=*/1e-4, hence::advantage::singleton_zero{});
  const auto loss = hence::recipe::dapo();

  Eigen::MatrixXi tokens(rows, length);
  matrix logp(rows, length), old_logp(rows, length), gradient(rows, length);  // [rows, length]
  Eigen::VectorXf rewards(rows), advantages(rows);                            // [rows]
  float first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    std::vector<matrix> p;  // probabilities
    for (const matrix& z : logits) {
      matrix e = (z.colwise() - z.rowwise().maxCoeff()).array().exp();
      p.push_back(e.array().colwise() / e.rowwise().sum().array());
    }
    for (int i = 0; i < rows; ++i) {
      rewards(i) = 0;
      for (int t = 0; t < length; ++t) {
        float u = uniform(random);
        int token = 0;
        while (token + 1 < letters && (u -= p[static_cast<std::size_t>(i / group)](t, token)) > 0)
          ++token;
        tokens(i, t) = token;
        old_logp(i, t) = std::log(p[static_cast<std::size_t>(i / group)](t, token));
        rewards(i) += token == word(i / group, t) ? 1.0f / length : 0.0f;
      }
    }
    hence::advantages(hence::cpu{}, advantage, hence::groups{.cu_groups = cu_groups}, rewards,
                      advantages);

    for (int epoch = 0; epoch < 2;
         ++epoch) {  // the second is off-policy, so that the clip has work
      for (int i = 0; i < rows; ++i)
        for (int t = 0; t < length; ++t) {
          const matrix& z = logits[static_cast<std::size_t>(i / group)];
          logp(i, t) = z(t, tokens(i, t)) - std::log(z.row(t).array().exp().sum());
        }
      // Eigen matrices go in as they are.
      hence::loss_and_gradient(hence::cpu{}, loss, batch,
                               {.logp = {logp, {.temperature = 1.0}},
                                .old = {old_logp, {.temperature = 1.0}},
                                .advantages = advantages},
                               hence::over_this_call, gradient);
      for (int i = 0; i < rows; ++i)  // d logp / d logits = one_hot(token) - softmax
        for (int t = 0; t < length; ++t) {
          matrix& z = logits[static_cast<std::size_t>(i / group)];
          Eigen::RowVectorXf softmax = z.row(t).array().exp();
          softmax /= softmax.sum();
          const float step_size = 40.0f * gradient(i, t);
          z.row(t) += step_size * softmax;
          z(t, tokens(i, t)) -= step_size;
        }
    }
    last = rewards.mean();
    if (step == 0) first = last;
    if (step % 10 == 0 || step == 59)
      std::printf("step %2d  reward %.3f\n", step, static_cast<double>(last));
  }
  std::printf("reward %.3f -> %.3f\n", static_cast<double>(first), static_cast<double>(last));
  return last > 0.9f && first < 0.3f ? 0 : 1;
}
