#include <hence/policy/dead_groups.hpp>

#include "compositions.hpp"

#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_named.hpp>

#include <doctest/doctest.h>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

namespace {

using fixture::form;
const std::vector<std::int64_t> cu{0, 3, 3, 4, 7, 9, 11};  // 3, 0, 1, 3, 2 and 2 rows
const std::vector<float> rewards{1, 1, 1, 0.5f, 0, 1, 0, 0.0f, -0.0f, 2, 2.25f};

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}
auto dead(const std::vector<float>& r, double tolerance) {
  return hence::dead_groups(hence::cpu{}, hence::groups{.cu_groups = cu}, r, tolerance);
}

}  // namespace

TEST_CASE("groups whose rewards do not vary, and their rows") {
  const auto m = dead(rewards, 0);
  CHECK(m.groups == 5);
  CHECK(m.dead_groups == 3);  // of ones, of one row, of +0 and -0
  CHECK(m.rows == 11);
  CHECK(m.dead_rows == 6);
  CHECK(m.dead_group_share() == 0.6);
  CHECK(m.frac_reward_zero_std() == 6.0 / 11);
  CHECK(dead(rewards, 0.25).dead_groups == 4);
  CHECK(dead(rewards, 0.2499).dead_groups == 3);
  auto twice = m;
  twice += dead(rewards, 0.25);
  CHECK(twice.groups == 10);
  CHECK(twice.dead_groups == 7);
  CHECK(twice.rows == 22);
  CHECK(twice.dead_rows == 14);
  CHECK(hence::dead_group_metrics{}.dead_group_share() == 0);
  CHECK(hence::dead_group_metrics{}.frac_reward_zero_std() == 0);
}

TEST_CASE("a group is dead exactly where GRPO gives it 0 whatever eps is") {
  fixture::dice random(1);
  std::vector<std::int64_t> groups{0};
  std::vector<float> r;
  for (int g = 0; g < 200; ++g) {
    const auto n = 2 + random.below(4);
    for (std::size_t i = 0; i < n; ++i) r.push_back(random.chance(0.7) ? 1.0f : 1.0f + 0x1p-23f);
    groups.push_back(std::int64_t(r.size()));
  }
  std::vector<float> a(r.size());
  hence::advantages(hence::reference<float>{},
                    hence::advantage::grpo(1, 0.0, hence::advantage::singleton_zero{}),
                    hence::groups{.cu_groups = groups}, r, a);
  std::int64_t zero = 0;
  for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
    bool all = true;
    for (auto i = groups[g]; i < groups[g + 1]; ++i) all = all && a[std::size_t(i)] == 0;
    zero += all;
  }
  CHECK(hence::dead_groups(hence::cpu{}, hence::groups{.cu_groups = groups}, r, 0).dead_groups ==
        zero);
  CHECK(zero > 20);
  CHECK(zero < 180);
}

TEST_CASE("a reward that is not finite makes no dead group; large ones do not overflow") {
  auto r = rewards;
  r[1] = std::nanf("");
  CHECK(dead(r, 0).dead_groups == 2);
  r[1] = 1, r[3] = std::numeric_limits<float>::infinity();
  CHECK(dead(r, 0).dead_groups == 2);
  r = rewards;
  r[0] = 3e38f, r[1] = -3e38f;
  CHECK(dead(r, 1e30).dead_groups == 4);
  const std::vector<double> wide{1e308, -1e308};
  const std::vector<std::int64_t> two{0, 2};
  CHECK(hence::dead_groups(hence::reference<double>{}, hence::groups{.cu_groups = two}, wide, 1e308)
            .dead_groups == 0);
}

TEST_CASE("dropped groups leave the mask in every layout, and the loss with it") {
  fixture::dice random(2);
  auto d = fixture::random_batch(random, {5, 9, 3, 7, 3, 2, 11, 6, 4, 2, 8},
                                 {.live = 0.8, .roles = true});
  const auto is_dropped = [](std::size_t i) { return i < 4 || i == 7 || i == 8; };
  fixture::description alone = d;
  for (std::size_t i = 0; i < d.rows.size(); ++i)
    if (is_dropped(i))
      for (auto& p : alone.rows[i].at) p.live = false;
  const hence::policy_loss loss{
      hence::ratio::token{}, hence::clip::two_sided{0.75f, 1.25f}, hence::kl::k3{0.0625f},
      hence::aggregate::sequence_mean_token_mean{hence::aggregate::non_empty_rows{}}};
  const auto wanted = fixture::run(hence::cpu{}, loss, alone);
  for (const form f : fixture::every_form) {
    fixture::arrays<float> a(d, f);
    a.with_batch([&](auto batch) {
      const auto mask_of = [&](std::vector<std::uint8_t>& x) {
        return a.is_padded ? hence::per_token<std::uint8_t>(
                                 hence::view<std::uint8_t, 2>(x.data(), a.rows, a.width, a.stride))
                           : hence::per_token<std::uint8_t>(x);
      };
      std::vector<std::uint8_t> kept(a.logp.size(), 9);
      const auto drop = [&](std::vector<std::uint8_t>& out) {
        return hence::drop_dead_groups(hence::cpu{}, batch, hence::groups{.cu_groups = cu}, rewards,
                                       0, mask_of(out));
      };
      CHECK(drop(kept) == hence::status::ok);
      for (std::size_t i = 0; i < d.rows.size(); ++i)
        for (std::size_t t = 0; t < d.rows[i].at.size(); ++t)
          if (a.where[i][t] >= 0)
            CHECK(kept[std::size_t(a.where[i][t])] == (d.rows[i].at[t].live && !is_dropped(i)));
      if (f != form::compacted) {
        drop(a.response);  // in place
        const auto r = hence::loss_and_gradient(hence::cpu{}, loss, batch, a.inputs(),
                                                hence::over_this_call, a.output());
        CHECK(r.loss() == wanted.loss);
        CHECK(r.counts().non_empty_rows == wanted.counts.non_empty_rows);
      }
    });
  }
}

TEST_CASE("nothing kept is empty; what does not fit is refused") {
  fixture::dice random(3);
  const auto d = fixture::random_batch(random, {2, 3});
  fixture::arrays<float> a(d, form::ragged);
  const std::vector<std::int64_t> one{0, 2};
  std::vector<float> r{1, 1};
  std::vector<std::uint8_t> kept(5, 9);
  const auto drop = [&](const std::vector<std::int64_t>& groups, hence::view<const float> of,
                        double tolerance, hence::per_token<std::uint8_t> out) {
    return hence::drop_dead_groups(hence::cpu{}, a.ragged(), hence::groups{.cu_groups = groups}, of,
                                   tolerance, out);
  };
  CHECK(drop(one, r, 0, kept) == hence::status::empty);
  CHECK(kept == std::vector<std::uint8_t>(5, 0));
  const auto says = [&](auto... x) { return refusal([&] { drop(x...); }); };
  const hence::view<const float> of(r);
  const hence::per_token<std::uint8_t> out(kept);
  const std::vector<std::int64_t> three{0, 3}, falling{0, 2, 1};
  CHECK(says(one, of, -1.0, out) == "hence: tolerance is -1, expected a finite number, 0 or more");
  CHECK(says(one, of, HUGE_VAL, out) ==
        "hence: tolerance is inf, expected a finite number, 0 or more");
  CHECK(says(one, of, std::nan(""), out).starts_with("hence: tolerance is nan"));
  CHECK(says(one, hence::view<const float>(), 0.0, out) ==
        "hence: rewards is null, expected 2 rows");
  CHECK(says(one, hence::view<const float>(r.data(), 1), 0.0, out) ==
        "hence: rewards has 1 entries, cu_groups describes 2 rows");
  CHECK(says(falling, of, 0.0, out) ==
        "hence: cu_groups[2] is 1, expected at least its predecessor 2");
  const std::vector<std::int64_t> shorter{0, 1};
  CHECK(says(shorter, hence::view<const float>(r.data(), 1), 0.0, out) ==
        "hence: cu_groups describes 1 rows, the batch has 2");
  CHECK(says(one, of, 0.0, hence::per_token<std::uint8_t>(kept.data(), 4)) ==
        "hence: kept has 4 entries, cu_seqlens describes 5 tokens");
  CHECK(says(one, of, 0.0,
             hence::per_token<std::uint8_t>(reinterpret_cast<std::uint8_t*>(r.data()), 5)) ==
        "hence: kept overlaps rewards, expected separate arrays");
}

TEST_CASE("no rows need no rewards, and the largest tolerance is one") {
  const std::vector<std::int64_t> none{0};
  const auto m = hence::dead_groups(hence::cpu{}, hence::groups{.cu_groups = none}, {}, 0);
  CHECK(m.groups == 0);
  CHECK(m.rows == 0);
  CHECK(dead(rewards, 1.7e308).dead_groups == 5);
}

TEST_CASE("kept may be the response mask itself and shares no byte with anything else") {
  const std::vector<float> r{1, 0};
  std::vector<std::int64_t> groups{0, 2}, cu_seqlens{0, 2, 5};
  const std::vector<std::uint8_t> before{1, 0, 1, 0, 1, 0};
  auto buffer = before;
  const std::vector<std::uint8_t> live(5, 1);
  const auto says = [&](const hence::masks<1>& masks, std::uint8_t* kept) {
    return refusal([&] {
      hence::drop_dead_groups(hence::cpu{}, hence::ragged{cu_seqlens, masks},
                              hence::groups{.cu_groups = groups}, r, 0,
                              hence::per_token<std::uint8_t>(kept, 5));
    });
  };
  const hence::view<const std::uint8_t> first(buffer.data(), 5), whole(live);
  const std::string separate = ", expected separate arrays";
  CHECK(says({first, {}, {}, {}}, buffer.data() + 1) ==
        "hence: kept overlaps mask.response, expected that very array or a separate one");
  CHECK(says({whole, first, {}, {}}, buffer.data()) ==
        "hence: kept overlaps mask.policy" + separate);
  CHECK(says({whole, {}, first, {}}, buffer.data()) == "hence: kept overlaps mask.kl" + separate);
  CHECK(says({whole, {}, {}, first}, buffer.data()) ==
        "hence: kept overlaps mask.metric" + separate);
  CHECK(says({}, reinterpret_cast<std::uint8_t*>(cu_seqlens.data())) ==
        "hence: kept overlaps cu_seqlens" + separate);
  CHECK(says({}, reinterpret_cast<std::uint8_t*>(groups.data())) ==
        "hence: kept overlaps cu_groups" + separate);
  CHECK(buffer == before);
  CHECK(says({first, {}, {}, {}}, buffer.data()) == "accepted");
  CHECK(buffer == before);  // the group lives
}
