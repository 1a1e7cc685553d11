/// \file
/// A packed ragged batch: the responses to one prompt lie behind it, the prompt is stored and
/// computed once (`hence::shared_prefix`). It is cut into tiles of whole groups; a tile is what one
/// task computes, and leaves no trace in the bits.
#pragma once

#include <hence/core/batch.hpp>
#include <hence/core/shared_prefix.hpp>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace lm {

using token = std::int32_t;

/// The offsets of some consecutive groups, counted from their first.
struct tile {
  std::int64_t first_token = 0, first_response = 0;
  std::vector<std::int64_t> cu_groups{0}, cu_prompts{0}, cu_responses{0};

  hence::shared_prefix prefix() const { return {cu_groups, cu_prompts, cu_responses}; }
  std::int64_t tokens() const { return cu_prompts.back() + cu_responses.back(); }
  std::int64_t responses() const { return cu_responses.back(); }
};

/// Prompts with their responses. `begin_group`, then `add_response` for each of its rows.
class packed_batch {
 public:
  /// \param tile_tokens a tile is closed before it holds more, if a group fits.
  explicit packed_batch(std::int64_t tile_tokens = 256) : tile_tokens_(tile_tokens) {}

  void begin_group(std::span<const token> prompt) {
    if (prompt.empty()) throw std::invalid_argument("batch: a prompt has one token or more");
    close_group();
    tokens_.insert(tokens_.end(), prompt.begin(), prompt.end());
    for (std::size_t i = 0; i < prompt.size(); ++i)
      positions_.push_back(static_cast<std::int64_t>(i));
    prompt_ = static_cast<std::int64_t>(prompt.size());
    group_.assign(1, 0);
    is_open_ = true;
  }
  /// A row of the group that was begun last: its tokens are what the loss is about.
  void add_response(std::span<const token> response) {
    if (!is_open_) throw std::invalid_argument("batch: a response needs a group");
    tokens_.insert(tokens_.end(), response.begin(), response.end());
    for (std::size_t i = 0; i < response.size(); ++i) {
      positions_.push_back(prompt_ + static_cast<std::int64_t>(i));
      labels_.push_back(response[i]);
    }
    group_.push_back(group_.back() + static_cast<std::int64_t>(response.size()));
    cu_responses_.push_back(static_cast<std::int64_t>(labels_.size()));
  }
  /// No more groups.
  void close() {
    close_group();
    is_open_ = false;
  }

  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  std::int64_t rows() const { return static_cast<std::int64_t>(cu_responses_.size()) - 1; }
  std::int64_t responses() const { return static_cast<std::int64_t>(labels_.size()); }
  const std::vector<token>& tokens() const { return tokens_; }               ///< [stored]
  const std::vector<std::int64_t>& positions() const { return positions_; }  ///< [stored]
  const std::vector<std::int64_t>& labels() const { return labels_; }        ///< [responses]
  const std::vector<tile>& tiles() const { return tiles_; }
  /// The response tokens, row by row, as the losses take them.
  hence::ragged ragged() const { return {.cu_seqlens = cu_responses_}; }
  const std::vector<std::int64_t>& cu_responses() const { return cu_responses_; }

 private:
  void close_group() {
    if (!is_open_) return;
    const std::int64_t more = prompt_ + group_.back();
    if (tiles_.empty() || tiles_.back().tokens() + more > tile_tokens_) {
      tile next;
      if (!tiles_.empty()) {
        next.first_token = tiles_.back().first_token + tiles_.back().tokens();
        next.first_response = tiles_.back().first_response + tiles_.back().responses();
      }
      tiles_.push_back(next);
    }
    tile& t = tiles_.back();
    const std::int64_t base = t.responses();
    for (std::size_t i = 1; i < group_.size(); ++i) t.cu_responses.push_back(base + group_[i]);
    t.cu_groups.push_back(static_cast<std::int64_t>(t.cu_responses.size()) - 1);
    t.cu_prompts.push_back(t.cu_prompts.back() + prompt_);
    is_open_ = false;
  }

  std::int64_t tile_tokens_, prompt_ = 0;
  bool is_open_ = false;
  std::vector<token> tokens_;
  std::vector<std::int64_t> positions_, labels_, cu_responses_{0}, group_{0};
  std::vector<tile> tiles_;
};

}  // namespace lm
