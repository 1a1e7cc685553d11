// What the papers prove of expectations, seen by drawing: tokens of small categorical policies by
// Philox, through loss_and_gradient, held to closed forms within five standard errors. The seeds
// are fixed, so nothing flickers; each test first shows that five standard errors are far below
// what a wrong sign or a missing factor would change.
#include <hence/core/random.hpp>
#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_named.hpp>
#include <hence/policy/kl_limit.hpp>
#include <hence/policy/loss.hpp>
#include <hence/policy/surrogate_ratio.hpp>
#include <hence/policy/surrogate_score.hpp>

#include <doctest/doctest.h>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace {

constexpr std::size_t words = 5;
using vector = std::array<double, words>;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// A softmax policy over five words.
struct policy {
  vector p{};
  explicit policy(const vector& logits) {
    double sum = 0;
    for (std::size_t j = 0; j < words; ++j) sum += std::exp(logits[j]);
    for (std::size_t j = 0; j < words; ++j) p[j] = std::exp(logits[j]) / sum;
  }
  double logp(std::size_t x) const { return std::log(p[x]); }
  std::size_t draw(std::uint64_t seed, std::uint64_t k) const {
    hence::draw at{};
    at.sequence = k;
    const hence::random_words w = hence::philox(seed, at);
    double u = (double(w.word[0]) + double(w.word[1]) * 0x1p-32) * 0x1p-32;
    std::size_t x = 0;
    while (x + 1 < words && u >= p[x]) u -= p[x++];
    return x;
  }
  template <class F> double mean(F&& f) const {
    double sum = 0;
    for (std::size_t x = 0; x < words; ++x) sum += p[x] * f(x);
    return sum;
  }
};
const policy pi({0.5, -0.3, 0.1, 1.2, -1.0}), ref({-0.2, 0.4, 0.3, 0.6, 0.2}),
    old({0.0, 0.2, 0.3, 0.4, -0.3});
const vector rewards{1.0, -0.5, 2.0, 0.25, -1.5};

/// sum_x of f(x) d p(x) / d logit_j, for a function f that does not depend on the logits.
vector score_gradient(const policy& q, const std::function<double(std::size_t)>& f) {
  const double mean = q.mean(f);
  vector g{};
  for (std::size_t j = 0; j < words; ++j) g[j] = q.p[j] * (f(j) - mean);
  return g;
}
/// d KL(pi || ref) / d logits, and d KL(ref || pi) / d logits.
vector reverse_kl_gradient() {
  return score_gradient(pi, [](std::size_t x) { return pi.logp(x) - ref.logp(x); });
}
vector forward_kl_gradient() {
  vector g{};
  for (std::size_t j = 0; j < words; ++j) g[j] = pi.p[j] - ref.p[j];
  return g;
}

/// N tokens drawn from a policy, a row each.
struct sample {
  std::vector<std::size_t> drawn;
  std::vector<double> logp, old_logp, ref_logp, advantages, gradient;
  std::vector<std::int64_t> cu{0};

  sample(const policy& from, std::uint64_t seed, std::size_t n) : gradient(n) {
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t x = from.draw(seed, k);
      drawn.push_back(x);
      logp.push_back(pi.logp(x)), old_logp.push_back(old.logp(x)), ref_logp.push_back(ref.logp(x));
      advantages.push_back(rewards[x]);
      cu.push_back(std::int64_t(k + 1));
    }
  }
  template <class Loss> auto run(const Loss& loss) {
    hence::policy_inputs<double> in;
    in.logp = {logp, {1.0}}, in.old = {old_logp, {1.0}}, in.ref = {ref_logp, {1.0}};
    in.advantages = advantages;
    return hence::loss_and_gradient(hence::reference<double>{}, loss,
                                    hence::ragged{.cu_seqlens = cu}, in, hence::over_this_call,
                                    gradient, hence::with_metrics);
  }
};

/// Mean and standard error.
struct estimate {
  double mean = 0, error = 0;
};
estimate estimate_of(const std::vector<double>& x) {
  const double n = double(x.size());
  double sum = 0, squares = 0;
  for (const double v : x) sum += v;
  for (const double v : x) squares += (v - sum / n) * (v - sum / n);
  return {sum / n, std::sqrt(squares / n / n)};
}
/// The gradient with respect to the logits, of groups of `group` rows at a time.
std::array<estimate, words> logit_gradient(const sample& s, std::size_t group = 1) {
  const std::size_t n = s.drawn.size();
  std::array<estimate, words> out;
  for (std::size_t j = 0; j < words; ++j) {
    std::vector<double> x(n / group, 0.0);
    for (std::size_t k = 0; k < n; ++k)
      x[k / group] +=
          s.gradient[k] * double(n) / double(group) * ((s.drawn[k] == j ? 1.0 : 0.0) - pi.p[j]);
    out[j] = estimate_of(x);
  }
  return out;
}
double length(const vector& g) {
  double sum = 0;
  for (const double x : g) sum += x * x;
  return std::sqrt(sum);
}
double distance(const std::array<estimate, words>& a, const vector& b) {
  vector d{};
  for (std::size_t j = 0; j < words; ++j) d[j] = a[j].mean - b[j];
  return length(d);
}
double error_of(const std::array<estimate, words>& a) {
  vector e{};
  for (std::size_t j = 0; j < words; ++j) e[j] = a[j].error;
  return length(e);
}
/// \param scale the length that a wrong gradient would be off by.
void check_is(const std::array<estimate, words>& a, const vector& wanted, double scale) {
  CHECK(error_of(a) * 20 < scale);
  for (std::size_t j = 0; j < words; ++j)
    CHECK(std::fabs(a[j].mean - wanted[j]) <= 5 * a[j].error + 1e-12);
}

template <class K> auto kl_alone(const K& k) {
  return hence::policy_loss{hence::ratio::token{}, [](auto r, auto a) { return 0 * r * a; }, k,
                            hence::aggregate::token_mean{}};
}
template <class K> auto kl_on_policy(const K& k) {
  return hence::policy_loss{
      hence::ratio::token{hence::ratio::unclamped{}, hence::ratio::against_self{}},
      [](auto r, auto a) { return 0 * r * a; }, k, hence::aggregate::token_mean{}};
}
template <class R, class S> auto policy_alone(const R& r, const S& s) {
  return hence::policy_loss{r, s, hence::kl::none{}, hence::aggregate::token_mean{}};
}
const hence::ratio::token on_policy{hence::ratio::unclamped{}, hence::ratio::against_self{}};
constexpr std::size_t many = 100000;

}  // namespace

TEST_CASE("the mean of k1 and of k3 is the KL divergence; that of k2 and of abs is their own") {
  sample s(pi, 1, many);
  const double kl = pi.mean([](std::size_t x) { return pi.logp(x) - ref.logp(x); });
  const auto u = [](std::size_t x) { return ref.logp(x) - pi.logp(x); };
  const auto check = [&](const auto& k, double wanted, const auto& value) {
    const double seen = s.run(kl_alone(k)).metrics().kl_mean();
    const double squares = pi.mean([&](std::size_t x) { return value(x) * value(x); });
    const double error = std::sqrt((squares - wanted * wanted) / double(many));
    CHECK(std::fabs(seen - wanted) <= 5 * error);
    CHECK(error * 20 < kl);
  };
  check(hence::kl::k1{1.0}, kl, [&](std::size_t x) { return -u(x); });
  check(hence::kl::k3{1.0}, kl, [&](std::size_t x) { return std::exp(u(x)) - 1 - u(x); });
  const double k2 = pi.mean([&](std::size_t x) { return u(x) * u(x) / 2; });
  check(hence::kl::k2{1.0}, k2, [&](std::size_t x) { return u(x) * u(x) / 2; });
  const double absolute = pi.mean([&](std::size_t x) { return std::fabs(u(x)); });
  check(hence::kl::absolute{1.0}, absolute, [&](std::size_t x) { return std::fabs(u(x)); });
  CHECK(absolute > 1.5 * kl);
}

TEST_CASE("on policy: k1's gradient has mean 0, k3's is the forward KL's, k2's the reverse KL's") {
  namespace kl = hence::kl;
  sample s(pi, 2, many);
  const vector reverse = reverse_kl_gradient(), forward = forward_kl_gradient();
  const double size = length(reverse);
  const auto of = [&](const auto& loss) {
    s.run(loss);
    return logit_gradient(s);
  };
  vector apart = reverse;
  for (std::size_t j = 0; j < words; ++j) apart[j] -= forward[j];
  CHECK(length(apart) > 0.1 * size);
  check_is(of(kl_alone(kl::k1{1.0})), {}, size);
  check_is(of(kl_alone(kl::k2{1.0})), reverse, size);
  check_is(of(kl_alone(kl::k3{1.0})), forward, size);
  check_is(of(kl_alone(kl::k1{1.0, kl::as_k2{}})), reverse, size);
  check_is(of(kl_alone(kl::k3{1.0, kl::as_k2{}})), reverse, size);
  check_is(of(kl_alone(kl::absolute{1.0, kl::as_k2{}})), reverse, size);
  check_is(of(kl_on_policy(kl::k3{1.0, kl::ratio_weighted{}})), reverse, size);
  check_is(of(kl_on_policy(kl::k1{1.0, kl::ratio_weighted{}})), reverse, size);
  check_is(of(kl_on_policy(kl::k1{1.0, kl::as_k2_importance{infinity}})), reverse, size);
  // abs has the gradient of its own mean's sign pattern, which is no KL's
  const auto own = of(kl_alone(kl::absolute{1.0}));
  check_is(own, score_gradient(pi, [](std::size_t x) { return pi.p[x] > ref.p[x] ? 1.0 : -1.0; }),
           size);
  CHECK(distance(own, reverse) > 10 * error_of(own));
  CHECK(distance(own, forward) > 10 * error_of(own));
}

TEST_CASE(
    "off policy: weighted by the ratio the gradient stays the reverse KL's, else it does not") {
  namespace kl = hence::kl;
  sample s(old, 3, many);
  const vector reverse = reverse_kl_gradient();
  const double size = length(reverse);
  const auto of = [&](const auto& loss) {
    s.run(loss);
    return logit_gradient(s);
  };
  check_is(of(kl_alone(kl::k1{1.0, kl::as_k2_importance{infinity}})), reverse, size);
  check_is(of(kl_alone(kl::k3{1.0, kl::as_k2_importance{infinity}})), reverse, size);
  check_is(of(kl_alone(kl::k3{1.0, kl::ratio_weighted{}})), reverse, size);
  check_is(of(kl_alone(kl::k1{1.0, kl::ratio_weighted{}})), reverse, size);
  const auto unweighted = of(kl_alone(kl::k3{1.0, kl::as_k2{}}));
  vector biased{};  // E_old[(log pi - log ref) d log pi]
  for (std::size_t j = 0; j < words; ++j)
    biased[j] = old.mean([&](std::size_t x) {
      return (pi.logp(x) - ref.logp(x)) * ((x == j ? 1.0 : 0.0) - pi.p[j]);
    });
  check_is(unweighted, biased, size);
  CHECK(distance(unweighted, reverse) > 10 * error_of(unweighted));
}

TEST_CASE("the on-policy gradient is REINFORCE's, token by token and in the mean") {
  sample s(pi, 4, many);
  vector ascent = score_gradient(pi, [](std::size_t x) { return rewards[x]; });
  for (double& x : ascent) x = -x;  // the loss is minimised
  s.run(policy_alone(on_policy, hence::clip::reinforce{}));
  const std::vector<double> reinforce = s.gradient;
  check_is(logit_gradient(s), ascent, length(ascent));
  const auto same = [&](const auto& loss) {
    s.run(loss);
    double worst = 0;
    for (std::size_t k = 0; k < many; ++k)
      worst = std::max(worst, std::fabs(s.gradient[k] - reinforce[k]) * double(many));
    CHECK(worst < 1e-14);
  };
  same(policy_alone(on_policy, hence::clip::none{}));
  same(policy_alone(on_policy, hence::clip::two_sided{0.8, 1.2}));
  same(policy_alone(on_policy, hence::clip::cispo{0.0, 5.0}));
  // r = 1 at tau (r - 1) = 0, where the soft gate's slope is 4/tau tau/4 = 1
  same(policy_alone(on_policy, hence::clip::sapo{1.0, 1.05}));
}

TEST_CASE("off policy the unclipped ratio keeps the gradient unbiased, and clipping biases it") {
  sample s(old, 5, many);
  vector ascent = score_gradient(pi, [](std::size_t x) { return rewards[x]; });
  for (double& x : ascent) x = -x;
  s.run(policy_alone(hence::ratio::token{}, hence::clip::none{}));
  check_is(logit_gradient(s), ascent, length(ascent));
  s.run(policy_alone(hence::ratio::token{}, hence::clip::cispo{0.0, infinity}));
  check_is(logit_gradient(s), ascent, length(ascent));
  s.run(policy_alone(hence::ratio::token{}, hence::clip::cispo{0.0, 1.0}));
  const auto clipped = logit_gradient(s);
  vector wanted{};
  for (std::size_t j = 0; j < words; ++j)
    wanted[j] = -old.mean([&](std::size_t x) {
      return std::min(pi.p[x] / old.p[x], 1.0) * rewards[x] * ((x == j ? 1.0 : 0.0) - pi.p[j]);
    });
  check_is(clipped, wanted, length(ascent));
  CHECK(distance(clipped, ascent) > 10 * error_of(clipped));
}

TEST_CASE(
    "baselines: leave-one-out keeps the gradient, the group's own mean shrinks it by (G-1)/G") {
  namespace advantage = hence::advantage;
  constexpr std::size_t group = 4;
  sample s(pi, 6, many);
  const std::vector<double> raw = s.advantages;
  std::vector<std::int64_t> cu;
  for (std::size_t k = 0; k <= many; k += group) cu.push_back(std::int64_t(k));
  vector ascent = score_gradient(pi, [](std::size_t x) { return rewards[x]; });
  for (double& x : ascent) x = -x;
  const auto of = [&](const auto& rule) {
    hence::advantages(hence::reference<double>{}, rule, hence::groups{.cu_groups = cu}, raw,
                      s.advantages);
    s.run(policy_alone(on_policy, hence::clip::none{}));
    return logit_gradient(s, group);
  };
  const auto rloo = of(advantage::rloo(advantage::singleton_zero{}));
  check_is(rloo, ascent, length(ascent));
  const auto own = of(advantage::dr_grpo(advantage::singleton_zero{}));
  CHECK(distance(own, ascent) > 10 * error_of(own));
  for (double& x : ascent) x *= double(group - 1) / group;
  check_is(own, ascent, length(ascent));
}

TEST_CASE(
    "GSPO and GSPO-token: one gradient where A is the row's, another where it is the token's") {
  std::vector<double> logp, old_logp, row_advantages, token_advantages;
  std::vector<std::int64_t> cu{0};
  for (std::uint64_t i = 0; i < 400; ++i) {
    const std::uint64_t n = i % 7;
    for (std::uint64_t t = 0; t < n; ++t) {
      const std::size_t x = old.draw(7, 16 * i + t);
      logp.push_back(pi.logp(x)), old_logp.push_back(old.logp(x));
      token_advantages.push_back(rewards[x]);
    }
    cu.push_back(std::int64_t(logp.size()));
    row_advantages.push_back(rewards[i % words]);
  }
  const auto run = [&](const auto& ratio, bool by_token, std::vector<double>& gradient) {
    gradient.assign(logp.size(), 7);
    hence::policy_inputs<double> in;
    in.logp = {logp, {1.0}}, in.old = {old_logp, {1.0}};
    if (by_token)
      in.token_advantages = token_advantages;
    else
      in.advantages = row_advantages;
    return hence::loss_and_gradient(
               hence::reference<double>{},
               hence::policy_loss{ratio, hence::clip::two_sided{0.95, 1.05}, hence::kl::none{},
                                  hence::aggregate::sequence_mean_token_mean{}},
               hence::ragged{.cu_seqlens = cu}, in, hence::over_this_call, gradient)
        .loss();
  };
  const auto farthest = [](const std::vector<double>& a, const std::vector<double>& b) {
    double worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, std::fabs(a[k] - b[k]));
    return worst;
  };
  std::vector<double> gspo, token;
  CHECK(run(hence::ratio::sequence{}, false, gspo) ==
        doctest::Approx(run(hence::ratio::sequence_token{}, false, token)).epsilon(1e-14));
  CHECK(farthest(gspo, token) < 1e-16);
  CHECK(farthest(gspo, std::vector<double>(gspo.size())) > 1e-4);
  std::size_t clipped = 0;
  for (const double g : gspo) clipped += g == 0;
  CHECK(clipped > gspo.size() / 20);
  CHECK(clipped < gspo.size() / 2);
  CHECK(run(hence::ratio::sequence{}, true, gspo) ==
        doctest::Approx(run(hence::ratio::sequence_token{}, true, token)).epsilon(1e-14));
  CHECK(farthest(gspo, token) > 1e-4);
}
