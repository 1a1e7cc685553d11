/// \file
/// What the trainings of a pretrained model share: the model, the task, how well it does on
/// what is held out.
#pragma once

#include "r1_sums.hpp"
#include "sums.hpp"

#include "lm/lora_file.hpp"
#include "lm/model_file.hpp"
#include "rl/report.hpp"
#include "rl/run_files.hpp"

namespace smollm2 {

using demo::json;

/// On problems that are held out.
struct held_out_result {
  double sampled = 0;  ///< accuracy at temperature 1
  double format = 0;   ///< at temperature 1
  double greedy = 0;   ///< accuracy of the likeliest reply
  std::int64_t samples = 0, problems = 0;
};

inline json to_json(const held_out_result& r) {
  return {{"accuracy", r.sampled},
          {"format", r.format},
          {"greedy_accuracy", r.greedy},
          {"samples", r.samples},
          {"problems", r.problems}};
}
/// With peft's names.
inline json to_json(const lm::lora_config& c) {
  return {{"r", c.rank}, {"lora_alpha", c.alpha}, {"target_modules", c.targets}};
}
inline held_out_result result_from_json(const json& j) {
  return {.sampled = j.at("accuracy"),
          .format = j.at("format"),
          .greedy = j.at("greedy_accuracy"),
          .samples = j.at("samples"),
          .problems = j.at("problems")};
}

/// Throws std::invalid_argument for a name that is no task's. \param tokenizer outlives it.
inline std::unique_ptr<checked_task> make_checked_task(const std::string& name,
                                                       const lm::tokenizer& tokenizer,
                                                       std::uint64_t seed) {
  if (name == "sums") return std::make_unique<sums>(tokenizer, seed);
  if (name == "r1-sums") return std::make_unique<r1_sums>(tokenizer, seed);
  throw std::invalid_argument("there is no task " + name + ", expected sums or r1-sums");
}

class checked_run {
 public:
  /// \param path of a model's files. Throws what is wrong with it, as `language_model` does.
  /// \param threads 0: all cores.
  checked_run(const std::string& path, const demo::settings& s, int threads)
      : checked_run(path, lm::model_file(path), s, threads) {}

  const checked_task& task() const { return *task_; }
  demo::trainer& trainer() { return trainer_; }
  const demo::trainer& trainer() const { return trainer_; }
  const lm::transformer<float>& model() const { return trainer_.model(); }
  int threads() const { return pool_.size(); }

  /// The file's weights, and an optimizer that begins anew.
  void begin_from_file(const std::string& path) { begin_from_file(lm::model_file(path)); }

  /// Replaces the weights, which are the file's, by a checkpoint's; nothing is trained on them.
  void answer_as(const lm::tensor_file& checkpoint) {
    lm::apply_checkpoint(pool_, model(), checkpoint, trainer_.state().weights);
  }
  /// Adds what is trained: all weights, or the adapters and what they belong to. The file views it.
  void put_trained(lm::tensor_file& file) const {
    const demo::run_state& r = trainer_.state();
    if (const auto* const adapters = trainer_.adapters()) {
      lm::view_tensors(adapters->layout(), file, "", r.adapters);
      lm::put_lora(adapters->config(), base_checksum_, file);
    } else {
      lm::view_tensors(model().parameters().layout, file, "", r.weights);
    }
  }
  /// The same with the optimizer's state.
  void put_state(lm::tensor_file& file) const {
    put_trained(file);
    const demo::run_state& r = trainer_.state();
    lm::view_tensors(layout(), file, "optimizer.first.", r.optimizer.first);
    lm::view_tensors(layout(), file, "optimizer.second.", r.optimizer.second);
    file.metadata["optimizer_step"] = std::to_string(r.optimizer.step);
  }
  /// Reads what `put_state` wrote. Throws std::runtime_error, also for adapters of another base.
  void take_state(const lm::tensor_file& file) {
    demo::run_state& r = trainer_.state();
    const bool has_adapters = trainer_.adapters() != nullptr;
    if (has_adapters) lm::take_lora(file, r.base);
    lm::copy_tensors(file, layout(), "", has_adapters ? r.adapters : r.weights);
    lm::copy_tensors(file, layout(), "optimizer.first.", r.optimizer.first);
    lm::copy_tensors(file, layout(), "optimizer.second.", r.optimizer.second);
    r.optimizer.step = file.integer("optimizer_step");
    if (has_adapters) trainer_.merge();
  }

  /// \param samples to each problem at temperature 1.
  held_out_result evaluate(const std::vector<demo::problem>& asked, std::int64_t samples) const {
    held_out_result r;
    const auto sampled = trainer_.answer(asked, samples, 1.0, seed_, 1);
    const auto greedy = trainer_.answer(asked, 1, 0.0, seed_, 2);
    r.problems = static_cast<std::int64_t>(asked.size());
    r.samples = static_cast<std::int64_t>(sampled.size());
    const auto judged = [&](const lm::generated& g, std::size_t problem) {
      return task_->judge(asked[problem], g.tokens, g.is_finished);
    };
    for (std::size_t i = 0; i < sampled.size(); ++i) {
      const auto v = judged(sampled[i], i / static_cast<std::size_t>(samples));
      r.sampled += v.strict, r.format += v.format;
    }
    for (std::size_t i = 0; i < greedy.size(); ++i) r.greedy += judged(greedy[i], i).strict;
    r.sampled /= static_cast<double>(r.samples), r.format /= static_cast<double>(r.samples);
    r.greedy /= static_cast<double>(r.problems);
    return r;
  }
  /// Replies to the first problem that is held out.
  demo::sample_group show(double format_weight) const {
    const demo::problem& p = task_->held_out()[0];
    demo::sample_group g{task_->text(p.prompt), p.reference, {}};
    for (const auto& reply : trainer_.answer({&p, 1}, 8, 1.0, seed_, 3)) {
      demo::sample_row row;
      row.text = task_->text(reply.tokens);
      row.judged = task_->judge(p, reply.tokens, reply.is_finished);
      row.reward = row.judged.accuracy + format_weight * row.judged.format;
      g.rows.push_back(row);
    }
    return g;
  }

 private:
  checked_run(const std::string& path, const lm::model_file& file, const demo::settings& s,
              int threads)
      : tokenizer_(file.words()),
        task_(make_checked_task(s.task, tokenizer_, s.seed)),
        seed_(demo::seed_of(s.seed, demo::purpose::tests)),
        pool_(threads),
        trainer_(s, *task_, file.config(task_->longest_prompt() + task_->longest_reply()), pool_) {
    if (tokenizer_.size() != model().config().vocabulary)
      throw std::runtime_error(path + ": has " + std::to_string(tokenizer_.size()) +
                               " tokens and an embedding of " +
                               std::to_string(model().config().vocabulary));
    begin_from_file(file);
  }
  void begin_from_file(const lm::model_file& file) {
    const auto weights = file.weights(model().config(), model().parameters());
    const std::span all(weights.data(), static_cast<std::size_t>(weights.size()));
    if (trainer_.adapters() != nullptr) base_checksum_ = lm::weights_checksum(all);
    trainer_.begin_from(all);
  }
  const lm::arena_layout& layout() const {
    return trainer_.adapters() != nullptr ? trainer_.adapters()->layout()
                                          : model().parameters().layout;
  }

  lm::tokenizer tokenizer_;
  std::unique_ptr<checked_task> task_;
  std::uint64_t seed_;
  hence::thread_pool pool_;
  demo::trainer trainer_;
  std::string base_checksum_;  // of adapters
};

/// Makes a run's folder. Throws std::runtime_error that names it.
inline void make_folder(const std::string& path) {
  std::error_code error;
  demo::fs::create_directories(path, error);
  if (error) throw std::runtime_error(path + ": the folder cannot be made: " + error.message());
}

}  // namespace smollm2
