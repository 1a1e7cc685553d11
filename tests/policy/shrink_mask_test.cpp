#include <hence/policy/shrink_mask.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

namespace {

namespace c = hence::correction;
using fixture::form;

/// The mask in description order.
template <class Correction>
std::vector<std::vector<int>> kept_of(const Correction& correct, const fixture::description& d,
                                      form f, bool in_place = false) {
  fixture::arrays<float> a(d, f);
  std::vector<std::uint8_t> mask(a.logp.size(), 9);
  auto& out = in_place ? a.response : mask;
  a.with_batch([&](const auto& batch) {
    const auto where = a.is_padded ? hence::per_token<std::uint8_t>(hence::view<std::uint8_t, 2>(
                                         out.data(), a.rows, a.width, a.stride))
                                   : hence::per_token<std::uint8_t>(out);
    return hence::shrink_mask(hence::cpu{}, correct, batch, a.inputs(), where);
  });
  std::vector<std::vector<int>> kept;
  for (std::size_t i = 0; i < d.rows.size(); ++i) {
    kept.emplace_back();
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
      kept.back().push_back(a.where[i][t] < 0 ? 0 : out[static_cast<std::size_t>(a.where[i][t])]);
  }
  return kept;
}

/// exp(old - rollout) of the row's policy tokens: their product and how many.
std::pair<double, int> product_of(const fixture::row& r) {
  double sum = 0;
  int n = 0;
  for (const auto& p : r.at)
    if (p.live && p.policy) sum += p.old - p.rollout, ++n;
  return {std::exp(sum), n};
}

}  // namespace

TEST_CASE("tokens and rows outside the bounds leave the mask, in every layout and in place") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {9, 0, 30, 5, 1}, {.live = 0.8, .roles = true});
  const c::policy_only scope{};
  const auto check = [&](const auto& correct, const auto& keeps) {
    int all = 0, none = 0;
    for (const form f : fixture::every_form)
      for (const bool in_place : {false, true}) {
        if (in_place && f == form::compacted) continue;
        const auto kept = kept_of(correct, d, f, in_place);
        for (std::size_t i = 0; i < d.rows.size(); ++i)
          for (std::size_t t = 0; t < d.rows[i].at.size(); ++t) {
            const auto& p = d.rows[i].at[t];
            const bool wanted = p.live && keeps(d.rows[i], p);
            CHECK(kept[i][t] == wanted);
            all += p.live && wanted, none += p.live && !wanted;
          }
      }
    return all > 0 && none > 0;
  };
  CHECK(check(c::rollout{c::token_level{}, c::mask{0.96875f, 1.03125f}, scope},
              [](const auto&, const auto& p) {
                const double rho = std::exp(p.old - p.rollout);
                return !p.policy || (0.96875 <= rho && rho <= 1.03125);
              }));
  CHECK(check(c::rollout{c::sequence_level{}, c::reject{0.5f, 1.03125f}, scope},
              [](const auto& r, const auto&) {
                const double rho = product_of(r).first;
                return 0.5 <= rho && rho <= 1.03125;
              }));
  CHECK(check(c::rollout{c::geometric_level{}, c::reject{0.99609375f, 1.0625f}, scope},
              [](const auto& r, const auto&) {
                const auto [product, n] = product_of(r);
                const double rho = std::pow(product, 1.0 / (n > 0 ? n : 1));
                return n == 0 || (0.99609375 <= rho && rho <= 1.0625);
              }));
  CHECK(check(c::veto{0.90625f, 1.09375f, scope}, [](const auto& r, const auto&) {
    for (const auto& p : r.at) {
      const double rho = std::exp(p.old - p.rollout);
      if (p.live && p.policy && (rho < 0.90625 || rho > 1.09375)) return false;
    }
    return true;
  }));
  CHECK(!check(c::rollout{c::token_level{}, c::truncate{0.96875f, 1.03125f}, scope},
               [](const auto&, const auto&) { return true; }));
}

TEST_CASE("a NaN stays, for the loss to report; a batch that is rejected whole is empty") {
  fixture::dice random(2);
  auto d = fixture::random_batch(random, {3, 2});
  d.rows[0].at[1].rollout = std::nan("");
  const c::policy_only scope{};
  const c::rollout tokens{c::token_level{}, c::reject{10.0f, 20.0f}, scope};
  CHECK(kept_of(tokens, d, form::ragged) == std::vector<std::vector<int>>{{0, 1, 0}, {0, 0}});
  const c::rollout rows{c::sequence_level{}, c::reject{10.0f, 20.0f}, scope};
  CHECK(kept_of(rows, d, form::ragged) == std::vector<std::vector<int>>{{1, 1, 1}, {0, 0}});
  fixture::arrays<float> a(d, form::ragged);
  std::vector<std::uint8_t> kept(5);
  const auto call = [&] {
    return hence::shrink_mask(hence::cpu{}, tokens, a.ragged(), a.inputs(), kept);
  };
  CHECK(call() == hence::status::ok);
  a.rollout[1] = -1;
  CHECK(call() == hence::status::empty);
}

TEST_CASE("a row without a policy token is not judged, even where a ratio of 1 is outside") {
  fixture::dice random(2);
  auto d = fixture::random_batch(random, {3, 2}, {.live = 1, .roles = true});
  for (auto& row : d.rows)
    for (auto& p : row.at) p.old = p.rollout = -1, p.live = true, p.policy = &row == &d.rows[0];
  const c::rollout rows{c::sequence_level{}, c::reject{10.0f, 20.0f}, c::policy_only{}};
  const c::rollout means{c::geometric_level{}, c::reject{10.0f, 20.0f}, c::policy_only{}};
  CHECK(kept_of(rows, d, form::ragged) == std::vector<std::vector<int>>{{0, 0, 0}, {1, 1}});
  CHECK(kept_of(means, d, form::ragged) == std::vector<std::vector<int>>{{0, 0, 0}, {1, 1}});
}

TEST_CASE("bad shapes are refused before anything is written") {
  fixture::dice random(3);
  const auto d = fixture::random_batch(random, {3, 2});
  fixture::arrays<float> a(d, form::ragged);
  std::vector<std::uint8_t> kept(5, 7), few(4, 7);
  const c::rollout correct{c::token_level{}, c::reject{0.5f, 2.0f}, c::policy_only{}};
  const auto refusal = [&](auto spoil, std::vector<std::uint8_t>& out) -> std::string {
    auto in = a.inputs();
    spoil(in);
    try {
      hence::shrink_mask(hence::cpu{}, correct, a.ragged(), in, out);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto nothing = [](auto&) {};
  CHECK(refusal([](auto& in) { in.old = {}; }, kept) == "hence: old is null, expected 5 tokens");
  CHECK(refusal([](auto& in) { in.rollout = {}; }, kept) ==
        "hence: rollout is null, expected 5 tokens");
  CHECK(refusal([](auto& in) { in.rollout.how.temperature = 2; }, kept).starts_with("hence: logp"));
  CHECK(refusal(nothing, few) == "hence: kept has 4 entries, cu_seqlens describes 5 tokens");
  CHECK(kept == std::vector<std::uint8_t>(5, 7));
  CHECK(few == std::vector<std::uint8_t>(4, 7));
  CHECK(refusal(nothing, kept) == "accepted");
}

TEST_CASE("kept may be the response mask itself and shares no byte with anything else") {
  fixture::dice random(4);
  const auto d = fixture::random_batch(random, {3, 2});
  fixture::arrays<float> a(d, form::ragged);
  const c::rollout correct{c::token_level{}, c::reject{0.5f, 2.0f}, c::policy_only{}};
  const std::vector<std::uint8_t> before{1, 0, 1, 0, 1, 0};
  const auto refusal = [&](const hence::masks<1>& masks, std::uint8_t* kept,
                           const std::vector<std::uint8_t>& buffer) -> std::string {
    std::string said = "accepted";
    try {
      hence::shrink_mask(hence::cpu{}, correct, hence::ragged{a.cu, masks}, a.inputs(),
                         hence::per_token<std::uint8_t>(kept, 5));
    } catch (const std::invalid_argument& e) {
      said = e.what();
      CHECK(buffer == before);
    }
    return said;
  };
  const std::string separate = ", expected separate arrays";
  auto buffer = before;
  std::vector<std::uint8_t> live(5, 1);
  const hence::view<const std::uint8_t> first(buffer.data(), 5), whole(live);
  CHECK(refusal({first, {}, {}, {}}, buffer.data() + 1, buffer) ==
        "hence: kept overlaps mask.response, expected that very array or a separate one");
  CHECK(refusal({whole, first, {}, {}}, buffer.data(), buffer) ==
        "hence: kept overlaps mask.policy" + separate);
  CHECK(refusal({whole, {}, first, {}}, buffer.data() + 1, buffer) ==
        "hence: kept overlaps mask.kl" + separate);
  CHECK(refusal({whole, {}, {}, first}, buffer.data(), buffer) ==
        "hence: kept overlaps mask.metric" + separate);
  CHECK(refusal({first, first, {}, {}}, buffer.data(), buffer) ==
        "hence: kept overlaps mask.policy" + separate);
  const auto bytes_of = [](auto& array) { return reinterpret_cast<std::uint8_t*>(array.data()); };
  CHECK(refusal({}, bytes_of(a.logp) + 15, buffer) == "hence: kept overlaps logp" + separate);
  CHECK(refusal({}, bytes_of(a.old) + 15, buffer) == "hence: kept overlaps old" + separate);
  CHECK(refusal({}, bytes_of(a.rollout) + 15, buffer) == "hence: kept overlaps rollout" + separate);
  CHECK(refusal({}, bytes_of(a.cu), buffer) == "hence: kept overlaps cu_seqlens" + separate);
  for (auto* x : {&a.old, &a.rollout}) std::fill(x->begin(), x->end(), -1.0f);
  CHECK(refusal({first, {}, {}, {}}, buffer.data(), buffer) == "accepted");
  CHECK(buffer == before);  // nothing is rejected
}

TEST_CASE("a padded mask is itself where its pitch is too") {
  const std::vector<float> logs(8, -1.0f);
  const hence::logprobs<float> logp(hence::view<const float, 2>(logs.data(), 2, 2, 4), {1.0});
  const hence::policy_inputs<float> in{.logp = logp, .old = logp, .rollout = logp};
  const c::rollout correct{c::token_level{}, c::reject{0.5f, 2.0f}, c::policy_only{}};
  const std::vector<std::uint8_t> before{1, 0, 1, 0, 1, 0, 1, 0};
  auto buffer = before;
  const auto shrink = [&](std::int64_t rows, std::int64_t begin, std::int64_t pitch) {
    hence::padded batch{rows, 2, {}};
    batch.mask.response = hence::view<const std::uint8_t, 2>(buffer.data(), rows, 2, 4);
    auto cut = in;
    cut.logp = cut.old = cut.rollout =
        hence::logprobs<float>(hence::view<const float, 2>(logs.data(), rows, 2, 4), {1.0});
    try {
      hence::shrink_mask(hence::cpu{}, correct, batch, cut,
                         hence::view<std::uint8_t, 2>(buffer.data() + begin, rows, 2, pitch));
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  CHECK(shrink(2, 0, 2) ==
        "hence: kept overlaps mask.response, expected that very array or a separate one");
  CHECK(shrink(2, 1, 4) ==
        "hence: kept overlaps mask.response, expected that very array or a separate one");
  CHECK(buffer == before);
  CHECK(shrink(2, 0, 4) == "accepted");
  CHECK(shrink(1, 0, 2) == "accepted");
  CHECK(buffer == before);
  CHECK(shrink(2, 2, 4) == "accepted");  // the other half of each row
  CHECK(buffer == std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0, 1, 0});
}
