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
  std::size_t place, row, token, live;
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
    all.push_back({place, i, t, live,
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
    for (const double share : {0.0, 1e-3, 0.05, 0.3, 1.0}) {
      auto all = candidates(d);
      std::stable_sort(all.begin(), all.end(),
                       [](const auto& a, const auto& b) { return a.cov > b.cov; });
      const auto floor = static_cast<std::size_t>(share * static_cast<double>(all.size()));
      const std::size_t k = share == 0 ? 0 : std::max<std::size_t>(floor, 1);
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
        return hence::token_mask(hence::cpu{},
                                 hence::clip_cov{share, low, high, hence::eligible_all{}}, batch,
                                 in, {.seed = seed, .step = 3, .first_sequence = first}, out);
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

TEST_CASE("clip_cov draws from what the clip has not cut, where the rule says so") {
  int differ = 0;
  for (const auto& d : batches()) {
    const auto all = candidates(d);
    const double low = 0.0, high = 4, share = 0.1, ratio_low = 0.9375, ratio_high = 1.0625;
    const auto dropped_of = [&](const auto& eligible, form f) {
      return mask_of<float>(d, f,
                            [&](const auto& batch, const auto& in, const auto& out) {
                              return hence::token_mask(
                                  hence::cpu{}, hence::clip_cov{share, low, high, eligible}, batch,
                                  in, {.seed = 7, .step = 3, .first_sequence = 0}, out);
                            })
          .first;
    };
    std::vector<std::pair<std::uint32_t, std::size_t>> words;
    std::size_t cut = 0;
    for (const auto& c : all) {
      if (!(low < c.cov && c.cov < high)) continue;
      // verl: not where -A clamp(r) > -A r
      const auto& p = d.rows[c.row].at[c.token];
      const double a = d.advantage_at(c.row, c.token), r = std::exp(p.logp - p.old);
      const bool is_cut = -a * std::min(std::max(r, ratio_low), ratio_high) > -a * r;
      cut += is_cut;
      if (!is_cut)
        words.push_back(
            {hence::philox(7, {static_cast<std::uint32_t>(c.live), 3, c.row}).word[0], c.place});
    }
    std::stable_sort(words.begin(), words.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    const auto most = static_cast<std::size_t>(share * static_cast<double>(all.size()));
    CHECK(cut > 0);
    CHECK(words.size() > most);
    const hence::eligible_unclipped unclipped{ratio_low, ratio_high};
    std::vector<int> wanted(dropped_of(unclipped, form::ragged).size(), 0);
    for (const auto& c : all) wanted[c.place] = 1;
    for (std::size_t i = 0; i < most; ++i) wanted[words[i].second] = 0;
    for (const form f : fixture::every_form) CHECK(dropped_of(unclipped, f) == wanted);
    differ += dropped_of(hence::eligible_all{}, form::ragged) != wanted;
  }
  CHECK(differ > 0);
}

namespace {

/// Two rows of two tokens with covariances 1, -1, -1 and 1, in arrays longer than the batch.
template <class T> struct four_tokens {
  std::vector<std::int64_t> cu{0, 2, 4};
  std::vector<T> logp{-1, -3, -1, -3}, old = logp, entropy{1, 4, 2, 3}, advantages{1, -1};
  std::vector<std::uint8_t> out = std::vector<std::uint8_t>(8, 9);
  hence::policy_inputs<T> in() const {
    hence::policy_inputs<T> x;
    x.logp = hence::logprobs<T>(hence::view<const T>(logp), {1.0});
    x.old = hence::logprobs<T>(hence::view<const T>(old), {1.0});
    x.entropy = hence::view<const T>(entropy);
    if (!advantages.empty()) x.advantages = advantages;
    return x;
  }
  template <class Rule> hence::status run(const Rule& rule) {
    const hence::reference<T> executor{};
    const hence::ragged batch{cu, {}};
    const auto tokens = cu.back();
    const hence::per_token<std::uint8_t> to(out.data(), tokens);
    if constexpr (requires { rule.eligible; })
      return hence::token_mask(executor, rule, batch, in(), {.seed = 1}, to);
    else
      return hence::token_mask(executor, rule, batch, in(), to);
  }
  std::vector<int> mask() const { return {out.begin(), out.end()}; }
};

}  // namespace

TEST_CASE_TEMPLATE("the bounds of a covariance and of a ratio themselves", T, float, double) {
  using mask = std::vector<int>;
  const hence::eligible_all all{};
  const auto left = [](const auto& rule) {
    four_tokens<T> x;
    CHECK(x.run(rule) == hence::status::ok);
    return x.mask();
  };
  CHECK(left(hence::clip_cov{1.0, 1, 5, all}) == mask{1, 1, 1, 1, 9, 9, 9, 9});
  CHECK(left(hence::clip_cov{1.0, -5, 1, all}) == mask{1, 0, 0, 1, 9, 9, 9, 9});
  CHECK(left(hence::clip_cov{1.0, -1, 5, all}) == mask{0, 1, 1, 0, 9, 9, 9, 9});
  CHECK(left(hence::clip_cov{1.0, -1, 1, all}) == mask{1, 1, 1, 1, 9, 9, 9, 9});
  CHECK(left(hence::clip_cov{1.0, 0, 0, all}) == mask{1, 1, 1, 1, 9, 9, 9, 9});
  CHECK(left(hence::clip_cov{0.0, -5, 5, all}) == mask{1, 1, 1, 1, 9, 9, 9, 9});
  CHECK(left(hence::kl_cov{0.0}) == mask{0, 0, 0, 0, 9, 9, 9, 9});
  CHECK(left(hence::kl_cov{0.5}) == mask{1, 0, 0, 1, 9, 9, 9, 9});
  CHECK(left(hence::top_entropy{0.25}) == mask{0, 1, 0, 0, 9, 9, 9, 9});
  // r 2 and 1 where A is 1, 1/2 and 1 where it is -1
  const auto unclipped = [&](double low, double high) {
    four_tokens<T> x;
    const auto half = static_cast<T>(std::log(2.0));
    x.old = {-1 - half, -3, -1 + half, -3};
    const T r = hence::exp(hence::num<T>(x.logp[0]) - hence::num<T>(x.old[0])).v,
            q = hence::exp(hence::num<T>(x.logp[2]) - hence::num<T>(x.old[2])).v;
    CHECK(x.run(hence::clip_cov{1.0, -5, 5,
                                hence::eligible_unclipped{low * double(q), high * double(r)}}) ==
          hence::status::ok);
    return x.mask();
  };
  CHECK(unclipped(1, 1) == mask{0, 0, 0, 0, 9, 9, 9, 9});
  CHECK(unclipped(1, 1 - 1e-6) == mask{1, 0, 0, 0, 9, 9, 9, 9});
  CHECK(unclipped(1 + 1e-6, 1) == mask{0, 0, 1, 0, 9, 9, 9, 9});
  // where A is 0 nothing is cut
  four_tokens<T> none;
  none.advantages = {0, 0}, none.old = {-9, 9, -9, 9};
  CHECK(none.run(hence::clip_cov{1.0, -1, 1, hence::eligible_unclipped{0.8, 1.2}}) ==
        hence::status::ok);
  CHECK(none.mask() == mask{0, 0, 0, 0, 9, 9, 9, 9});
}

TEST_CASE_TEMPLATE("what is not finite, what is not there", T, float, double) {
  const auto every = [](auto&& f) {
    f(hence::clip_cov{1.0, -5, 5, hence::eligible_all{}});
    f(hence::clip_cov{1.0, -5, 5, hence::eligible_unclipped{0.8, 1.2}});
    f(hence::kl_cov{1.0});
    f(hence::top_entropy{1.0});
  };
  const T inf = std::numeric_limits<T>::infinity();
  every([&](const auto& rule) {
    using R = std::remove_cvref_t<decltype(rule)>;
    constexpr bool entropies = std::is_same_v<R, hence::top_entropy>;
    constexpr int kept = std::is_same_v<R, hence::kl_cov> ? 0 : 1;
    four_tokens<T> x;
    x.advantages[1] = inf;
    CHECK(x.run(rule) == (entropies ? hence::status::ok : hence::status::non_finite));
    CHECK(x.mask() == std::vector<int>{kept, kept, kept, kept, 9, 9, 9, 9});
    x = {};
    x.old[3] = -inf;
    const bool reads_old = [&] {
      if constexpr (requires { rule.eligible; }) return rule.eligible.reads_old;
      return false;
    }();
    CHECK(x.run(rule) == (reads_old ? hence::status::non_finite : hence::status::ok));
    if (reads_old) CHECK(x.mask() == std::vector<int>{1, 1, 1, 1, 9, 9, 9, 9});
    // neither a row nor a token: nothing is needed
    for (const auto& cu : {std::vector<std::int64_t>{0}, {0, 0, 0}}) {
      four_tokens<T> none;
      none.cu = cu;
      none.logp.clear(), none.old.clear(), none.entropy.clear(), none.advantages.clear();
      CHECK(none.run(rule) == hence::status::empty);
      CHECK(none.mask() == std::vector<int>(8, 9));
    }
  });
}

TEST_CASE("nothing is written beside the rows of a padded mask") {
  fixture::dice random(6);
  const auto d = fixture::random_batch(random, {4, 3, 5});
  fixture::arrays<float> a(d, form::holes);
  std::vector<std::uint8_t> out(std::size_t(a.rows * a.stride), 9);
  const hence::view<std::uint8_t, 2> to(out.data(), a.rows, a.width, a.stride);
  const auto check = [&](hence::status found) {
    CHECK(found == hence::status::ok);
    for (std::size_t k = 0; k < out.size(); ++k) {
      const bool inside = std::int64_t(k) % a.stride < a.width;
      CHECK((out[k] == 9) == !inside);
    }
    std::fill(out.begin(), out.end(), std::uint8_t(9));
  };
  CHECK(a.stride > a.width);
  const hence::cpu<> cpu{};
  check(hence::token_mask(cpu, hence::clip_cov{0.5, -9, 9, hence::eligible_all{}}, a.padded(),
                          a.inputs(), {}, to));
  check(hence::token_mask(cpu, hence::kl_cov{0.5}, a.padded(), a.inputs(), to));
  check(hence::token_mask(cpu, hence::top_entropy{0.5}, a.padded(), a.inputs(), to));
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
  CHECK(run(hence::clip_cov{0.5, 0, 9, hence::eligible_all{}}, draws) ==
        std::pair(flat(7, 1), hence::status::non_finite));
  CHECK(run(hence::top_entropy{0.5}) == std::pair(flat(7, 1), hence::status::non_finite));
  for (auto& r : d.rows)
    for (auto& p : r.at) p.live = false;
  CHECK(run(hence::kl_cov{0.5}) == std::pair(flat(7, 0), hence::status::empty));
  CHECK(run(hence::clip_cov{0.5, 0, 9, hence::eligible_all{}}, draws) ==
        std::pair(flat(7, 0), hence::status::empty));
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
      if constexpr (requires { rule.eligible; })
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
  CHECK(refusal(hence::clip_cov{0.1, 5, 1, hence::eligible_all{}}, nothing, out) ==
        "hence: clip_cov has bounds [5, 1], expected low <= high");
  CHECK(refusal(hence::kl_cov{0.5}, nothing, few) ==
        "hence: out has 6 entries, cu_seqlens describes 7 tokens");
  CHECK(refusal(
            hence::kl_cov{0.5}, [](auto& in) { in.logp = {}; }, out) ==
        "hence: logp is null, expected 7 tokens");
  CHECK(refusal(
            hence::kl_cov{0.5}, [](auto& in) { in.advantages = {}; }, out) ==
        "hence: expected advantages [rows] or token_advantages, one of them");
  const std::vector<float> three(3);
  for (const bool clips : {false, true}) {
    const auto spoil = [&](auto& in) { in.advantages = three; };
    CHECK((clips ? refusal(hence::clip_cov{0.1, 1, 5, hence::eligible_all{}}, spoil, out)
                 : refusal(hence::kl_cov{0.5}, spoil, out)) ==
          "hence: advantages has 3 entries, the batch has 2 rows");
  }
  const hence::clip_cov unclipped{0.1, 1, 5, hence::eligible_unclipped{0.8, 1.2}};
  CHECK(refusal(
            unclipped, [](auto& in) { in.old = {}; }, out) ==
        "hence: old is null, expected 7 tokens");
  CHECK(refusal(
            unclipped, [](auto& in) { in.old.how.temperature = 2; }, out)
            .starts_with("hence: logp"));
  CHECK(refusal(hence::clip_cov{0.1, 1, 5, hence::eligible_unclipped{0.2, 0.28}}, nothing, out)
            .starts_with("hence: eligible_unclipped has bounds [0.2, 0.28] without 1 in them"));
  CHECK(refusal(
            hence::top_entropy{0.5}, [](auto& in) { in.entropy = {}; }, out) ==
        "hence: entropy is null, expected 7 tokens");
  CHECK(refusal(hence::kl_cov{0.5}, nothing, a.response) ==
        "hence: out overlaps mask.response, expected separate arrays");
  CHECK(out == std::vector<std::uint8_t>(7, 9));
}
