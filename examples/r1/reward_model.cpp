#include "reward_model.hpp"

#include <hence/core/math.hpp>
#include <hence/logits/preference_loss.hpp>

#include <stdexcept>

namespace demo {

void reward_model::add(lm::packed_batch& batch, const shown_reply& r) const {
  std::vector<lm::token> prompt = r.question;
  prompt.insert(prompt.end(), r.part.begin(), r.part.end());
  prompt.push_back(vocabulary::end);
  const lm::token good = world_.good(), bad = world_.bad();
  batch.begin_group(prompt);
  batch.add_response({&good, 1});
  batch.add_response({&bad, 1});
}

void reward_model::train(std::span<const preference_pair> pairs, std::int64_t steps,
                         std::int64_t batch_pairs, double rate) {
  if (pairs.empty()) throw std::runtime_error("reward model: there is no preference pair");
  const lm::schedule schedule{.rate = rate, .steps = steps};
  const auto n = static_cast<std::size_t>(batch_pairs);
  std::size_t next = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    lm::packed_batch batch;
    for (std::size_t i = 0; i < n; ++i) {
      const auto& pair = pairs[next++ % pairs.size()];
      add(batch, pair.chosen), add(batch, pair.rejected);
    }
    batch.close();
    const auto logp = model_.logprobs(batch, 1.0);
    std::vector<float> chosen(n), rejected(n), d_chosen(n), d_rejected(n);
    const std::vector<float> weight(n, 1.0f / static_cast<float>(n));
    for (std::size_t i = 0; i < n; ++i)
      chosen[i] = score(logp, 2 * i), rejected[i] = score(logp, 2 * i + 1);
    const auto found =
        hence::preference_loss(hence::cpu{}, hence::preference::simpo{1.0f, 0.0f},
                               {.chosen = chosen, .rejected = rejected, .cotangent = weight},
                               {.chosen = d_chosen, .rejected = d_rejected});
    if (has(found.found, hence::status::non_finite))
      throw std::runtime_error("reward model: the loss is not finite");
    std::vector<float> cotangent(4 * n);
    for (std::size_t i = 0; i < n; ++i) {
      cotangent[4 * i] = d_chosen[i], cotangent[4 * i + 1] = -d_chosen[i];
      cotangent[4 * i + 2] = d_rejected[i], cotangent[4 * i + 3] = -d_rejected[i];
    }
    model_.add_gradient(batch, 1.0, cotangent);
    model_.update(schedule.at(step));
  }
  std::vector<shown_reply> all;
  for (const auto& pair : pairs) all.push_back(pair.chosen), all.push_back(pair.rejected);
  using wide = hence::num<double>;
  wide sum = 0.0, squares = 0.0;
  const auto seen = scores(all);
  const wide count = static_cast<double>(seen.size());
  for (const float x : seen) sum = sum + wide(static_cast<double>(x));
  mean_ = (sum / count).v;
  for (const float x : seen) {
    const wide d = wide(static_cast<double>(x)) - wide(mean_);
    squares = squares + d * d;
  }
  deviation_ = sqrt(squares / count).v;
}

std::vector<float> reward_model::scores(std::span<const shown_reply> replies) {
  std::vector<float> out;
  constexpr std::size_t at_once = 256;
  for (std::size_t begin = 0; begin < replies.size(); begin += at_once) {
    const auto some = replies.subspan(begin, std::min(at_once, replies.size() - begin));
    lm::packed_batch batch;
    for (const auto& r : some) add(batch, r);
    batch.close();
    const auto logp = model_.logprobs(batch, 1.0);
    for (std::size_t i = 0; i < some.size(); ++i) out.push_back(score(logp, i));
  }
  return out;
}

double reward_model::accuracy(std::span<const preference_pair> pairs) {
  std::vector<shown_reply> all;
  for (const auto& pair : pairs) all.push_back(pair.chosen), all.push_back(pair.rejected);
  const auto s = scores(all);
  double right = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) right += s[2 * i] > s[2 * i + 1];
  return right / static_cast<double>(std::max<std::size_t>(pairs.size(), 1));
}

double reward_model::reward(float score) const {
  using wide = hence::num<double>;
  return sigmoid((wide(static_cast<double>(score)) - wide(mean_)) / wide(deviation_ + 1e-6)).v;
}

}  // namespace demo
