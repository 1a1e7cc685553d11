/// \file
/// The run's numbers as JSON, one object a line, under the names that TRL logs.
#pragma once

#include "trainer.hpp"

#include <nlohmann/json.hpp>

namespace demo {

using json = nlohmann::ordered_json;

inline json to_json(const base_metrics& m, std::int64_t step) {
  json j = {{"step", step},
            {"loss", m.loss},
            {"grad_norm", m.gradient_norm},
            {"learning_rate", m.rate},
            {"num_tokens", m.tokens}};
  if (!m.max_violation.empty()) j["moe/max_violation"] = m.max_violation;
  return j;
}

inline json to_json(const step_metrics& m) {
  json j = {{"step", m.step},
            {"loss", m.loss},
            {"grad_norm", m.gradient_norm},
            {"learning_rate", m.rate},
            {"num_tokens", m.tokens},
            {"reward", m.reward},
            {"reward_std", m.reward_std},
            {"rewards/accuracy/mean", m.accuracy},
            {"rewards/accuracy/std", m.accuracy_std},
            {"rewards/format/mean", m.format},
            {"rewards/format/std", m.format_std},
            {"frac_reward_zero_std", m.dead_groups},
            {"kl", m.kl},
            {"entropy", m.entropy},
            {"clip_ratio/low_mean", m.clip_low},
            {"clip_ratio/high_mean", m.clip_high},
            {"clip_ratio/region_mean", m.clip_region},
            {"completions/mean_length", m.mean_length},
            {"completions/min_length", m.shortest},
            {"completions/max_length", m.longest},
            {"completions/clipped_ratio", m.cut_share},
            {"completions/mean_terminated_length", m.mean_finished_length},
            // not TRL's
            {"strict_accuracy", m.strict},
            {"thinking_steps", m.thinking},
            {"has_think", m.has_think}};
  if (!m.load.empty()) {
    j["moe/max_violation"] = m.max_violation;
    j["moe/load"] = m.load;
  }
  return j;
}

/// \return what `to_json` was given, as far as a resumed run and the report need it.
inline step_metrics step_from_json(const json& j) {
  step_metrics m;
  m.step = j.at("step"), m.loss = j.at("loss"), m.gradient_norm = j.at("grad_norm");
  m.rate = j.at("learning_rate"), m.tokens = j.at("num_tokens"), m.reward = j.at("reward");
  m.reward_std = j.at("reward_std"), m.accuracy = j.at("rewards/accuracy/mean");
  m.accuracy_std = j.at("rewards/accuracy/std"), m.format = j.at("rewards/format/mean");
  m.format_std = j.at("rewards/format/std"), m.dead_groups = j.at("frac_reward_zero_std");
  m.kl = j.at("kl"), m.entropy = j.at("entropy"), m.clip_low = j.at("clip_ratio/low_mean");
  m.clip_high = j.at("clip_ratio/high_mean"), m.clip_region = j.at("clip_ratio/region_mean");
  m.mean_length = j.at("completions/mean_length"), m.shortest = j.at("completions/min_length");
  m.longest = j.at("completions/max_length"), m.cut_share = j.at("completions/clipped_ratio");
  m.mean_finished_length = j.at("completions/mean_terminated_length");
  m.strict = j.at("strict_accuracy"), m.thinking = j.value("thinking_steps", 0.0);
  m.has_think = j.value("has_think", 0.0);
  if (j.contains("moe/load")) {
    m.max_violation = j.at("moe/max_violation").get<std::vector<double>>();
    m.load = j.at("moe/load").get<std::vector<std::int64_t>>();
  }
  return m;
}

inline json to_json(const sample_group& g) {
  json rows = json::array();
  for (const sample_row& r : g.rows)
    rows.push_back({{"completion", r.text},
                    {"reward", r.reward},
                    {"advantage", r.advantage},
                    {"accuracy", r.judged.accuracy},
                    {"format", r.judged.format}});
  return {{"prompt", g.prompt}, {"reference", g.reference}, {"completions", rows}};
}
inline sample_group group_from_json(const json& j) {
  sample_group g{j.at("prompt"), j.at("reference"), {}};
  for (const json& r : j.at("completions")) {
    sample_row row{r.at("completion"), r.at("reward"), r.at("advantage"), {}};
    row.judged.accuracy = r.at("accuracy"), row.judged.format = r.at("format");
    row.judged.strict = row.judged.accuracy * row.judged.format;
    g.rows.push_back(row);
  }
  return g;
}

inline json to_json(const evaluation& e) {
  return {{"strict_accuracy", e.strict},
          {"problems", e.problems},
          {"correct", e.correct},
          {"format", e.format},
          {"language_consistency", e.consistency},
          {"thinking_steps", e.thinking},
          {"mean_length", e.length},
          {"pass@1", e.pass_1},
          {"pass@1/low", e.pass_1_low},
          {"pass@1/high", e.pass_1_high},
          {"pass@4", e.pass_k[0]},
          {"pass@16", e.pass_k[1]},
          {"pass@64", e.pass_k[2]},
          {"cons", e.consensus}};
}
inline evaluation evaluation_from_json(const json& j) {
  evaluation e;
  e.strict = j.at("strict_accuracy"), e.problems = j.at("problems"), e.correct = j.at("correct");
  e.format = j.at("format"), e.thinking = j.at("thinking_steps"), e.length = j.at("mean_length");
  e.pass_1 = j.at("pass@1"), e.pass_1_low = j.at("pass@1/low"), e.pass_1_high = j.at("pass@1/high");
  e.pass_k[0] = j.at("pass@4"), e.pass_k[1] = j.at("pass@16"), e.pass_k[2] = j.at("pass@64");
  e.consensus = j.at("cons"), e.consistency = j.at("language_consistency");
  return e;
}

/// The constants of a run that its numbers depend on.
inline json to_json(const settings& s) {
  const auto loss = constants_of(make_loss(s, 1));
  json j = {
      {"task", s.task},
      {"recipe", s.recipe},
      {"seed", s.seed},
      {"base", {{"steps", s.base_steps}, {"documents", s.base_documents}, {"rate", s.base_rate}}},
      {"steps", s.steps},
      {"questions", s.questions},
      {"group", s.group},
      {"minibatches", s.minibatches},
      {"temperature", s.temperature},
      {"refresh_reference", s.refresh_reference},
      {"ratio_low", loss.low},  // null: no bound
      {"ratio_high", loss.high},
      {"kl_coef", loss.kl_coef},
      {"rate", s.rate},
      {"format_weight", s.format_weight},
      {"optimizer",
       {{"beta1", s.optimizer.beta1},
        {"beta2", s.optimizer.beta2},
        {"eps", s.optimizer.eps},
        {"decay", s.optimizer.decay},
        {"clip", s.optimizer.clip}}},
      {"test_problems", s.test_problems},
      {"pass_problems", s.pass_problems},
      {"pass_samples", s.pass_samples}};
  if (s.model_kind == "moe") j["bias_speed"] = s.bias_speed;
  if (!lm::has_same_bits) j["gemm"] = lm::gemm_name;
  return j;
}

}  // namespace demo
