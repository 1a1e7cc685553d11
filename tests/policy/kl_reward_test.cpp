#include <hence/policy/kl_limit.hpp>
#include <hence/policy/kl_reward.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <stdexcept>

namespace {

using fixture::form;
namespace kl = hence::kl;

/// Per-token rewards in description order, and the rows' reduced rewards.
template <class T, class Executor, class Kl>
std::pair<std::vector<T>, std::vector<T>> both(const Executor& executor, const Kl& k,
                                               const fixture::description& d, form f,
                                               hence::kl_paid& paid) {
  fixture::arrays<T> a(d, f);
  std::vector<T> rewards;
  for (const auto& r : d.rows) rewards.push_back(static_cast<T>(r.score));
  a.with_batch([&](const auto& batch) {
    hence::kl_paid per_token{7, 7}, per_row{7, 7};
    CHECK(hence::kl_rewards(executor, k, batch, a.inputs(), a.output(), &per_token) ==
          hence::status::ok);
    CHECK(hence::subtract_kl(executor, k, batch, a.inputs(), hence::view<T>(rewards), &per_row) ==
          hence::status::ok);
    CHECK(per_token.tokens == per_row.tokens);
    if constexpr (std::is_same_v<T, float>)  // the sum is exact, whatever the order
      CHECK(per_token.sum == per_row.sum);
    paid = per_row;
    return 0;
  });
  std::vector<T> tokens;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
      tokens.push_back(a.where[i][t] < 0 ? T(0)
                                         : a.gradient[static_cast<std::size_t>(a.where[i][t])]);
  return {tokens, rewards};
}

template <class Value> void check(const auto& wide, const auto& narrow, const Value& value) {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {9, 0, 30, 5}, {.live = 0.8, .roles = true});
  hence::kl_paid paid, paid_first, paid_here;
  const auto exact = both<double>(hence::reference<double>{}, wide, d, form::ragged, paid);
  const auto first = both<float>(hence::reference<float>{}, narrow, d, form::ragged, paid_first);
  double total = 0;
  std::int64_t tokens = 0;
  std::size_t k = 0;
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    double sum = d.rows[i].score;
    for (const auto& p : d.rows[i].at) {
      const double v = p.live && p.kl ? -0.5 * value(p.ref - p.logp) : 0;
      sum += v;
      total += p.live && p.kl ? value(p.ref - p.logp) : 0;
      tokens += p.live && p.kl ? 1 : 0;
      CHECK(exact.first[k] == doctest::Approx(v).epsilon(1e-14));
      CHECK(double(first.first[k]) == doctest::Approx(v).epsilon(1e-6));
      ++k;
    }
    CHECK(exact.second[i] == doctest::Approx(sum).epsilon(1e-14));
    CHECK(double(first.second[i]) == doctest::Approx(sum).epsilon(1e-5));
  }
  CHECK(paid.tokens == tokens);
  CHECK(paid.mean() == doctest::Approx(total / double(tokens)).epsilon(1e-14));
  CHECK(paid_first.sum == doctest::Approx(total).epsilon(1e-5));
  for (const form f : fixture::every_form) {
    CHECK(both<float>(hence::cpu{}, narrow, d, f, paid_here) == first);
    CHECK(paid_here.sum == paid_first.sum);
    CHECK(paid_here.tokens == tokens);
  }
}

}  // namespace

TEST_CASE("the value per token, and its sum off the row's reward") {
  check(kl::k1{0.5}, kl::k1{0.5f}, [](double u) { return -u; });
  check(kl::k3{0.5, kl::as_k2{}}, kl::k3{0.5f, kl::as_k2{}},
        [](double u) { return std::exp(u) - 1 - u; });
  check(kl::absolute{0.5, kl::own{}, kl::clamped{-1.0, 1.0, -0.5, 0.5}},
        kl::absolute{0.5f, kl::own{}, kl::clamped{-1.0f, 1.0f, -0.5f, 0.5f}},
        [](double u) { return std::fabs(u) < 0.5 ? std::fabs(u) : 0.5; });
}

TEST_CASE("what is not finite is reported, what does not fit refused") {
  fixture::dice random(1);
  auto d = fixture::random_batch(random, {3, 2});
  d.rows[0].at[1].ref = std::numeric_limits<double>::infinity();
  fixture::arrays<float> a(d, form::ragged);
  std::vector<float> rewards{1, 2}, few{1};
  const kl::k1 k{0.5f};
  const kl::k1 clamped{0.5f, kl::own{}, kl::clamped{-1.0f, 1.0f, -1.0f, 1.0f}};
  CHECK(hence::kl_rewards(hence::cpu{}, clamped, a.ragged(), a.inputs(), a.output()) ==
        hence::status::non_finite);
  CHECK(hence::subtract_kl(hence::cpu{}, k, a.ragged(), a.inputs(), hence::view<float>(rewards)) ==
        hence::status::non_finite);
  CHECK(!std::isfinite(rewards[0]));
  CHECK(std::isfinite(rewards[1]));
  const auto refusal = [&](auto&& f) -> std::string {
    try {
      f();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(refusal([&] {
          hence::subtract_kl(hence::cpu{}, k, a.ragged(), a.inputs(), hence::view<float>(few));
        }) == "hence: rewards has 1 entries, the batch has 2 rows");
  CHECK(refusal([&] { hence::subtract_kl(hence::cpu{}, k, a.ragged(), a.inputs(), {}); }) ==
        "hence: rewards is null, expected 2 rows");
  const std::vector<std::int64_t> none{0};
  const std::vector<float> empty;
  const hence::policy_inputs<float> nothing{.logp = {empty, {.temperature = 1.0}},
                                            .ref = {empty, {.temperature = 1.0}}};
  CHECK(refusal([&] {
          hence::subtract_kl(hence::cpu{}, k, hence::ragged{.cu_seqlens = none}, nothing, {});
        }) == "accepted");
  hence::kl_paid paid{7, 7};
  hence::subtract_kl(hence::cpu{}, k, hence::ragged{.cu_seqlens = none}, nothing, {}, &paid);
  CHECK(paid.tokens == 0);
  CHECK(paid.mean() == 0.0);
  auto in = a.inputs();
  in.ref.how.temperature = 0.5;
  CHECK(refusal([&] {
          hence::kl_rewards(hence::cpu{}, k, a.ragged(), in, a.output());
        }).starts_with("hence: logp was computed at temperature 1, ref at 0.5"));
  CHECK(refusal([&] {
          hence::kl_rewards(hence::cpu{}, k, a.ragged(), a.inputs(), hence::view<float>(a.ref));
        }) == "hence: out overlaps ref, expected separate arrays");
  CHECK(refusal([&] {
          hence::subtract_kl(hence::cpu{}, k, a.ragged(), a.inputs(),
                             hence::view<float>(a.logp.data(), 2));
        }) == "hence: rewards overlaps logp, expected separate arrays");
}
