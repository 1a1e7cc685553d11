#include "compositions.hpp"

#include <doctest/doctest.h>
#include <cstddef>
#include <limits>
#include <memory>

namespace {

using fixture::every_form;
using fixture::form;
using fixture::outcome;
using fixture::run;
using fixture::same_bits;
namespace aggregate = hence::aggregate;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

// Four compositions that between them have every part.
const hence::policy_loss token_loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::k3{0.0625f},
                                    aggregate::token_mean{}};
const hence::policy_loss sequence_loss{ratio::sequence{ratio::log_clamp{-0.5f, 0.375f}},
                                       clip::two_sided{0.75f, 1.25f}, kl::k1{0.0625f, kl::as_k2{}},
                                       aggregate::sequence_mean_token_mean{}};
const hence::policy_loss cispo_loss{
    ratio::token{ratio::log_clamp{-0.5f, 0.375f}}, clip::cispo{0.75f, 1.25f}, kl::none{},
    aggregate::sequence_mean_token_mean{aggregate::non_empty_rows{}}};
const hence::policy_loss own_loss{ratio::sequence{}, fixture::token_rule, kl::k2{0.0625f},
                                  aggregate::constant{96}};
template <class F> void each_representative(F&& f) {
  f(token_loss);
  f(sequence_loss);
  f(cispo_loss);
  f(own_loss);
}

fixture::description mixed_batch(std::uint32_t seed) {
  fixture::dice random(seed);
  auto d = fixture::random_batch(random, {9, 0, 33, 1, 17, 4},
                                 {.live = 0.7, .per_token = seed % 2 == 1, .roles = true});
  for (auto& p : d.rows[4].at) p.live = false;
  return d;
}
/// Enough tokens for several chunks.
fixture::description large_batch() {
  fixture::dice random(77);
  std::vector<std::size_t> lengths;
  for (int i = 0; i < 90; ++i) lengths.push_back(random.below(i % 9 == 0 ? 2600 : 400));
  return fixture::random_batch(random, lengths, {.live = 0.9});
}
fixture::description part_of(const fixture::description& d, std::size_t begin, std::size_t end) {
  fixture::description part = d;
  const auto at = [&](std::size_t i) { return d.rows.begin() + static_cast<std::ptrdiff_t>(i); };
  part.rows.assign(at(begin), at(end));
  return part;
}
hence::counts count(const fixture::description& d) {
  return hence::count(fixture::arrays<float>(d, form::ragged).ragged());
}

/// Runs consecutive parts of a batch as micro-batches of one window and puts the outcomes together.
template <class Executor, class Loss>
auto run_in_parts(const Executor& executor, const Loss& loss, const fixture::description& d,
                  const std::vector<std::size_t>& cuts) {
  using T = typename Executor::scalar;
  const auto by = hence::over_window(loss.aggregation, count(d));
  using result_t =
      decltype(hence::loss_and_gradient(executor, loss, hence::ragged{}, hence::policy_inputs<T>{},
                                        by, hence::per_token<T>{}, hence::with_metrics));
  result_t total;
  outcome<T> o;
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    const auto part = part_of(d, begin, end);
    fixture::arrays<T> a(part, form::ragged, fixture::reads_ref<Loss>, end);
    const auto before = a.gradient;
    total += hence::loss_and_gradient(executor, loss, a.ragged(), a.inputs(), by, a.output(),
                                      hence::with_metrics);
    take_gradient(o, part, a, before);
    begin = end;
  }
  auto whole = fixture::outcome_of<T>(total);
  whole.gradient = std::move(o.gradient);
  whole.dead_are_zero = o.dead_are_zero;
  return whole;
}

}  // namespace

TEST_CASE("every layout has the same bits, and garbage of every kind stays unread") {
  for (std::uint32_t seed = 0; seed < 4; ++seed) {
    const auto d = mixed_batch(seed);
    each_representative([&](const auto& loss) {
      const auto expected = run(hence::reference<float>{}, loss, d);
      CHECK(expected.dead_are_zero);
      for (const form f : every_form)
        for (std::size_t salt = 0; salt < 7; ++salt) {
          CHECK(same_bits(expected, run(hence::cpu{}, loss, d, f, hence::over_this_call, salt)));
          CHECK(same_bits(expected,
                          run(hence::reference<float>{}, loss, d, f, hence::over_this_call, salt)));
        }
    });
  }
}

TEST_CASE("reference<double> has the same result in every layout") {
  const auto d = mixed_batch(2);
  const hence::policy_loss loss{ratio::sequence{}, clip::two_sided{0.75, 1.25}, kl::k3{0.5},
                                aggregate::token_mean{}};
  const auto expected = run(hence::reference<double>{}, loss, d);
  for (const form f : every_form)
    CHECK(same_bits(expected, run(hence::reference<double>{}, loss, d, f)));
}

TEST_CASE("row order does not matter") {
  fixture::dice random(5);
  auto d = mixed_batch(6);
  each_representative([&](const auto& loss) {
    const auto expected = run(hence::cpu{}, loss, d);
    for (int k = 0; k < 10; ++k) {
      std::vector<std::size_t> order(d.rows.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[random.below(i)]);
      auto shuffled = d;
      for (std::size_t i = 0; i < order.size(); ++i) shuffled.rows[i] = d.rows[order[i]];
      auto o = run(hence::cpu{}, loss, shuffled);
      auto gradient = o.gradient;
      for (std::size_t i = 0; i < order.size(); ++i) o.gradient[order[i]] = gradient[i];
      CHECK(same_bits(expected, o));
    }
  });
}

TEST_CASE("every split of a window into micro-batches has the bits of one call") {
  for (const std::uint32_t seed : {3u, 4u}) {
    const auto d = mixed_batch(seed);
    each_representative([&](const auto& loss) {
      const auto by = hence::over_window(loss.aggregation, count(d));
      const auto whole = run(hence::cpu{}, loss, d, form::ragged, by);
      const std::size_t n = d.rows.size();
      for (unsigned mask = 0; mask < 1u << (n - 1); ++mask) {
        std::vector<std::size_t> cuts;
        for (std::size_t i = 1; i < n; ++i)
          if (mask >> (i - 1) & 1) cuts.push_back(i);
        cuts.push_back(n);
        CHECK(same_bits(whole, run_in_parts(hence::cpu{}, loss, d, cuts)));
        if (mask % 5 == 0)
          CHECK(same_bits(whole, run_in_parts(hence::reference<float>{}, loss, d, cuts)));
      }
      // and the window of one call is the call
      auto call = run(hence::cpu{}, loss, d);
      CHECK(same_bits(whole, call));
    });
  }
}

TEST_CASE("reference<double> in micro-batches agrees with one call to rounding") {
  const auto d = mixed_batch(8);
  const hence::policy_loss loss{ratio::token{}, clip::cispo{0.75, 1.25}, kl::k3{0.5},
                                aggregate::sequence_mean_token_mean{}};
  const auto whole = run(hence::reference<double>{}, loss, d);
  const auto parts = run_in_parts(hence::reference<double>{}, loss, d, {2, 3, 6});
  CHECK(parts.loss == doctest::Approx(whole.loss).epsilon(1e-14));
  CHECK(parts.gradient == whole.gradient);
}

TEST_CASE("any number of threads, in any order, has the same bits") {
  const auto d = large_batch();
  fixture::arrays<float> probe(d, form::ragged);
  CHECK(probe.cu.back() > 3 * 8192);
  each_representative([&](const auto& loss) {
    const auto expected = run(hence::cpu{}, loss, d);
    CHECK(same_bits(expected, run(hence::reference<float>{}, loss, d, form::right)));
    for (const unsigned threads : {1u, 2u, 3u, 8u})
      for (const bool reversed : {false, true}) {
        fixture::threads_of pool{threads, reversed};
        CHECK(same_bits(expected, run(hence::cpu{pool}, loss, d)));
        CHECK(same_bits(expected, run(hence::cpu{pool}, loss, d, form::right)));
      }
  });
}

TEST_CASE("ranges of rows, in any order and on any threads, add up to one call") {
  const auto d = large_batch();
  const auto rows = static_cast<std::int64_t>(d.rows.size());
  fixture::dice random(9);
  each_representative([&](const auto& loss) {
    const auto by = hence::over_window(loss.aggregation, count(d));
    const auto expected = run(hence::cpu{}, loss, d, form::ragged, by);
    for (int k = 0; k < 3; ++k) {
      fixture::arrays<float> a(d, form::ragged,
                               fixture::reads_ref<std::remove_cvref_t<decltype(loss)>>);
      const auto before = a.gradient;
      std::vector<std::int64_t> cuts{0, 0, rows};
      for (int i = 0; i < 6; ++i)
        cuts.push_back(static_cast<std::int64_t>(random.below(d.rows.size())));
      std::sort(cuts.begin(), cuts.end());
      const auto parts = static_cast<std::int64_t>(cuts.size()) - 1;
      using result_t = decltype(hence::loss_and_gradient_rows(
          hence::cpu{}, loss, a.ragged(), a.inputs(), by, a.output(), 0, 0, hence::with_metrics));
      std::vector<result_t> results(static_cast<std::size_t>(parts));
      const auto batch = a.ragged();
      const auto inputs = a.inputs();
      const auto gradient = a.output();
      fixture::threads_of{3, k == 1}.parallel_for(parts, [&](std::int64_t c) {
        const auto i = static_cast<std::size_t>(c);
        results[i] = hence::loss_and_gradient_rows(hence::cpu{}, loss, batch, inputs, by, gradient,
                                                   cuts[i], cuts[i + 1], hence::with_metrics);
      });
      result_t total;
      for (std::size_t i = results.size(); i > 0; --i) total += results[i - 1];
      auto o = fixture::outcome_of<float>(total);
      take_gradient(o, d, a, before);
      CHECK(same_bits(expected, o));
    }
  });
}

TEST_CASE("a range writes the gradient of its own rows alone") {
  const auto d = mixed_batch(10);
  fixture::arrays<float> a(d, form::holes);
  const auto before = a.gradient;
  const auto by = hence::over_window(token_loss.aggregation, count(d));
  hence::loss_and_gradient_rows(hence::cpu{}, token_loss, a.padded(), a.inputs(), by, a.output(), 2,
                                4);
  const auto first = static_cast<std::size_t>(2 * a.stride),
             last = static_cast<std::size_t>(4 * a.stride);
  for (std::size_t k = 0; k < before.size(); ++k)
    if (k < first || k >= last) CHECK(std::memcmp(&before[k], &a.gradient[k], 4) == 0);
}

TEST_CASE("a given workspace changes nothing, and no more of it is used than was asked for") {
  const auto d = large_batch();
  fixture::threads_of pool{3};
  const hence::cpu executor{pool};
  fixture::arrays<float> a(d, form::ragged);
  const auto batch = a.ragged();
  const auto bytes = hence::workspace_bytes(executor, token_loss, batch, hence::with_metrics);
  CHECK(bytes > 0);
  const auto size = static_cast<std::size_t>(bytes);
  struct alignas(64) line {
    std::byte at[64];
  };
  const std::unique_ptr<line[]> room(new line[size / 64 + 3]);
  std::byte* const begin = room[1].at;
  std::memset(room.get(), 0xa5, (size / 64 + 3) * 64);
  const auto run_once = [&](hence::view<std::byte> workspace) {
    const auto r =
        hence::loss_and_gradient(executor, token_loss, batch, a.inputs(), hence::over_this_call,
                                 a.output(), hence::with_metrics, workspace);
    auto o = fixture::outcome_of<float>(r);
    take_gradient(o, d, a, a.gradient);
    return o;
  };
  const auto expected = run_once({});
  CHECK(same_bits(expected, run_once({begin, bytes})));
  for (std::size_t k = 0; k < 64; ++k) CHECK(room[0].at[k] == std::byte{0xa5});
  for (const std::byte* p = begin + bytes; p < room[size / 64 + 2].at + 64; ++p)
    if (*p != std::byte{0xa5}) FAIL("written beyond the workspace");
}

TEST_CASE("asking for metrics does not change the loss or the gradient") {
  const auto d = mixed_batch(12);
  each_representative([&](const auto& loss) {
    fixture::arrays<float> a(d, form::ragged,
                             fixture::reads_ref<std::remove_cvref_t<decltype(loss)>>);
    const auto with = run(hence::cpu{}, loss, d);
    const auto r = hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), a.inputs(),
                                            hence::over_this_call, a.output());
    CHECK(r.loss() == with.loss);
    outcome<float> o;
    take_gradient(o, d, a, a.gradient);
    CHECK(o.gradient == with.gradient);
  });
}

TEST_CASE("nothing live: loss 0, gradient 0, metrics 0, status empty") {
  const auto check = [](const fixture::description& d) {
    each_representative([&](const auto& loss) {
      for (const form f : every_form) {
        const auto o = run(hence::cpu{}, loss, d, f);
        CHECK(o.loss == 0);
        CHECK(!std::signbit(o.loss));
        CHECK(o.conditions == hence::status::empty);
        CHECK(o.dead_are_zero);
        CHECK(o.ratio_max == 0);
        CHECK(o.ratio_mean == 0);
        CHECK(o.counts.tokens == 0);
        CHECK(o.counts.rows == static_cast<std::int64_t>(d.rows.size()));
        CHECK(same_bits(o, run(hence::reference<float>{}, loss, d, f)));
        fixture::threads_of pool{2};
        CHECK(same_bits(o, run(hence::cpu{pool}, loss, d, f)));
      }
    });
  };
  fixture::dice random(1);
  check({});                                  // B = 0
  check(fixture::random_batch(random, {0}));  // T = 0
  check(fixture::random_batch(random, {0, 0, 0}));
  check(fixture::random_batch(random, {5, 0, 40}, {.live = 0}));  // all masked
  check(fixture::random_batch(random, {5, 3}, {.live = 0, .per_token = true, .roles = true}));
}

TEST_CASE("batches without any position need no arrays at all") {
  const std::vector<std::int64_t> cu{0}, zeros{0, 0, 0};
  const std::vector<float> two{1, 2};
  hence::policy_inputs<float> in;
  CHECK(hence::loss_and_gradient(hence::cpu{}, token_loss, hence::ragged{zeros, {}}, in,
                                 hence::over_this_call, {})
            .conditions() == hence::status::empty);
  const auto none = hence::loss_and_gradient(hence::cpu{}, token_loss, hence::ragged{cu, {}}, in,
                                             hence::over_this_call, {});
  CHECK(none.loss() == 0);
  CHECK(none.conditions() == hence::status::empty);
  in.advantages = two;
  const auto empty = hence::loss_and_gradient(hence::cpu{}, token_loss, hence::ragged{zeros, {}},
                                              in, hence::over_this_call, {});
  CHECK(empty.loss() == 0);
  CHECK(empty.counts().rows == 2);
  const auto flat = hence::loss_and_gradient(hence::cpu{}, token_loss, hence::padded{2, 0, {}}, in,
                                             hence::over_this_call, {});
  CHECK(flat.conditions() == hence::status::empty);
  CHECK(hence::loss_and_gradient(hence::cpu{}, token_loss, hence::padded{0, 9, {}}, {},
                                 hence::over_this_call, {})
            .loss() == 0);
}

TEST_CASE("a live NaN or infinity: the loss is NaN, the status says so, other rows are right") {
  using limits = std::numeric_limits<float>;
  const float values[] = {limits::quiet_NaN(), limits::signaling_NaN(), limits::infinity(),
                          -limits::infinity()};
  for (const bool per_token : {false, true}) {
    fixture::dice random(21);
    const auto d = fixture::random_batch(random, {20, 5, 33}, {.per_token = per_token});
    each_representative([&](const auto& loss) {
      constexpr bool with_ref = fixture::reads_ref<std::remove_cvref_t<decltype(loss)>>;
      constexpr bool pooled = std::remove_cvref_t<decltype(loss.ratio)>::pooled;
      const auto sound = run(hence::cpu{}, loss, d);
      for (const float bad : values)
        for (int which = 0; which < 4; ++which) {
          if (which == 2 && !with_ref) continue;
          fixture::arrays<float> a(d, form::ragged, with_ref);
          const auto before = a.gradient;
          const std::size_t at = 22;  // row 1, position 2
          if (which == 0) a.logp[at] = bad;
          if (which == 1) a.old[at] = bad;
          if (which == 2) a.ref[at] = bad;
          if (which == 3 && per_token) a.token_advantages[at] = bad;
          if (which == 3 && !per_token) a.advantages[1] = bad;
          const auto spoilt = [&](const auto& executor) {
            const auto r =
                hence::loss_and_gradient(executor, loss, a.ragged(), a.inputs(),
                                         hence::over_this_call, a.output(), hence::with_metrics);
            auto o = fixture::outcome_of<float>(r);
            take_gradient(o, d, a, before);
            return o;
          };
          const auto o = spoilt(hence::cpu{});
          CAPTURE(which);
          CHECK(o.loss != o.loss);
          CHECK(o.conditions == hence::status::non_finite);
          CHECK(o.gradient[0] == sound.gradient[0]);
          CHECK(o.gradient[2] == sound.gradient[2]);
          if (!pooled && !(which == 3 && !per_token))
            for (const std::size_t t : {0u, 1u, 3u, 4u})
              CHECK(o.gradient[1][t] == sound.gradient[1][t]);
          CHECK(same_bits(o, spoilt(hence::reference<float>{})));
          fixture::threads_of pool{2};
          CHECK(same_bits(o, spoilt(hence::cpu{pool})));
        }
    });
  }
}

TEST_CASE("a live NaN is never hidden by the clip, a zero advantage or a log clamp") {
  const auto loss_of = [](const auto& loss, double logp, double old, double ref, double a) {
    fixture::description d;
    d.rows.push_back({{{-1, -1.25, -1, 1}, {logp, old, ref, a}}, a, 0});
    const auto o = run(hence::cpu{}, loss, d);
    CHECK(has(o.conditions, hence::status::non_finite));
    CHECK(same_bits(o, run(hence::reference<float>{}, loss, d)));
    return o.loss;
  };
  constexpr double inf = std::numeric_limits<double>::infinity();
  each_representative([&](const auto& loss) {
    for (const double a : {-1.0, 0.0, 1.0}) {
      CHECK(std::isnan(loss_of(loss, -inf, -1, -1, a)));
      CHECK(std::isnan(loss_of(loss, inf, -1, -1, a)));
      CHECK(std::isnan(loss_of(loss, -1, -inf, -1, a)));
      CHECK(std::isnan(loss_of(loss, -1, inf, -1, a)));
      CHECK(std::isnan(loss_of(loss, -inf, -inf, -1, a)));
      CHECK(std::isnan(loss_of(loss, std::nan(""), -1, -1, a)));
    }
  });
}

TEST_CASE("a score that a rule reads counts as an input, one that it ignores does not") {
  fixture::dice random(23);
  auto d = fixture::random_batch(random, {7, 9});
  d.rows[1].score = std::nan("");
  const auto o = run(hence::cpu{}, own_loss, d);
  CHECK(o.loss != o.loss);
  CHECK(o.conditions == hence::status::non_finite);
  const auto ignored = run(hence::cpu{}, token_loss, d);
  CHECK(ignored.loss == ignored.loss);
  CHECK(ignored.conditions == hence::status::ok);
}

TEST_CASE("a ratio that overflows makes an infinite loss, not an invented number") {
  fixture::description d;
  d.rows.push_back({{{-1, -101, 0, 0}}, -1, 0});  // r = e^100, and A < 0 is not clipped from above
  d.rows.push_back({{{-1, -1.125, 0, 0}}, 1, 0});
  const hence::policy_loss loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::none{},
                                aggregate::token_mean{}};
  const auto o = run(hence::cpu{}, loss, d);
  CHECK(o.loss == std::numeric_limits<double>::infinity());
  CHECK(o.conditions == hence::status::non_finite);
  CHECK(o.gradient[1][0] == doctest::Approx(-std::exp(0.125) / 2).epsilon(1e-6));
  CHECK(same_bits(o, run(hence::reference<float>{}, loss, d)));
}

TEST_CASE("on-policy, the gradient is REINFORCE's: -A / denominator") {
  fixture::dice random(31);
  auto d = fixture::random_batch(random, {8, 5, 13});
  for (auto& r : d.rows)
    for (auto& p : r.at) p.old = p.logp;
  const auto check = [&](const auto& loss, double tolerance) {
    const auto o = run(hence::reference<double>{}, loss, d);
    for (std::size_t i = 0; i < d.rows.size(); ++i)
      for (const double g : o.gradient[i])
        CHECK(g == doctest::Approx(-d.rows[i].advantage / 26).epsilon(tolerance));
  };
  check(hence::policy_loss{ratio::token{}, clip::two_sided{0.75, 1.25}, kl::none{},
                           aggregate::token_mean{}},
        1e-15);
  check(hence::policy_loss{ratio::token{}, clip::cispo{0.75, 1.25}, kl::none{},
                           aggregate::token_mean{}},
        1e-15);
  check(hence::policy_loss{ratio::sequence{}, clip::two_sided{0.75, 1.25}, kl::none{},
                           aggregate::token_mean{}},
        1e-14);
  check(hence::policy_loss{ratio::sequence{}, clip::cispo{0.75, 1.25}, kl::none{},
                           aggregate::token_mean{}},
        1e-14);
}

TEST_CASE("the policy term is homogeneous in the advantages, to the bit for powers of two") {
  const auto d = mixed_batch(15);
  auto scaled = d;
  for (auto& r : scaled.rows) {
    r.advantage *= 4;
    for (auto& p : r.at) p.advantage *= 4;
  }
  const hence::policy_loss loss{ratio::token{}, clip::two_sided{0.75f, 1.25f}, kl::none{},
                                aggregate::sequence_mean_token_mean{}};
  const auto a = run(hence::cpu{}, loss, d), b = run(hence::cpu{}, loss, scaled);
  CHECK(b.loss == 4 * a.loss);
  for (std::size_t i = 0; i < a.gradient.size(); ++i)
    for (std::size_t t = 0; t < a.gradient[i].size(); ++t)
      CHECK(b.gradient[i][t] == 4 * a.gradient[i][t]);
}

TEST_CASE("log-probs shifted together by a power of two leave a policy loss alone") {
  const auto d = mixed_batch(16);
  auto shifted = d;
  for (auto& r : shifted.rows)
    for (auto& p : r.at) p.logp += 0.5, p.old += 0.5, p.ref += 0.5;
  CHECK(same_bits(run(hence::cpu{}, token_loss, d), run(hence::cpu{}, token_loss, shifted)));
}

TEST_CASE("int32 boundaries and int64 boundaries are the same batch") {
  const auto d = mixed_batch(18);
  fixture::arrays<float> a(d, form::ragged);
  const std::vector<std::int32_t> narrow(a.cu.begin(), a.cu.end());
  auto batch = a.ragged();
  const auto expected = hence::loss_and_gradient(hence::cpu{}, token_loss, batch, a.inputs(),
                                                 hence::over_this_call, a.output());
  const auto gradient = a.gradient;
  batch.cu_seqlens = narrow;
  const auto r = hence::loss_and_gradient(hence::cpu{}, token_loss, batch, a.inputs(),
                                          hence::over_this_call, a.output());
  CHECK(r.loss() == expected.loss());
  CHECK(std::memcmp(gradient.data(), a.gradient.data(), gradient.size() * sizeof(float)) == 0);
}

TEST_CASE("advantages of rows and the same ones token by token give the same bits") {
  auto d = mixed_batch(20);
  each_representative([&](const auto& loss) {
    auto by_token = d;
    by_token.per_token = true;
    for (auto& r : by_token.rows)
      for (auto& p : r.at) p.advantage = r.advantage;
    CHECK(same_bits(run(hence::cpu{}, loss, d), run(hence::cpu{}, loss, by_token)));
  });
}
