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
