// Expert choice and token rounding against sorting in double, and what follows from their ids.

#include "meeting.hpp"
#include "oracle.hpp"

#include <hence/moe/choice.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>
#include <hence/threads/pool.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>

namespace {

namespace moe = hence::moe;
using hence::view;

constexpr float nothing = -std::numeric_limits<float>::infinity();
const moe::gate plain{moe::score::sigmoid{}, 6, moe::all_experts{}, moe::raw{}, 1.0};

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct batch {
  std::int64_t tokens, experts;
  std::vector<float> z;
  std::vector<std::uint8_t> valid;
  std::int64_t kept_groups = 0, group_size = 1;  // 0: all
  batch(std::int64_t t, std::int64_t e, unsigned seed)
      : tokens(t), experts(e), z(oracle::logits(at(t * e), seed, 2, 4)), valid(at(t), 1) {}
  moe::choice_inputs<float> inputs() const {
    moe::choice_inputs<float> in;
    in.logits = view<const float, 2>(z.data(), tokens, experts);
    in.valid = valid;
    return in;
  }
  float score(std::int64_t t, std::int64_t e) const { return z[at(t * experts + e)]; }
  float best(std::int64_t t, std::int64_t group) const {
    float most = nothing;
    for (std::int64_t e = group * group_size; e < (group + 1) * group_size; ++e)
      most = std::max(most, score(t, e));  // most, where score is NaN
    return most;
  }
  /// Groups rank by their largest score, ties to the first.
  bool keeps(std::int64_t t, std::int64_t group) const {
    std::int64_t before = 0;
    for (std::int64_t g = 0; kept_groups > 0 && g < experts / group_size; ++g)
      before += best(t, g) > best(t, group) || (g < group && best(t, g) == best(t, group));
    return kept_groups == 0 || before < kept_groups;
  }
  bool eligible(std::int64_t t, std::int64_t e) const {
    for (std::int64_t i = 0; i < experts; ++i)
      if (score(t, i) > 1e38f) return false;
    return valid[at(t)] != 0 && score(t, e) > nothing && keeps(t, e / group_size);
  }
};

/// Tokens by the one order, of those that f takes. Sigmoid is monotonic, and these logits, few
/// multiples of 1/4, keep distinct scores apart.
template <class F> std::vector<std::int64_t> ranked(const batch& b, std::int64_t e, F f) {
  std::vector<std::int64_t> t;
  for (std::int64_t i = 0; i < b.tokens; ++i)
    if (b.eligible(i, e) && f(i)) t.push_back(i);
  std::stable_sort(t.begin(), t.end(),
                   [&](std::int64_t x, std::int64_t y) { return b.score(x, e) > b.score(y, e); });
  return t;
}

using pairs = std::vector<std::vector<std::int64_t>>;  // experts of each token

/// Best first, at most `slots`.
void order_experts(const batch& b, pairs& p, std::size_t slots) {
  for (std::size_t t = 0; t < p.size(); ++t) {
    std::stable_sort(p[t].begin(), p[t].end(), [&](std::int64_t x, std::int64_t y) {
      const auto i = static_cast<std::int64_t>(t);
      return b.score(i, x) > b.score(i, y) || (b.score(i, x) == b.score(i, y) && x < y);
    });
    if (p[t].size() > slots) p[t].resize(slots);
  }
}

void demand(const pairs& want, const std::vector<std::int32_t>& ids, std::int64_t slots) {
  for (std::size_t t = 0; t < want.size(); ++t)
    for (std::int64_t j = 0; j < slots; ++j)
      CHECK(ids[t * at(slots) + at(j)] == (at(j) < want[t].size() ? want[t][at(j)] : -1));
}

batch hard_batch(std::int64_t tokens = 70) {
  batch b(tokens, 6, 3);
  b.z[3] = __builtin_nanf("");
  b.z[10] = nothing;
  b.valid[4] = 0;
  for (int e = 0; e < 6; ++e) b.z[at(24 + e)] = __builtin_nanf("");  // of the invalid row
  b.z[at(5 * 6 + 2)] = std::numeric_limits<float>::infinity();
  return b;
}

TEST_CASE("expert choice: every expert's best tokens, every token's experts best first") {
  const batch b = hard_batch();
  for (const std::int64_t slots : {6, 2})
    for (const std::int64_t capacity : {0, 1, 9, 68, 1000}) {
      auto gate = plain;
      gate.k = slots;
      std::vector<std::int32_t> ids(at(b.tokens * slots), 77);
      const auto counts = moe::choose_tokens(hence::cpu{}, gate, b.inputs(), capacity,
                                             view<std::int32_t, 2>(ids.data(), b.tokens, slots));
      pairs want(at(b.tokens));
      std::int64_t all = 0;
      for (std::int64_t e = 0; e < b.experts; ++e) {
        auto t = ranked(b, e, [](std::int64_t) { return true; });
        if (static_cast<std::int64_t>(t.size()) > capacity) t.resize(at(capacity));
        for (const auto i : t) want[at(i)].push_back(e), ++all;
      }
      order_experts(b, want, at(slots));
      demand(want, ids, slots);
      std::int64_t taken = 0, untaken = 0;
      for (std::size_t t = 0; t < want.size(); ++t) {
        taken += static_cast<std::int64_t>(want[t].size());
        untaken += want[t].empty() && b.valid[t] != 0;
      }
      CHECK(counts.rows == 69);
      CHECK(counts.nan_rows == 1);
      CHECK(counts.infinite_rows == 1);
      CHECK(counts.taken == taken);
      CHECK(counts.dropped == all - taken);
      CHECK(counts.untaken_rows == untaken);
    }
}

/// Rounds from the best two of each token's experts, and from pairs that cannot be taken.
template <class Gate, class Rounding>
void check_rounding(const batch& b, const Gate& gate, Rounding rounding, std::int64_t tile) {
  const std::int64_t had_slots = std::min<std::int64_t>(b.experts, 2) + 1;
  std::vector<std::int32_t> given(at(b.tokens * had_slots), -1);
  for (std::int64_t t = 0; t < b.tokens; ++t) {
    std::vector<std::int32_t> mine;
    for (std::int32_t e = 0; e < b.experts; ++e)
      if (b.eligible(t, e)) mine.push_back(e);
    std::stable_sort(mine.begin(), mine.end(),
                     [&](std::int32_t x, std::int32_t y) { return b.score(t, x) > b.score(t, y); });
    for (std::int64_t j = 0; j + 1 < had_slots && at(j) < mine.size(); ++j)
      given[at(t * had_slots + j)] = mine[at(j)];
    for (std::int32_t e = 0; e < b.experts; ++e)
      if (!b.eligible(t, e)) given[at(t * had_slots + had_slots - 1)] = e;
  }
  const std::int64_t slots = gate.k;
  std::vector<std::int32_t> ids(at(b.tokens * slots), 77), again = ids;
  const auto run = [&](const auto& executor, std::vector<std::int32_t>& to) {
    return moe::round_tokens(executor, gate, b.inputs(),
                             view<const std::int32_t, 2>(given.data(), b.tokens, had_slots), tile,
                             rounding, view<std::int32_t, 2>(to.data(), b.tokens, slots));
  };
  const auto counts = run(hence::cpu{}, ids), others = run(hence::reference<float>{}, again);
  CHECK(again == ids);
  CHECK(others.added == counts.added);
  CHECK(others.removed == counts.removed);
  pairs want(at(b.tokens));
  std::int64_t added = 0, removed = 0;
  for (std::int64_t e = 0; e < b.experts; ++e) {
    const auto has = [&](std::int64_t t) {
      const auto* row = &given[at(t * had_slots)];
      return std::count(row, row + had_slots, static_cast<std::int32_t>(e)) > 0;
    };
    auto mine = ranked(b, e, has);
    const auto rest = ranked(b, e, [&](std::int64_t t) { return !has(t); });
    const auto had = static_cast<std::int64_t>(mine.size());
    const auto eligible = had + static_cast<std::int64_t>(rest.size());
    std::int64_t n = 0;  // written from the definition: try all multiples
    for (std::int64_t m = 0; m <= had + tile; m += tile) {
      if (m > eligible) break;
      if constexpr (std::is_same_v<Rounding, moe::round_down>) {
        if (m <= had) n = m;
      } else if constexpr (std::is_same_v<Rounding, moe::round_up>) {
        if (n < had) n = m;
      } else if (std::abs(2 * m - 2 * had) <= std::abs(2 * n - 2 * had)) {
        n = m;
      }
    }
    for (std::int64_t i = had; i < n; ++i) mine.push_back(rest[at(i - had)]), ++added;
    removed += std::max<std::int64_t>(had - n, 0);
    mine.resize(at(n));
    for (const auto t : mine) want[at(t)].push_back(e);
  }
  std::int64_t dropped = 0;
  for (const auto& experts : want)
    dropped += std::max<std::int64_t>(static_cast<std::int64_t>(experts.size()) - slots, 0);
  order_experts(b, want, at(slots));
  demand(want, ids, slots);
  CHECK(counts.added == added);
  CHECK(counts.removed == removed);
  CHECK(counts.dropped == dropped);
}
template <class Gate> void check_roundings(const batch& b, const Gate& gate, std::int64_t tile) {
  check_rounding(b, gate, moe::round_down{}, tile);
  check_rounding(b, gate, moe::round_up{}, tile);
  check_rounding(b, gate, moe::round_nearest{}, tile);
}

TEST_CASE("rounding: every count a multiple of the tile, by the lowest or the next") {
  const batch b = hard_batch();
  for (const std::int64_t tile : {1, 4, 16, 69, 100}) check_roundings(b, plain, tile);
  auto gate = plain;
  for (const std::int64_t experts : {1, 2, 40}) {
    gate.k = experts;
    check_roundings(batch(75, experts, 4), gate, 8);
  }
  gate.k = 2;
  check_roundings(batch(75, 64, 4), gate, 8);
  batch grouped = hard_batch(150);
  grouped.kept_groups = 2, grouped.group_size = 2;
  check_roundings(
      grouped,
      moe::gate{moe::score::sigmoid{}, 6, moe::grouped{3, 2, moe::max_score{}}, moe::raw{}, 1.0},
      8);
}

TEST_CASE("groups: a token is taken by experts of its kept groups alone") {
  const batch b(40, 6, 9);
  const moe::gate gate{moe::score::sigmoid{}, 6, moe::grouped{3, 1, moe::top2_sum{}}, moe::raw{},
                       1.0};
  std::vector<std::int32_t> ids(240);
  moe::choose_tokens(hence::cpu{}, gate, b.inputs(), 40, view<std::int32_t, 2>(ids.data(), 40, 6));
  oracle::gate plain_gate;
  plain_gate.k = 2, plain_gate.groups = 3, plain_gate.kept = 1;
  plain_gate.rule = oracle::group_score::top2_sum;
  for (std::size_t t = 0; t < 40; ++t) {
    const std::vector<double> z(b.z.begin() + static_cast<long>(6 * t),
                                b.z.begin() + static_cast<long>(6 * t + 6));
    const auto want = oracle::route(plain_gate, z);
    CHECK(ids[6 * t] == want.ids[0]);
    CHECK(ids[6 * t + 1] == want.ids[1]);
    CHECK(ids[6 * t + 2] == -1);
  }
}

TEST_CASE("the same ids for every executor, pool and memory; none and one token") {
  const batch b = hard_batch(700);
  const auto run = [&](const auto& executor, view<std::byte> memory = {}) {
    std::vector<std::int32_t> ids(at(b.tokens * 6), 77);
    moe::choose_tokens(executor, plain, b.inputs(), 200,
                       view<std::int32_t, 2>(ids.data(), b.tokens, 6), memory);
    return ids;
  };
  const auto want = run(hence::cpu{});
  CHECK(run(hence::reference<float>{}) == want);
  for (const int threads : {1, 2, 3, 8}) {
    hence::thread_pool pool(threads);
    CHECK(run(hence::cpu(pool)) == want);
  }
  const auto bytes = moe::choice_workspace_bytes(hence::cpu{}, plain, b.tokens, 6);
  std::vector<std::byte> memory(at(bytes + 64), std::byte{255});
  // a value and a flag for each token and expert, and what routing takes
  CHECK(bytes <= 5 * (b.tokens + 31) * 6 + 16 * 6 + 3 * 63 +
                     moe::route_workspace_bytes(hence::cpu{}, plain, b.tokens, 6));
  const auto past = reinterpret_cast<std::uintptr_t>(memory.data()) % 64;
  CHECK(run(hence::cpu{}, view<std::byte>(memory.data() + (64 - past) % 64, bytes)) == want);
  const batch none(0, 6, 1), one(1, 6, 1);
  CHECK(moe::choose_tokens(hence::cpu{}, plain, none.inputs(), 3,
                           view<std::int32_t, 2>(nullptr, 0, 6))
            .taken == 0);
  std::vector<std::int32_t> ids(6);
  CHECK(moe::choose_tokens(hence::cpu{}, plain, one.inputs(), 3,
                           view<std::int32_t, 2>(ids.data(), 1, 6))
            .taken == 6);
}

TEST_CASE("parts have memory of their own, up to 64 of them") {
  const batch b = hard_batch(300);  // two parts
  const auto run = [&](const auto& executor) {
    std::vector<std::int32_t> ids(at(b.tokens * 6), 77);
    moe::choose_tokens(executor,
                       moe::gate{meeting::sigmoid{}, 6, moe::all_experts{}, moe::raw{}, 1.0},
                       b.inputs(), 90, view<std::int32_t, 2>(ids.data(), b.tokens, 6));
    return ids;
  };
  meeting::pool pool;
  CHECK(run(hence::cpu(pool)) == run(hence::cpu{}));
  const batch many(64 * 128, 1, 5);
  auto one = plain;
  one.k = 1;
  hence::thread_pool two(2);
  std::vector<std::int32_t> ids(at(many.tokens));
  const auto counts = moe::choose_tokens(hence::cpu(two), one, many.inputs(), 5000,
                                         view<std::int32_t, 2>(ids.data(), many.tokens, 1));
  CHECK(counts.rows == many.tokens);
  CHECK(counts.taken == 5000);
}

TEST_CASE("weights and gradients: route and route_backward of the chosen ids") {
  // Zhou et al., eq. 2: G is the softmax over experts; y weighs with it, unnormalised
  constexpr std::int64_t tokens = 7, experts = 4;
  const moe::gate gate{moe::score::softmax{}, experts, moe::all_experts{}, moe::raw{}, 1.0};
  std::vector<double> z, c;
  for (const float x : oracle::logits(tokens * experts, 5)) z.push_back(static_cast<double>(x));
  for (const float x : oracle::logits(tokens * experts, 6)) c.push_back(static_cast<double>(x));
  std::vector<std::int32_t> ids(tokens * experts), again(ids);
  const view<std::int32_t, 2> chosen(ids.data(), tokens, experts);
  const view<const double, 2> logits(z.data(), tokens, experts);
  moe::choice_inputs<double> from;
  from.logits = logits;
  moe::choose_tokens(hence::reference<double>{}, gate, from, 3, chosen);
  std::vector<double> w(ids.size()), gradient(ids.size());
  moe::gate_inputs<double> in;
  in.logits = logits;
  in.replay = chosen;
  moe::gate_outputs<double> out;
  out.ids = view<std::int32_t, 2>(again.data(), tokens, experts);
  out.weights = view<double, 2>(w.data(), tokens, experts);
  std::vector<std::int64_t> load(experts);
  out.load = load;
  moe::route(hence::reference<double>{}, gate, in, out);
  for (const auto n : load) CHECK(n == 3);  // balanced by construction
  moe::gate_backward_inputs<double> back;
  back.logits = logits;
  back.ids = chosen;
  back.grad_weights = view<const double, 2>(c.data(), tokens, experts);
  moe::route_backward(hence::reference<double>{}, gate, back,
                      view<double, 2>(gradient.data(), tokens, experts));
  const auto value = [&] {
    double sum = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      double total = 0;
      for (std::size_t e = 0; e < experts; ++e) total += std::exp(z[t * experts + e]);
      for (std::size_t j = 0; j < experts; ++j)
        if (const auto e = ids[t * experts + j]; e >= 0)
          sum +=
              c[t * experts + j] * std::exp(z[t * experts + static_cast<std::size_t>(e)]) / total;
    }
    return sum;
  };
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double kept = z[i], h = 1e-6;
    z[i] = kept + h;
    const double above = value();
    z[i] = kept - h;
    const double below = value();
    z[i] = kept;
    CHECK(std::abs(gradient[i] - (above - below) / (2 * h)) < 1e-8);
  }
}

TEST_CASE("what is refused, before anything is written") {
  const batch b(4, 6, 1);
  std::vector<std::int32_t> ids(24, 77), given(8, 0);
  const view<std::int32_t, 2> to(ids.data(), 4, 6);
  const auto refusal = [&](auto f) -> std::string {
    try {
      f();
    } catch (const std::invalid_argument& e) {
      CHECK(ids[0] == 77);
      return e.what();
    }
    return "";
  };
  CHECK(refusal([&] { moe::choose_tokens(hence::cpu{}, plain, b.inputs(), -1, to); }) ==
        "hence: capacity is -1, expected 0 or more");
  CHECK(refusal([&] {
          moe::choose_tokens(hence::cpu{}, plain, b.inputs(), 1,
                             view<std::int32_t, 2>(ids.data(), 4, 5));
        }) == "hence: ids has shape [4, 5], expected [4, 6]");
  const auto round = [&](std::int64_t tile) {
    moe::round_tokens(hence::cpu{}, plain, b.inputs(),
                      view<const std::int32_t, 2>(given.data(), 4, 2), tile, moe::round_up{}, to);
  };
  CHECK(refusal([&] { round(0); }) == "hence: tile is 0, expected 1 or more");
  given[3] = 6;
  CHECK(refusal([&] { round(2); }) == "hence: given[1, 1] is 6, expected -1 to 5");
  given[3] = -2;
  CHECK(refusal([&] { round(2); }) == "hence: given[1, 1] is -2, expected -1 to 5");
  // without a mask all rows are valid
  moe::choice_inputs<float> unmasked;
  unmasked.logits = b.inputs().logits;
  CHECK(moe::choose_tokens(hence::cpu{}, plain, unmasked, 0, to).untaken_rows == 4);
}

}  // namespace
