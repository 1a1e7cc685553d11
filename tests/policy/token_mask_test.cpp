#include <hence/policy/token_mask.hpp>

#include "compositions.hpp"

#include <doctest/doctest.h>
#include <limits>
#include <stdexcept>

namespace {

using fixture::form;

/// The mask in description order, 9 where the position was removed; and the status.
template <class T, class Call>
std::pair<std::vector<int>, hence::status> mask_of(const fixture::description& d, form f,
                                                   Call&& call) {
  fixture::arrays<T> a(d, f);
  std::vector<std::uint8_t> mask(a.logp.size(), 9);
  const auto where = a.is_padded ? hence::per_token<std::uint8_t>(hence::view<std::uint8_t, 2>(
                                       mask.data(), a.rows, a.width, a.stride))
                                 : hence::per_token<std::uint8_t>(mask);
  const auto status =
      a.with_batch([&](const auto& batch) { return call(batch, a.inputs(), where); });
  std::vector<int> out;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
      out.push_back(a.where[i][t] < 0 ? 0 : mask[static_cast<std::size_t>(a.where[i][t])]);
  return {out, status};
}

/// The policy tokens with their place in the flat mask and their covariance, in double.
struct candidate {
  std::size_t place, row, live;
  double cov, entropy;
};
std::vector<candidate> candidates(const fixture::description& d) {
  std::vector<candidate> all;
  double logp = 0, advantage = 0;
  std::size_t place = 0;
  const auto each = [&](auto f) {
    place = 0;
    for (std::size_t i = 0; i < d.rows.size(); ++i) {
      std::size_t live = 0;
      for (std::size_t t = 0; t < d.rows[i].at.size(); ++t, ++place)
        if (d.rows[i].at[t].live && d.rows[i].at[t].policy) f(i, t, live++);
    }
  };
  std::size_t n = 0;
  each([&](std::size_t i, std::size_t t, std::size_t) {
    logp += d.rows[i].at[t].logp, advantage += d.advantage_at(i, t), ++n;
  });
  logp /= static_cast<double>(n), advantage /= static_cast<double>(n);
  each([&](std::size_t i, std::size_t t, std::size_t live) {
    all.push_back({place, i, live,
                   (d.advantage_at(i, t) - advantage) * (d.rows[i].at[t].logp - logp),
                   d.rows[i].at[t].entropy});
  });
  return all;
}

std::vector<fixture::description> batches() {
  fixture::dice random(5);
  return {fixture::random_batch(random, {40, 0, 30, 1}),
          fixture::random_batch(random, {40, 7, 30, 1},
                                {.live = 0.7, .per_token = true, .roles = true})};
}

}  // namespace

TEST_CASE("kl_cov takes the largest covariances") {
  for (const auto& d : batches())
    for (const double share : {0.0, 0.05, 0.3, 1.0}) {
      auto all = candidates(d);
      std::stable_sort(all.begin(), all.end(),
                       [](const auto& a, const auto& b) { return a.cov > b.cov; });
      const auto k = std::max<std::size_t>(
          static_cast<std::size_t>(share * static_cast<double>(all.size())), 1);
      std::vector<int> wanted(mask_of<float>(d, form::ragged, [](auto&&...) {
                                return hence::status::ok;
                              }).first.size());
      for (std::size_t i = 0; i < k; ++i) wanted[all[i].place] = 1;
      const auto call = [&](const auto& batch, const auto& in, const auto& out) {
        return hence::token_mask(hence::cpu{}, hence::kl_cov{share}, batch, in, out);
      };
      for (const form f : fixture::every_form) {
        const auto [mask, status] = mask_of<float>(d, f, call);
        CHECK(mask == wanted);
        CHECK(status == hence::status::ok);
      }
      CHECK(
          mask_of<double>(d, form::ragged, [&](const auto& batch, const auto& in, const auto& out) {
            return hence::token_mask(hence::reference<double>{}, hence::kl_cov{share}, batch, in,
                                     out);
          }).first == wanted);
    }
}

TEST_CASE("top_entropy keeps the largest entropies, ties by index") {
  for (auto d : batches()) {
    for (auto& p : d.rows[0].at) p.entropy = 1.5;  // many ties
    for (const double share : {0.0, 0.2, 0.5, 1.0}) {
      auto all = candidates(d);
      std::stable_sort(all.begin(), all.end(),
                       [](const auto& a, const auto& b) { return a.entropy > b.entropy; });
      const auto k = static_cast<std::size_t>(std::ceil(share * static_cast<double>(all.size())));
      const auto call = [&](const auto& batch, const auto& in, const auto& out) {
        return hence::token_mask(hence::cpu{}, hence::top_entropy{share}, batch, in, out);
      };
      auto wanted = mask_of<float>(d, form::ragged, call).first;
      std::fill(wanted.begin(), wanted.end(), 0);
      for (std::size_t i = 0; i < k; ++i) wanted[all[i].place] = 1;
      for (const form f : fixture::every_form) CHECK(mask_of<float>(d, f, call).first == wanted);
    }
  }
}

TEST_CASE("clip_cov drops a random choice between the bounds: by seed and place alone") {
  for (const auto& d : batches()) {
    const auto all = candidates(d);
    const double low = 0.25, high = 2, share = 0.1;
    const auto with_seed = [&](std::uint64_t seed, form f, std::uint64_t first = 0) {
      return mask_of<float>(d, f, [&](const auto& batch, const auto& in, const auto& out) {
        return hence::token_mask(hence::cpu{}, hence::clip_cov{share, low, high}, batch, in,
                                 {.seed = seed, .step = 3, .first_sequence = first}, out);
      });
    };
    // the words again: the dropped tokens are those with the largest ones
    std::vector<std::pair<std::uint32_t, std::size_t>> words;
    for (const auto& c : all)
      if (low < c.cov && c.cov < high)
        words.push_back(
            {hence::philox(7, {static_cast<std::uint32_t>(c.live), 3, c.row}).word[0], c.place});
    std::stable_sort(words.begin(), words.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    const auto most = static_cast<std::size_t>(share * static_cast<double>(all.size()));
    CHECK(words.size() > most);
    std::vector<int> wanted(with_seed(7, form::ragged).first.size(), 0);
    for (const auto& c : all) wanted[c.place] = 1;
    for (std::size_t i = 0; i < most; ++i) wanted[words[i].second] = 0;
    for (const form f : fixture::every_form) CHECK(with_seed(7, f).first == wanted);
    CHECK(with_seed(8, form::ragged).first != wanted);
    CHECK(with_seed(7, form::ragged, 10).first != wanted);
  }
}

TEST_CASE("inputs that are not finite take no token and say so; an empty batch is empty") {
  fixture::dice random(5);
  auto d = fixture::random_batch(random, {4, 3});
  d.rows[1].at[1].logp = std::nan("");
  d.rows[0].at[0].entropy = std::numeric_limits<double>::infinity();
  const auto run = [&](const auto&... rule) {
    return mask_of<float>(d, form::ragged, [&](const auto& batch, const auto& in, const auto& out) {
      if constexpr (sizeof...(rule) == 2)
        return [&](const auto& r, const auto& draws) {
          return hence::token_mask(hence::cpu{}, r, batch, in, draws, out);
        }(rule...);
      else
        return hence::token_mask(hence::cpu{}, rule..., batch, in, out);
    });
  };
  using flat = std::vector<int>;
  const hence::token_draws draws{};
  CHECK(run(hence::kl_cov{0.5}) == std::pair(flat(7, 0), hence::status::non_finite));
  CHECK(run(hence::clip_cov{0.5, 0, 9}, draws) == std::pair(flat(7, 1), hence::status::non_finite));
  CHECK(run(hence::top_entropy{0.5}) == std::pair(flat(7, 1), hence::status::non_finite));
  for (auto& r : d.rows)
    for (auto& p : r.at) p.live = false;
  CHECK(run(hence::kl_cov{0.5}) == std::pair(flat(7, 0), hence::status::empty));
  CHECK(run(hence::clip_cov{0.5, 0, 9}, draws) == std::pair(flat(7, 0), hence::status::empty));
  CHECK(run(hence::top_entropy{0.5}) == std::pair(flat(7, 0), hence::status::empty));
}

TEST_CASE("bad input is refused before anything is written") {
  fixture::dice random(5);
  const auto d = fixture::random_batch(random, {4, 3});
  fixture::arrays<float> a(d, form::ragged);
  std::vector<std::uint8_t> out(7, 9), few(6, 9);
  const auto refusal = [&](const auto& rule, auto spoil,
                           std::vector<std::uint8_t>& to) -> std::string {
    auto in = a.inputs();
    spoil(in);
    try {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(rule)>, hence::clip_cov>)
        hence::token_mask(hence::cpu{}, rule, a.ragged(), in, {}, to);
      else
        hence::token_mask(hence::cpu{}, rule, a.ragged(), in, to);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto nothing = [](auto&) {};
  CHECK(refusal(hence::kl_cov{1.5}, nothing, out) ==
        "hence: kl_cov has share 1.5, expected 0 to 1");
  CHECK(
      refusal(hence::top_entropy{-1}, nothing, out).starts_with("hence: top_entropy has share -1"));
  CHECK(refusal(hence::clip_cov{0.1, 5, 1}, nothing, out) ==
        "hence: clip_cov has bounds [5, 1], expected low <= high");
  CHECK(refusal(hence::kl_cov{0.5}, nothing, few) ==
        "hence: out has 6 entries, cu_seqlens describes 7 tokens");
  CHECK(refusal(
            hence::kl_cov{0.5}, [](auto& in) { in.logp = {}; }, out) ==
        "hence: logp is null, expected 7 tokens");
  CHECK(refusal(
            hence::kl_cov{0.5}, [](auto& in) { in.advantages = {}; }, out) ==
        "hence: expected advantages [rows] or token_advantages, one of them");
  CHECK(refusal(
            hence::top_entropy{0.5}, [](auto& in) { in.entropy = {}; }, out) ==
        "hence: entropy is null, expected 7 tokens");
  CHECK(refusal(hence::kl_cov{0.5}, nothing, a.response) ==
        "hence: out overlaps mask.response; they are separate arrays");
  CHECK(out == std::vector<std::uint8_t>(7, 9));
}
