/// \file
/// What a task gives the run: problems, documents to learn the form from, and the judgement of a
/// reply. Everything drawn depends on a seed and an index alone.
#pragma once

#include "lm/batch.hpp"

#include <hence/core/random.hpp>
#include <hence/reward.hpp>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// Words in their fixed order; a token is an index. A reply's text is its words with blanks
/// between.
class vocabulary {
 public:
  explicit vocabulary(std::vector<std::string> words) : words_(std::move(words)) {}
  lm::token size() const { return static_cast<lm::token>(words_.size()); }
  const std::string& word(lm::token t) const { return words_[static_cast<std::size_t>(t)]; }
  /// The words of all vocabularies begin with these.
  static constexpr lm::token pad = 0, end = 1, think = 2, think_end = 3, answer = 4, answer_end = 5;
  static std::vector<std::string> special() {
    return {"<pad>", "<end>", "<think>", "</think>", "<answer>", "</answer>"};
  }
  /// Padding and the end leave no text.
  std::string text(std::span<const lm::token> tokens) const {
    std::string s;
    for (const lm::token t : tokens) {
      if (t == pad || t == end) continue;
      if (!s.empty()) s += ' ';
      s += word(t);
    }
    return s;
  }
  /// -1 for a word that is not there.
  lm::token find(std::string_view w) const {
    const auto at = std::find(words_.begin(), words_.end(), w);
    return at == words_.end() ? -1 : static_cast<lm::token>(at - words_.begin());
  }
  /// The words of a text, which `text` made.
  std::vector<lm::token> tokens(std::string_view s) const {
    std::vector<lm::token> t;
    for (std::size_t begin = 0; begin < s.size();) {
      const std::size_t stop = std::min(s.find(' ', begin), s.size());
      t.push_back(find(s.substr(begin, stop - begin)));
      if (t.back() < 0)
        throw std::invalid_argument("vocabulary: there is no word " +
                                    std::string(s.substr(begin, stop - begin)));
      begin = stop + 1;
    }
    return t;
  }

 private:
  std::vector<std::string> words_;
};

/// A question.
struct problem {
  std::vector<lm::token> prompt;
  std::string reference;              ///< the right answer as text
  std::vector<std::int64_t> numbers;  ///< what a checker needs beside it
  std::int64_t steps = 0;             ///< thinking steps of the full solution
  int language = 0;                   ///< of the prompt, a number of the task's
  int kind = 0;                       ///< 0: has a right answer; others are the task's own
};

/// A prompt and its continuation: the loss of pretraining is of the continuation.
struct document {
  std::vector<lm::token> prompt, reply;
};

/// What a reply is worth.
struct verdict {
  double accuracy =
      0;              ///< whether the tagged answer is right, with or without the rest of the form
  double format = 0;  ///< R1-Zero's template, strictly
  double strict = 0;  ///< both: the figure that is reported
  bool has_think = false;    ///< whether `<think>` stands in it at all
  std::int64_t steps = 0;    ///< thinking steps: tokens between the tags
  std::int64_t answer = -1;  ///< equal answers have equal numbers; -1: none
  double consistency = 0;    ///< share of the thought's words that are of the prompt's language
};

class task {
 public:
  virtual ~task() = default;
  virtual const char* name() const = 0;
  /// The text of tokens, as it is judged and shown.
  virtual std::string text(std::span<const lm::token> tokens) const = 0;
  /// Closes a reply and belongs to it.
  virtual lm::token end() const = 0;
  virtual std::int64_t longest_prompt() const = 0;
  virtual std::int64_t longest_reply() const = 0;
  virtual problem make_problem(std::uint64_t seed, std::uint64_t index) const = 0;
  virtual document make_document(std::uint64_t seed, std::uint64_t index) const = 0;
  /// \param is_finished whether the reply ended by itself.
  virtual verdict judge(const problem& p, std::span<const lm::token> reply,
                        bool is_finished) const = 0;
};

/// A task of the miniatures, which have words of their own.
class word_task : public task {
 public:
  virtual const vocabulary& words() const = 0;
  std::string text(std::span<const lm::token> tokens) const override {
    return words().text(tokens);
  }
  lm::token end() const override { return vocabulary::end; }
};

/// Draws for one problem or document, one after the other.
class dice {
 public:
  dice(std::uint64_t seed, std::uint32_t use, std::uint64_t index)
      : seed_(seed), use_(use), index_(index) {}
  /// In [0, n).
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(
        static_cast<std::uint64_t>(word()) * static_cast<std::uint64_t>(n) >> 32);
  }
  /// With the chance p.
  bool chance(double p) { return static_cast<double>(hence::uniform(word())) < p; }

 private:
  std::uint32_t word() {
    if (used_ == 4) {
      words_ = hence::philox(seed_, {.token = block_++, .step = use_, .sequence = index_});
      used_ = 0;
    }
    return words_.word[used_++];
  }
  std::uint64_t seed_;
  std::uint32_t use_;
  std::uint64_t index_;
  std::uint32_t block_ = 0;
  unsigned used_ = 4;
  hence::random_words words_{};
};

/// Throws std::invalid_argument for a name that is no task's.
std::unique_ptr<word_task> make_task(const std::string& name);

}  // namespace demo
