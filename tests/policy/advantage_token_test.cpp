// Advantages of tokens and their whitening: the contract's formulas in __float128, signalling
// garbage in every dead position, equal bits.
#include "advantage_oracle.hpp"

#include <doctest/doctest.h>
#include <hence/policy/advantage_token.hpp>

#include <bit>
#include <numeric>
#include <stdexcept>
#include <string>

namespace {

using namespace hence;
using namespace advantage_oracle;
using namespace hence::advantage;

template <class S> S garbage() {
  if constexpr (std::is_same_v<S, float>)
    return std::bit_cast<float>(0x7fa00001u);
  else
    return std::bit_cast<double>(0x7ff4000000000001ull);
}

/// Rows with holes, padded to one width.
template <class S> struct batch_of {
  std::int64_t rows, width;
  std::vector<std::uint8_t> mask;
  std::vector<S> row_rewards, token_rewards, values;

  batch_of(std::int64_t n, std::int64_t t, int kind, std::mt19937& random)
      : rows(n),
        width(t),
        mask(std::size_t(n * t)),
        row_rewards(std::size_t(n), garbage<S>()),
        token_rewards(std::size_t(n * t), garbage<S>()),
        values(std::size_t(n * t), garbage<S>()) {
    for (std::int64_t i = 0; i < n; ++i) {
      const auto live = i % 7 == 3 ? 0 : random() % std::size_t(t + 1);
      const bool holes = random() % 2;
      for (std::size_t k = 0; k < live; ++k) {
        const auto at = std::size_t(i * t) + k;
        mask[at] = holes && random() % 3 == 0 ? 0 : std::uint8_t(1 + random() % 255);
        if (mask[at] == 0) continue;
        token_rewards[at] = draw<S>(kind, 1, random)[0], values[at] = draw<S>(kind, 1, random)[0];
        row_rewards[std::size_t(i)] = draw<S>(kind, 1, random)[0];
      }
    }
  }
  hence::padded padded() const {
    return {rows, width, {.response = view<const std::uint8_t, 2>(mask.data(), rows, width)}};
  }
  per_token<const S> tokens(const std::vector<S>& x) const { return {x.data(), rows, width}; }
  per_token<S> tokens(std::vector<S>& x) const { return {x.data(), rows, width}; }
};

enum class hole { skip, reset, discount };
enum class whiten { none, add, floor };

/// Where rewards are given.
enum class pay { rows, tokens, both };

struct plain_answer {
  std::vector<quad> advantages, returns;
  quad slack_advantages = 0, slack_returns = 0;
};

/// The contract, position by position from left to right over explicit successors.
template <class S>
plain_answer plain(const batch_of<S>& b, bool is_gae, pay paid, double gamma, double lambda, hole h,
                   whiten w, int ddof, double eps) {
  plain_answer out{std::vector<quad>(b.mask.size()), std::vector<quad>(b.mask.size())};
  std::vector<std::size_t> live_tokens;
  quad largest = 0;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    std::vector<std::size_t> chain;  // positions that exist
    std::size_t last = 0, count = 0;
    for (std::int64_t t = 0; t < b.width; ++t)
      if (b.mask[std::size_t(i * b.width + t)]) last = std::size_t(i * b.width + t), ++count;
    if (count == 0) continue;
    for (auto at = std::size_t(i * b.width); at <= last; ++at)
      if (b.mask[at] || h != hole::skip) chain.push_back(at);
    quad next_a = 0, next_v = 0;
    for (std::size_t k = chain.size(); k-- > 0;) {
      const std::size_t at = chain[k];
      const bool live = b.mask[at];
      if (!live && h == hole::reset) {
        next_a = next_v = 0;
        continue;
      }
      quad r = 0;
      if (live && paid != pay::rows) r += quad(b.token_rewards[at]);
      if (live && paid != pay::tokens && at == last) r += quad(b.row_rewards[std::size_t(i)]);
      const quad v = live && is_gae ? quad(b.values[at]) : quad(0);
      const quad a = is_gae ? r + quad(gamma) * next_v - v + quad(gamma) * quad(lambda) * next_a
                            : r + quad(gamma) * next_a;
      next_a = a, next_v = v;
      if (!live) continue;
      out.advantages[at] = a, out.returns[at] = a + v;
      live_tokens.push_back(at);
      largest = std::max({largest, magnitude(a), magnitude(v), magnitude(r)});
    }
  }
  out.slack_advantages = out.slack_returns = largest * quad(0x1p-44);
  if (w == whiten::none) return out;
  const quad n = quad(double(live_tokens.size()));
  quad mean = 0, squares = 0;
  for (const auto at : live_tokens) mean += out.advantages[at] / n;
  bool equal = true;
  for (const auto at : live_tokens) {
    squares += (out.advantages[at] - mean) * (out.advantages[at] - mean);
    equal = equal && out.advantages[at] == out.advantages[live_tokens[0]];
  }
  const bool zero = equal || n <= quad(double(ddof));
  const quad variance = zero ? quad(0) : squares / (n - quad(double(ddof)));
  const quad divisor =
      square_root(w == whiten::add ? variance + quad(eps) : std::max(variance, quad(eps)));
  for (const auto at : live_tokens)
    out.advantages[at] = zero ? quad(0) : (out.advantages[at] - mean) / divisor;
  out.slack_advantages = zero ? quad(0) : out.slack_advantages / divisor * 4;
  return out;
}

template <class S>
void compare(const batch_of<S>& b, const std::vector<S>& got, const std::vector<quad>& want,
             quad slack) {
  REQUIRE(got.size() == want.size());
  std::size_t right = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool live = b.mask[i] != 0;
    const bool good =
        live ? magnitude(quad(got[i]) - want[i]) <= quad(0.51) * ulp<S>(want[i]) + slack
             : got[i] == 0;
    if (good)
      ++right;
    else
      FAIL_CHECK("[", i, "] is ", double(got[i]), ", expected ", live ? double(want[i]) : 0.0,
                 " +- ", live ? double(slack) : 0.0);
  }
  CHECK(right == got.size());
}

template <class S> struct outputs {
  std::vector<S> advantages, returns;
  status found;
};
template <class S, class Executor, class Rule, class Whitening>
outputs<S> run_batch(const Executor& e, const Rule& rule, const Whitening& w, const batch_of<S>& b,
                     pay paid) {
  outputs<S> out{std::vector<S>(b.mask.size(), S(-7)), std::vector<S>(b.mask.size(), S(-7)),
                 status::ok};
  token_advantage_inputs<S> in{.values = b.tokens(b.values)};
  if (paid != pay::tokens) in.rewards = b.row_rewards;
  if (paid != pay::rows) in.token_rewards = b.tokens(b.token_rewards);
  out.found =
      token_advantages(e, rule, w, b.padded(), in, b.tokens(out.advantages), b.tokens(out.returns));
  return out;
}

template <class Rule, class Whitening>
void check_rule(const Rule& rule, const Whitening& w, bool is_gae, double gamma, double lambda,
                hole h, whiten kind, int ddof, double eps) {
  std::mt19937 random(51);
  for (int trial = 0; trial < 40; ++trial) {
    const pay paid = trial % 2 == 0 ? pay::rows : trial % 4 == 1 ? pay::tokens : pay::both;
    const auto rows = std::int64_t(trial % 8 == 7 ? 1 : 1 + random() % 30),
               width = std::int64_t(random() % 40);
    const int rewards = trial % 6 == 5 ? 1 : trial % 6;
    const batch_of<float> b(rows, width, rewards, random);
    const batch_of<double> wide(rows, width, rewards, random);
    const auto want = plain(b, is_gae, paid, gamma, lambda, h, kind, ddof, eps);
    const auto a = run_batch(reference<float>{}, rule, w, b, paid);
    compare(b, a.advantages, want.advantages, want.slack_advantages);
    compare(b, a.returns, want.returns, want.slack_returns);
    const bool any = std::any_of(b.mask.begin(), b.mask.end(), [](auto m) { return m != 0; });
    CHECK(a.found == (any ? status::ok : status::empty));
    const auto same = [&](const outputs<float>& x) {
      CHECK(same_bits(x.advantages, a.advantages));
      CHECK(same_bits(x.returns, a.returns));
      CHECK(x.found == a.found);
    };
    same(run_batch(cpu{}, rule, w, b, paid));
    for (const int threads : {1, 2, 3, 8}) {
      reversed_pool pool{threads};
      same(run_batch(cpu{pool}, rule, w, b, paid));
    }
    const auto exact = plain(wide, is_gae, paid, gamma, lambda, h, kind, ddof, eps);
    const auto d = run_batch(reference<double>{}, rule, w, wide, paid);
    compare(wide, d.advantages, exact.advantages, exact.slack_advantages);
    compare(wide, d.returns, exact.returns, exact.slack_returns);

    // the same tokens, ragged and without their holes where holes are skipped, rows backwards
    std::vector<std::int64_t> cu{0};
    std::vector<std::uint8_t> mask;
    std::vector<float> tokens, values, row_rewards;
    std::vector<std::size_t> source;
    for (std::int64_t i = rows; i-- > 0;) {
      std::int64_t length = 0;
      for (std::int64_t t = 0; t < width; ++t)
        if (b.mask[std::size_t(i * width + t)]) length = t + 1;
      for (std::int64_t t = 0; t < length; ++t) {
        const auto at = std::size_t(i * width + t);
        if (h == hole::skip && b.mask[at] == 0) continue;
        mask.push_back(b.mask[at]), tokens.push_back(b.token_rewards[at]),
            values.push_back(b.values[at]);
        source.push_back(at);
      }
      row_rewards.push_back(b.row_rewards[std::size_t(i)]);
      cu.push_back(std::int64_t(mask.size()));
    }
    std::vector<float> advantages(mask.size(), -7.0f);
    token_advantage_inputs<float> in{.values = values};
    if (paid != pay::tokens) in.rewards = row_rewards;
    if (paid != pay::rows) in.token_rewards = tokens;
    token_advantages(cpu{}, rule, w, ragged{.cu_seqlens = cu, .mask = {.response = mask}}, in,
                     advantages);
    for (std::size_t k = 0; k < source.size(); ++k)
      if (std::bit_cast<std::uint32_t>(advantages[k]) !=
          std::bit_cast<std::uint32_t>(a.advantages[source[k]]))
        FAIL("ragged and padded differ at ", k);
  }
}

}  // namespace

TEST_CASE("GAE") {
  check_rule(gae{0.9, 0.8, hole_skip{}}, whiten_none{}, true, 0.9, 0.8, hole::skip, whiten::none, 0,
             0);
  check_rule(gae{0.9, 0.8, hole_discount{}}, whiten_none{}, true, 0.9, 0.8, hole::discount,
             whiten::none, 0, 0);
  check_rule(gae{1.0, 0.95, hole_skip{}}, whiten_add{1, 1e-8}, true, 1.0, 0.95, hole::skip,
             whiten::add, 1, 1e-8);
  check_rule(gae{0.99, 1.0, hole_discount{}}, whiten_floor{0, 1e-8}, true, 0.99, 1.0,
             hole::discount, whiten::floor, 0, 1e-8);
}

TEST_CASE("REINFORCE++") {
  check_rule(reinforce_plus_plus{0.9, hole_skip{}}, whiten_none{}, false, 0.9, 0, hole::skip,
             whiten::none, 0, 0);
  check_rule(reinforce_plus_plus{0.9, hole_reset{}}, whiten_none{}, false, 0.9, 0, hole::reset,
             whiten::none, 0, 0);
  check_rule(reinforce_plus_plus{0.9, hole_discount{}}, whiten_add{0, 0.0}, false, 0.9, 0,
             hole::discount, whiten::add, 0, 0);
  check_rule(reinforce_plus_plus{1.0, hole_discount{}}, whiten_floor{0, 1e-8}, false, 1.0, 0,
             hole::discount, whiten::floor, 0, 1e-8);
  check_rule(reinforce_plus_plus{1.0, hole_reset{}}, whiten_floor{3, 0.5}, false, 1.0, 0,
             hole::reset, whiten::floor, 3, 0.5);
}

TEST_CASE("known answers") {
  const std::vector<std::uint8_t> mask{1, 0, 0, 1, 1, 0};
  const hence::padded b{1, 6, {.response = view<const std::uint8_t, 2>(mask.data(), 1, 6)}};
  const std::vector<float> row{8};
  std::vector<float> a(6), back(6);
  const auto in = token_advantage_inputs<float>{.rewards = row};
  const per_token<float> out(a.data(), 1, 6), returns(back.data(), 1, 6);
  token_advantages(cpu{}, reinforce_plus_plus{0.5, hole_skip{}}, whiten_none{}, b, in, out,
                   returns);
  CHECK(a == std::vector<float>{2, 0, 0, 4, 8, 0});
  CHECK(back == a);
  token_advantages(cpu{}, reinforce_plus_plus{0.5, hole_reset{}}, whiten_none{}, b, in, out);
  CHECK(a == std::vector<float>{0, 0, 0, 4, 8, 0});
  token_advantages(cpu{}, reinforce_plus_plus{0.5, hole_discount{}}, whiten_none{}, b, in, out);
  CHECK(a == std::vector<float>{0.5, 0, 0, 4, 8, 0});
  token_advantages(cpu{}, as_given{}, whiten_none{}, b, in, out);
  CHECK(a == std::vector<float>{8, 0, 0, 8, 8, 0});
  token_advantages(cpu{}, as_given{}, whiten_add{1, 0.0}, b, in, out);
  CHECK(a == std::vector<float>(6, 0.0f));  // all equal
  const std::vector<float> v{1, 9, 9, 2, 3, 9};
  token_advantages(cpu{}, gae{1.0, 1.0, hole_skip{}}, whiten_none{}, b,
                   {.rewards = row, .values = per_token<const float>(v.data(), 1, 6)}, out,
                   returns);
  CHECK(a == std::vector<float>{7, 0, 0, 6, 5, 0});
  CHECK(back == std::vector<float>{8, 0, 0, 8, 8, 0});
  // the value before a hole that discounts is followed by 0
  token_advantages(cpu{}, gae{1.0, 0.0, hole_discount{}}, whiten_none{}, b,
                   {.rewards = row, .values = per_token<const float>(v.data(), 1, 6)}, out);
  CHECK(a == std::vector<float>{-1, 0, 0, 1, 5, 0});
  const std::vector<float> three{1, 9, 9, 2, 3, 9};
  token_advantages(cpu{}, as_given{}, whiten_add{1, 0.0}, b,
                   {.token_rewards = per_token<const float>(three.data(), 1, 6)}, out);
  CHECK(a == std::vector<float>{-1, 0, 0, 0, 1, 0});
  token_advantages(cpu{}, as_given{}, whiten_add{3, 0.0}, b,
                   {.token_rewards = per_token<const float>(three.data(), 1, 6)}, out);
  CHECK(a == std::vector<float>(6, 0.0f));  // N <= ddof
}

TEST_CASE("numbers that are not finite") {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              inf = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, inf, -inf}) {
    const std::vector<std::int64_t> cu{0, 3, 5};
    const std::vector<float> r{1, bad, 1, 2, 3};
    std::vector<float> a(5), back(5);
    const ragged b{.cu_seqlens = cu};
    CHECK(token_advantages(cpu{}, reinforce_plus_plus{1.0, hole_skip{}}, whiten_none{}, b,
                           {.token_rewards = r}, a, back) == status::non_finite);
    CHECK((std::isnan(a[0]) && std::isnan(a[1]) && a[2] == 1 && a[3] == 5 && a[4] == 3));
    CHECK(token_advantages(cpu{}, reinforce_plus_plus{1.0, hole_skip{}}, whiten_add{1, 0.0}, b,
                           {.token_rewards = r}, a) == status::non_finite);
    CHECK(std::all_of(a.begin(), a.end(), [](float x) { return std::isnan(x); }));
    const std::vector<float> rewards{1, 1};
    CHECK(token_advantages(cpu{}, gae{1.0, 1.0, hole_skip{}}, whiten_none{}, b,
                           {.rewards = rewards, .values = r}, a) == status::non_finite);
    CHECK((std::isnan(a[0]) && std::isnan(a[1]) && a[2] == 0));
  }
}

TEST_CASE("returns beyond float's range, a pool that finds them, and a batch without rows") {
  const std::vector<std::int64_t> cu{0, 2};
  const std::vector<float> r{3e38f, 3e38f}, values{3e38f, 3e38f}, none;
  std::vector<float> a(2), back(2);
  const ragged b{.cu_seqlens = cu};
  CHECK(token_advantages(cpu{}, gae{1.0, 1.0, hole_skip{}}, whiten_none{}, b,
                         {.token_rewards = r, .values = values}, a, back) == status::non_finite);
  CHECK(std::isfinite(a[0]));
  CHECK(std::isinf(back[0]));
  reversed_pool pool{2};
  CHECK(token_advantages(cpu{pool}, gae{1.0, 1.0, hole_skip{}}, whiten_none{}, b,
                         {.token_rewards = r, .values = values}, a, back) == status::non_finite);
  std::vector<float> as_rewards{7, 7};
  CHECK(token_advantages(cpu{}, reinforce_plus_plus{1.0, hole_skip{}}, whiten_none{}, b,
                         {.token_rewards = per_token<const float>(values)}, a,
                         as_rewards) == status::non_finite);
  CHECK(std::isinf(as_rewards[0]));
  std::vector<float> given_back{7, 7};
  const std::vector<float> given{1, 2};
  CHECK(token_advantages(cpu{}, as_given{}, whiten_none{}, b, {.token_rewards = given}, a,
                         given_back) == status::ok);
  CHECK(given_back == given);
  const padded nothing{.rows = 0, .width = 4};
  CHECK(token_advantages(cpu{}, reinforce_plus_plus{1.0, hole_skip{}}, whiten_none{}, nothing, {},
                         per_token<float>(view<float, 2>(a.data(), 0, 4))) == status::empty);
}

TEST_CASE("what is refused, before anything is written") {
  const std::vector<std::int64_t> cu{0, 3, 5};
  const ragged b{.cu_seqlens = cu};
  const std::vector<float> r{1, 2, 3, 4, 5}, rows{1, 2};
  std::vector<float> a(5, -7.0f), back(5, -7.0f);
  const auto rpp = reinforce_plus_plus{1.0, hole_skip{}};
  const auto refused = [&](const std::string& want, auto&& call) {
    CAPTURE(want);
    CHECK_THROWS_WITH_AS(call(), want.c_str(), std::invalid_argument);
    CHECK(a == std::vector<float>(5, -7.0f));
    CHECK(back == a);
  };
  refused("hence: gamma is 1.5, expected a number from 0 to 1", [&] {
    token_advantages(cpu{}, reinforce_plus_plus{1.5, hole_skip{}}, whiten_none{}, b,
                     {.rewards = rows}, a);
  });
  refused("hence: lambda is nan, expected a number from 0 to 1", [&] {
    token_advantages(cpu{}, gae{1.0, std::nan(""), hole_skip{}}, whiten_none{}, b,
                     {.rewards = rows, .values = r}, a);
  });
  refused("hence: whiten_add.ddof is -1, expected 0 or more",
          [&] { token_advantages(cpu{}, rpp, whiten_add{-1, 0.0}, b, {.rewards = rows}, a); });
  refused("hence: whiten_floor.eps is -1, expected a finite number, 0 or more",
          [&] { token_advantages(cpu{}, rpp, whiten_floor{0, -1.0}, b, {.rewards = rows}, a); });
  refused("hence: whiten_floor.eps is inf, expected a finite number, 0 or more", [&] {
    token_advantages(cpu{}, rpp, whiten_floor{0, HUGE_VAL}, b, {.rewards = rows}, a);
  });
  refused("hence: rewards has 5 entries, the batch has 2 rows", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = r, .token_rewards = r}, a);
  });
  refused("hence: token_rewards has 2 entries, cu_seqlens describes 5 tokens", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = rows, .token_rewards = rows}, a);
  });
  const std::vector<float> forgotten;
  refused("hence: rewards has 0 entries, the batch has 2 rows", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = forgotten, .token_rewards = r}, a);
  });
  refused("hence: rewards is null, expected 2 rows", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b,
                     {.rewards = view<const float>(nullptr, 2), .token_rewards = r}, a);
  });
  refused("hence: rewards and token_rewards are both given, as_given takes one", [&] {
    token_advantages(cpu{}, as_given{}, whiten_none{}, b, {.rewards = rows, .token_rewards = r}, a);
  });
  refused("hence: token_rewards is null, expected 5 tokens",
          [&] { token_advantages(cpu{}, rpp, whiten_none{}, b, {}, a); });
  refused("hence: rewards has 5 entries, the batch has 2 rows",
          [&] { token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = r}, a); });
  refused("hence: values is null, expected 5 tokens", [&] {
    token_advantages(cpu{}, gae{1.0, 1.0, hole_skip{}}, whiten_none{}, b, {.rewards = rows}, a);
  });
  refused("hence: advantages has 2 entries, cu_seqlens describes 5 tokens", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = rows},
                     per_token<float>(a.data(), 2));
  });
  refused("hence: advantages overlaps token_rewards, expected separate arrays", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, b,
                     {.token_rewards = per_token<const float>(a.data(), 5)}, a);
  });
  refused("hence: advantages overlaps cu_seqlens, expected separate arrays", [&] {
    std::vector<std::int64_t> boundaries{0, 3, 5};
    token_advantages(cpu{}, rpp, whiten_none{}, ragged{.cu_seqlens = boundaries}, {.rewards = rows},
                     per_token<float>(reinterpret_cast<float*>(boundaries.data()), 5));
  });
  refused("hence: returns overlaps mask.response, expected separate arrays", [&] {
    std::vector<float> room(5);
    const view<const std::uint8_t> mask(reinterpret_cast<std::uint8_t*>(room.data()), 5);
    const std::vector<std::int64_t> boundaries{0, 3, 5};
    token_advantages(cpu{}, rpp, whiten_none{},
                     ragged{.cu_seqlens = boundaries, .mask = {.response = mask}},
                     {.rewards = rows}, a, room);
  });
  refused("hence: returns overlaps advantages, expected separate arrays",
          [&] { token_advantages(cpu{}, rpp, whiten_none{}, b, {.rewards = rows}, a, a); });
  const std::vector<std::int64_t> falling{0, 3, 2};
  refused("hence: cu_seqlens[2] is 2, expected at least its predecessor 3", [&] {
    token_advantages(cpu{}, rpp, whiten_none{}, ragged{.cu_seqlens = falling}, {.rewards = rows},
                     a);
  });
}
