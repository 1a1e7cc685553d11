/// \file
/// The rewards' and the evaluation's numbers, given one by one to a callback. Internal linkage: two
/// units of one program must share nothing.
#pragma once

#include <hence/evaluate.hpp>
#include <hence/reward.hpp>

#include <cstdint>

namespace {

/// Calls f(double) with what the rewards give for a fixed set of texts.
template <class F> void reward_numbers(const F& f) {
  namespace reward = hence::reward;
  const char* texts[] = {
      "<think>so x is five</think><answer>\\boxed{5}</answer>",
      "<think>\nso\n</think>\n<answer>\n\\frac{1}{2}\n</answer>",
      "thus \\boxed{\\{1, 2, \\sqrt{12}\\}} or 3 1/2 cm",
      "\\text{No solution} x^2+1 \u4E2D\u6587 $x$ `code`",
      "8 / (3 - 8 / 3)",
      "50\\%",
      "(1, 2) \\cup [3, \\infty)",
      "",
  };
  std::int64_t ids[64], table[128];
  for (const reward::text s : texts) {
    for (int hard = 0; hard < 2; ++hard) {
      const auto how = hard != 0 ? reward::matching::strict : reward::matching::lenient;
      f(reward::format_reward(reward::format::r1_zero{how}, s));
      f(reward::format_reward(reward::format::r1{how}, s));
      f(reward::format_reward(reward::format::opened_by_prompt{how}, s));
    }
    f(reward::format_reward(reward::format::trl_think{}, s));
    f(reward::format_reward(reward::format::open_r1{}, s));
    f(reward::format_reward(reward::format::open_r1_tag_count{}, s));
    f(reward::language_reward(s, reward::language::scripts{reward::script::latin}, 0.5));
    f(static_cast<double>(reward::hash_text(s) >> 12));
    for (const reward::text t : texts) {
      f(static_cast<double>(reward::compare_answers(s, t, reward::answer::math)));
      f(reward::accuracy_reward(reward::extract::boxed_or_whole{}, s, t, reward::answer::strict));
    }
    const std::int64_t given[] = {3, 3, 8, 8};
    f(static_cast<double>(reward::check_countdown(s, hence::view<const std::int64_t>(given, 4), 24,
                                                  reward::usage::all_once)));
    const std::int64_t words = reward::word_ids(s, hence::view<std::int64_t>(ids, 64));
    const hence::view<const std::int64_t> tokens(ids, words);
    f(reward::repetition_penalty(tokens, 1, -1, hence::view<std::int64_t>(table, 128)));
    f(static_cast<double>(
        reward::find_loop(tokens, 2, hence::view<std::int64_t>(table, 128)).tokens));
  }
}

/// Calls f(double) with rewards of length and figures of evaluation.
template <class F> void evaluation_numbers(const F& f) {
  namespace length = hence::reward::length;
  namespace evaluate = hence::evaluate;
  const length::cosine cosine{1.0, 0.5, -1.0, -0.5, -10.0, 1000};
  for (std::int64_t n = 0; n < 1100; n += 7) {
    f(cosine(n % 2 == 0, n));
    f(length::open_r1_cosine{cosine}(n % 3 == 0, n));
    f(length::soft_overlong{1000, 300}(n));
    f(length::open_rlhf_overlong{1000, 300, 0.7}(n));
    f(length::areal_overlong{1000, 300, 0.7}(n));
    f(length::stop_properly{0.3}(static_cast<double>(n) * 0.1, true));
    f(evaluate::pass_at_k(2000, n, 1 + n % 64));
    const auto w = evaluate::wilson(n, 1100, evaluate::z95);
    f(w.low), f(w.high);
  }
  double values[50], means[200];
  for (int i = 0; i < 50; ++i) values[i] = i * i % 7 * 0.1;
  const auto b = evaluate::bootstrap(hence::view<const double>(values, 50), 0.9, 3,
                                     hence::view<double>(means, 200));
  f(b.low), f(b.high);
  const std::int64_t counts[] = {20, 25, 11, 1};
  double workspace[33 * 33];
  for (std::int64_t k = 1; k <= 32; ++k)
    for (int lowest = 0; lowest < 2; ++lowest)
      f(evaluate::expected_majority(
          hence::view<const std::int64_t>(counts, 4), k % 3, 7, k,
          lowest != 0 ? evaluate::ties::lowest_id : evaluate::ties::fractional,
          hence::view<double>(workspace, 33 * 33)));
  const float columns[] = {1, 0.5f, 0.3f, 0, 1, 0.7f};
  const double weights[] = {0.1, 0.2, 0.7};
  float sums[2];
  hence::reward::weighted_sum(hence::view<const float, 2>(columns, 2, 3),
                              hence::view<const double>(weights, 3), hence::view<float>(sums, 2));
  f(static_cast<double>(sums[0])), f(static_cast<double>(sums[1]));
  const std::int64_t lengths[] = {5, 9, 3, 3, 7, 1};
  std::int64_t chunk[6], room[64];
  f(static_cast<double>(evaluate::pack_chunks(hence::view<const std::int64_t>(lengths, 6), 10, 2,
                                              hence::view<std::int64_t>(chunk, 6),
                                              hence::view<std::int64_t>(room, 64))
                            .chunks));
  for (const std::int64_t c : chunk) f(static_cast<double>(c));
  const hence::view<const std::int64_t> answers(lengths, 6);
  f(evaluate::majority_vote(answers, 3, evaluate::ties::first_seen).votes);
  std::int64_t taken[4], source[57];
  evaluate::mix(hence::view<const std::int64_t>(counts, 4), hence::view<std::int64_t>(taken, 4),
                hence::view<std::int64_t>(source, 57));
  for (const std::int64_t s : source) f(static_cast<double>(s));
  const std::int64_t groups[] = {0, 4, 6};
  const float metric[] = {0, 0, 1, 0, 1, 1};
  std::uint8_t keep[2];
  evaluate::refill state{.wanted = 3};
  evaluate::keep_informative(hence::view<const float>(metric, 6),
                             hence::view<const std::int64_t>(groups, 3), 0, {0, 1},
                             hence::view<std::uint8_t>(keep, 2), state);
  f(static_cast<double>(state.next(100)));
  evaluate::rejection fate[6];
  evaluate::candidates known{};
  known.score = hence::view<const float>(metric, 6);
  f(static_cast<double>(evaluate::select(known, hence::view<const std::int64_t>(groups, 3), 1,
                                         hence::view<evaluate::rejection>(fate, 6))
                            .of(evaluate::rejection::kept)));
}

}  // namespace
