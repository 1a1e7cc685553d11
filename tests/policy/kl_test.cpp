#include "compositions.hpp"

#include <doctest/doctest.h>

namespace {

/// The estimate at u = ref - logp, with its slope in logp.
template <class T, class K> auto estimate_at(const K& k, T u) {
  using V = hence::num<T>;
  const hence::dual<V, hence::zero, hence::one> logp{V(T(-0.0)), {}, {}};
  return hence::kl::estimate(k, V(u) - logp);
}
template <class T, class K> T value_at(const K& k, T u) { return estimate_at(k, u).value.v; }
template <class T, class K> T slope_at(const K& k, T u) {
  return hence::detail::as_number<hence::num<T>>(estimate_at(k, u).own).v;
}

/// A categorical pi and pi_ref by their logits.
struct two_policies {
  std::vector<double> p, log_p, log_q;
  explicit two_policies(std::uint32_t seed) {
    fixture::dice random(seed);
    double p_sum = 0, q_sum = 0;
    for (int i = 0; i < 12; ++i) {
      log_p.push_back(random.between(-2, 2));
      log_q.push_back(random.between(-2, 2));
      p_sum += std::exp(log_p.back());
      q_sum += std::exp(log_q.back());
    }
    for (double& x : log_p) x -= std::log(p_sum);
    for (double& x : log_q) x -= std::log(q_sum);
    for (const double x : log_p) p.push_back(std::exp(x));
  }
  double divergence() const {
    double kl = 0;
    for (std::size_t i = 0; i < p.size(); ++i) kl += p[i] * (log_p[i] - log_q[i]);
    return kl;
  }
  template <class F> double expectation(F&& f) const {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * f(i);
    return sum;
  }
};

/// A user's own estimator, no template and not hence's: Jeffreys' half, (e^u - 1) u / 2.
struct own_estimator {
  double coef;
  hence::kl::own gradient{};
  auto operator()(const auto& u) const { return (exp(u) - 1) * u * 0.5; }
};

}  // namespace

TEST_CASE("k1, k2, k3: value, own slope and k2's slope against the formulas") {
  fixture::dice random(1);
  for (int k = 0; k < 2000; ++k) {
    const double u = random.between(-8, 8);
    const oracle::quad e = oracle::exp(u);
    const auto close = [](double x, oracle::quad y) {
      const double size = std::max(1e-300, std::fabs(static_cast<double>(y)));
      return std::fabs(static_cast<double>(x - y)) <= 4e-16 * 8 * size;
    };
    CHECK(value_at(hence::kl::k1{1.0}, u) == -u);
    CHECK(slope_at(hence::kl::k1{1.0}, u) == 1);
    CHECK(close(value_at(hence::kl::k2{1.0}, u), oracle::quad(u) * u / 2));
    CHECK(slope_at(hence::kl::k2{1.0}, u) == -u);
    CHECK(close(value_at(hence::kl::k3{1.0}, u), e - 1 - u));
    CHECK(close(slope_at(hence::kl::k3{1.0}, u), 1 - e));
    CHECK(value_at(hence::kl::k1{1.0, hence::kl::as_k2{}}, u) == -u);
    CHECK(slope_at(hence::kl::k1{1.0, hence::kl::as_k2{}}, u) == -u);
    CHECK(slope_at(hence::kl::k3{1.0, hence::kl::as_k2{}}, u) == -u);
    CHECK(value_at(hence::kl::k3{1.0, hence::kl::as_k2{}}, u) == value_at(hence::kl::k3{1.0}, u));
  }
}

TEST_CASE("k3 is never negative and is 0 at 0, where e^u - 1 - u cancels") {
  CHECK(value_at(hence::kl::k3{1.0f}, 0.0f) == 0);
  fixture::dice random(2);
  for (int k = 0; k < 20000; ++k) {
    const float u = static_cast<float>(random.between(-1, 1) * std::exp2(random.between(-30, 6)));
    CHECK(value_at(hence::kl::k3{1.0f}, u) >= 0);
  }
  const float tiny = 0x1p-20f;
  CHECK(value_at(hence::kl::k3{1.0f}, tiny) == doctest::Approx(0x1p-41).epsilon(1e-6));
}

TEST_CASE("the expectation of k1 and of k3 under pi is the KL divergence") {
  for (std::uint32_t seed = 0; seed < 8; ++seed) {
    const two_policies both(seed);
    const auto u = [&](std::size_t i) { return both.log_q[i] - both.log_p[i]; };
    const double kl = both.divergence();
    CHECK(both.expectation([&](std::size_t i) { return value_at(hence::kl::k1{1.0}, u(i)); }) ==
          doctest::Approx(kl).epsilon(1e-13));
    CHECK(both.expectation([&](std::size_t i) { return value_at(hence::kl::k3{1.0}, u(i)); }) ==
          doctest::Approx(kl).epsilon(1e-13));
  }
}

TEST_CASE("on-policy, k2's gradient is that of the KL divergence; k1's own is 0, k3's another") {
  // d log p_i / d logit_j = [i = j] - p_j, d KL / d logit_j = p_j (log p_j - log q_j - KL)
  const two_policies both(9);
  const auto mean_gradient = [&](const auto& k, std::size_t j) {
    return both.expectation([&](std::size_t i) {
      return slope_at(k, both.log_q[i] - both.log_p[i]) * ((i == j ? 1.0 : 0.0) - both.p[j]);
    });
  };
  double k3_error = 0;
  for (std::size_t j = 0; j < both.p.size(); ++j) {
    const double truth = both.p[j] * (both.log_p[j] - both.log_q[j] - both.divergence());
    CHECK(std::fabs(mean_gradient(hence::kl::k2{1.0}, j) - truth) < 1e-14);
    CHECK(std::fabs(mean_gradient(hence::kl::k1{1.0, hence::kl::as_k2{}}, j) - truth) < 1e-14);
    CHECK(std::fabs(mean_gradient(hence::kl::k3{1.0, hence::kl::as_k2{}}, j) - truth) < 1e-14);
    CHECK(std::fabs(mean_gradient(hence::kl::k1{1.0}, j)) < 1e-14);
    k3_error = std::max(k3_error, std::fabs(mean_gradient(hence::kl::k3{1.0}, j) - truth));
  }
  CHECK(k3_error > 1e-3);
}

TEST_CASE("the KL mask alone decides where the KL term is, with a count of its own") {
  fixture::dice random(4);
  auto d = fixture::random_batch(random, {9, 6}, {.roles = true});
  for (auto& r : d.rows)
    for (auto& p : r.at) p.policy = false, p.metric = true;
  const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.75, 1.25},
                                hence::kl::k3{0.0625}, hence::aggregate::token_mean{}};
  const auto o = run(hence::reference<double>{}, loss, d, fixture::form::holes);
  double sum = 0;
  std::int64_t n = 0;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
      const auto& p = d.rows[i].at[t];
      const double u = p.ref - p.logp;
      if (p.kl) sum += std::exp(u) - 1 - u, ++n;
      CHECK(o.gradient[i][t] ==
            doctest::Approx(p.kl ? 0.0625 * (1 - std::exp(u)) / 15 : 0.0).epsilon(1e-12));
    }
  CHECK(o.loss == doctest::Approx(0.0625 * sum / 15).epsilon(1e-13));
  CHECK(o.counts.kl_tokens == n);
  CHECK(o.counts.policy_tokens == 0);
  CHECK(o.counts.tokens == 15);
  CHECK(o.kl_mean == doctest::Approx(sum / static_cast<double>(n)).epsilon(1e-13));
  CHECK(o.kl_tokens == n);
  CHECK(o.tokens == 0);  // of the ratio there is none
}

TEST_CASE("a user's own estimator needs coef, gradient and a call operator") {
  fixture::dice random(6);
  const auto d = fixture::random_batch(random, {7, 3});
  const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{-100.0, 100.0},
                                own_estimator{0.25}, hence::aggregate::token_mean{}};
  const auto o = run(hence::reference<double>{}, loss, d);
  double sum = 0;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (const auto& p : d.rows[i].at) {
      const double u = p.ref - p.logp;
      sum += 0.25 * (std::exp(u) - 1) * u / 2 - std::exp(p.logp - p.old) * d.rows[i].advantage;
    }
  CHECK(o.loss == doctest::Approx(sum / 10).epsilon(1e-12));
}
