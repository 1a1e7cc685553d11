// Recording, checking and comparing routings, and a whole round: record, replay, recompute.

#include "oracle.hpp"

#include <hence/moe/balancer.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/replay.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>

namespace {

namespace moe = hence::moe;
using hence::view;

static_assert(std::is_same_v<moe::id_for<128>, std::int8_t>);
static_assert(std::is_same_v<moe::id_for<129>, std::int16_t>);
static_assert(std::is_same_v<moe::id_for<256>, std::int16_t>);
static_assert(std::is_same_v<moe::id_for<32768>, std::int16_t>);
static_assert(std::is_same_v<moe::id_for<32769>, std::int32_t>);
static_assert(std::is_same_v<moe::id_for<2147483648>, std::int32_t>);
static_assert(std::is_same_v<moe::id_for<2147483649>, std::int64_t>);

template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

template <class Id> struct storage {
  std::vector<Id> ids;
  std::vector<std::uint64_t> batch;
  moe::routing_record<Id> record;
  storage(std::int64_t tokens, std::int64_t k, std::int64_t experts)
      : ids(static_cast<std::size_t>(tokens * k), Id(0)),
        batch(static_cast<std::size_t>(tokens), 0),
        record{view<Id, 2>(ids.data(), tokens, k), batch, experts} {}
};

view<const std::int32_t, 2> matrix(const std::vector<std::int32_t>& v, std::int64_t rows,
                                   std::int64_t k) {
  return {v.data(), rows, k};
}

TEST_CASE("record, replay with other logits, recompute") {
  constexpr std::int64_t tokens = 50, experts = 24, k = 4;
  const moe::gate gate{moe::score::sigmoid{}, k, moe::all_experts{},
                       moe::normalized{1e-20, moe::single_raw{}}, 1.0};
  const auto old_logits = oracle::logits(tokens * experts, 1),
             logits = oracle::logits(tokens * experts, 2);
  struct routed {
    std::vector<std::int32_t> ids = std::vector<std::int32_t>(tokens * k);
    std::vector<float> weights = std::vector<float>(tokens * k);
    moe::route_counts counts;
  };
  const auto run = [&](const std::vector<float>& z, const auto& replay) {
    using Id = std::remove_cvref_t<decltype(replay(0, 0))>;
    routed r;
    moe::gate_inputs<float, float, Id> in;
    in.logits = view<const float, 2>(z.data(), tokens, experts);
    in.replay = replay;
    moe::gate_outputs<float> out;
    out.ids = view<std::int32_t, 2>(r.ids.data(), tokens, k);
    out.weights = view<float, 2>(r.weights.data(), tokens, k);
    r.counts = moe::route(hence::cpu{}, gate, in, out);
    return r;
  };
  const view<const std::int32_t, 2> none;
  const auto rollout = run(old_logits, none);
  storage<moe::id_for<experts>> s(tokens, k, experts);
  moe::record_routing(s.record, matrix(rollout.ids, tokens, k), 0, 5);
  CHECK(moe::check_record(s.record, tokens, experts, k, 5).is_sound());
  const view<const std::int8_t, 2> recorded = s.record.ids;
  const auto replayed = run(logits, recorded), again = run(logits, recorded),
             live = run(logits, none);
  CHECK(replayed.ids == rollout.ids);
  CHECK(replayed.counts.replayed_rows == tokens);
  CHECK(live.counts.replayed_rows == 0);
  CHECK(again.ids == replayed.ids);
  CHECK(again.weights == replayed.weights);
  CHECK(replayed.weights != rollout.weights);  // of the live logits
  const auto d = moe::compare_routing(recorded, matrix(live.ids, tokens, k));
  CHECK(d.rows == tokens);
  CHECK(d.slots == tokens * k);
  CHECK(d.share_of_slots() > 0.5);
  const auto same = moe::compare_routing(recorded, matrix(rollout.ids, tokens, k));
  CHECK(same.rows_apart == 0);
  CHECK(same.first_apart == 0);
}

TEST_CASE("stale rows, range, repeats and empty rows in one pass") {
  storage<std::int16_t> s(6, 2, 8);
  const std::vector<std::int32_t> ids{0, 1, 2, 3, -1, -1, 4, -1, 5, 6};
  moe::record_routing(s.record, matrix(ids, 5, 2), 0, 9);  // an engine that returns one row too few
  const auto counts = moe::check_record(s.record, 6, 8, 2, 9);
  CHECK(counts.rows == 6);
  CHECK(counts.stale_rows == 1);
  CHECK(counts.empty_rows == 1);
  CHECK(!counts.is_sound());
  CHECK(moe::check_record(s.record, 6, 8, 2, 10).stale_rows == 6);
  const std::vector<std::uint8_t> valid{1, 1, 1, 1, 1, 0};
  CHECK(moe::check_record(s.record, 6, 8, 2, 9, valid).is_sound());
  s.ids[0] = 8, s.ids[2] = 3, s.ids[3] = 3, s.ids[7] = -2;
  const auto bad = moe::check_record(s.record, 6, 8, 2, 9, valid);
  CHECK(bad.range_rows == 2);
  CHECK(bad.repeated_rows == 1);
}

TEST_CASE("expert 0 twice, one expert, and each fault alone") {
  storage<std::int16_t> s(1, 2, 1);
  const std::vector<std::int32_t> ids{0, -1};
  moe::record_routing(s.record, matrix(ids, 1, 2), 0, 9);
  CHECK(moe::check_record(s.record, 1, 1, 2, 9).is_sound());
  s.ids[1] = 0;
  CHECK(moe::check_record(s.record, 1, 1, 2, 9).repeated_rows == 1);
  for (int i = 0; i < 8; ++i) {
    moe::record_counts c;
    c.stale_rows = i & 1, c.range_rows = i >> 1 & 1, c.repeated_rows = i >> 2 & 1;
    CHECK(c.is_sound() == (i == 0));
  }
}

TEST_CASE("shapes and types are refused") {
  storage<std::int8_t> s(4, 2, 8);
  const std::vector<std::int32_t> ids{0, 1, 2, 3, 4, 5, 6, 8};
  CHECK(refusal([&] { moe::check_record(s.record, 5, 8, 2, 1); }) ==
        "hence: record.ids has shape [4, 2], expected [5, 2]");
  CHECK(refusal([&] { moe::check_record(s.record, 4, 9, 2, 1); }) ==
        "hence: the record is of 8 experts, the gate has 9");
  CHECK(refusal([&] { moe::record_routing(s.record, matrix(ids, 4, 2), 0, 1); }) ==
        "hence: ids[3, 1] is 8, expected -1 to 7");
  CHECK(s.batch[0] == 0);
  CHECK(refusal([&] { moe::record_routing(s.record, matrix(ids, 3, 2), 2, 1); }) ==
        "hence: rows [2, 2 + 3) are not within the record's 4");
  CHECK(refusal([&] {
          moe::record_routing(s.record, matrix(ids, 3, 2), INT64_MAX, 1);
        }).starts_with("hence: rows ["));
  CHECK(refusal([&] {
          moe::record_routing(s.record, matrix(ids, 3, 2), -1, 1);
        }).starts_with("hence: rows [-1, "));
  CHECK(s.batch[3] == 0);
  CHECK(refusal([&] { moe::record_routing(s.record, matrix(ids, 3, 2), 0, 0); }) ==
        "hence: batch is 0, expected another number");
  const std::vector<std::int32_t> low{0, -2};
  CHECK(refusal([&] { moe::record_routing(s.record, matrix(low, 1, 2), 0, 1); }) ==
        "hence: ids[0, 1] is -2, expected -1 to 7");
  s.record.experts = 0;
  CHECK(refusal([&] { moe::check_record(s.record, 4, 0, 2, 1); }) ==
        "hence: record.experts is 0, expected 1 or more");
  s.record.experts = 129;
  CHECK(refusal([&] { moe::check_record(s.record, 4, 129, 2, 1); }) ==
        "hence: record.ids holds ids below 128, the gate has 129 experts");
}

TEST_CASE("how two routings differ") {
  const std::vector<std::int32_t> a{0, 1, 2, 3, 4, -1, 5, 6}, b{1, 0, 2, 7, 4, 5, 5, 6};
  const auto d = moe::compare_routing(matrix(a, 4, 2), matrix(b, 4, 2));
  CHECK(d.rows == 4);
  CHECK(d.slots == 7);
  CHECK(d.rows_apart == 2);   // {2, 3} and {2, 7}; {4} and {4, 5}
  CHECK(d.slots_apart == 1);  // 3
  CHECK(d.first_apart == 1);  // 0 and 1
  const std::vector<std::uint8_t> valid{1, 0, 1, 1};
  auto sum = moe::compare_routing(matrix(a, 4, 2), matrix(b, 4, 2), valid);
  CHECK(sum.slots_apart == 0);
  sum += d;
  CHECK(sum.rows == 7);
  CHECK(sum.slots == 12);
  CHECK(sum.rows_apart == 3);
  CHECK(sum.slots_apart == 1);
  CHECK(sum.first_apart == 2);
  CHECK(moe::disagreement{}.share_of_slots() == 0);
  CHECK(moe::disagreement{}.share_of_rows() == 0);
  CHECK(d.share_of_rows() == 0.5);
  CHECK(d.share_of_slots() == 1.0 / 7);
  // an empty live slot is no expert more; no slots at all agree
  const auto back = moe::compare_routing(matrix(b, 4, 2), matrix(a, 4, 2));
  CHECK(back.slots_apart == 2);
  CHECK(back.rows_apart == 2);
  const std::vector<std::int32_t> zero{0, 1}, other{2, 1};
  CHECK(moe::compare_routing(matrix(zero, 1, 2), matrix(other, 1, 2)).slots_apart == 1);
  CHECK(moe::compare_routing(matrix({-1, 1}, 1, 2), matrix({0, 1}, 1, 2)).rows_apart == 1);
  CHECK(moe::compare_routing(matrix(a, 4, 0), matrix(b, 4, 0)).first_apart == 0);
}

}  // namespace
