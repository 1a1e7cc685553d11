/// \file
/// Labels of packed sequences and what each weighs in the loss: supervised fine-tuning on rows that
/// lie one after the other (or padded), where no token may be asked to predict the next sequence.
///
///     const label_counts found = packed_labels(cpu{}, batch, ids, labels);
///     label_weights(cpu{}, label_mean::tokens{found.tokens}, batch, labels, per_token_weight);
///
/// (where this is the whole step; else the counts of all micro-batches and ranks are added up).
/// Position t predicts the token after it: its label is ids[t + 1] where that token lies in the
/// same row and is live in the response mask (the answer's tokens, say), and -100 elsewhere. A
/// negative id is copied and, as a label, ignored. The
/// same on every executor: ids are copied, weights are one division.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/place.hpp>
#include <hence/core/sum.hpp>

#include <algorithm>

namespace hence::inline v0 {

/// What `packed_labels` found; counts of micro-batches and ranks add up.
struct label_counts {
  std::int64_t sequences = 0;  ///< rows with a label
  std::int64_t tokens = 0;     ///< labels
  /// The sums.
  HENCE_FN label_counts& operator+=(const label_counts& o) {
    sequences += o.sequences, tokens += o.tokens;
    return *this;
  }
};

/// What a loss over labels is the mean of. Each names its denominator: the number in the whole
/// optimizer step, over all micro-batches and ranks, not in this call.
namespace label_mean {
/// Every label weighs 1 / count. Hugging Face's num_items_in_batch.
struct tokens {
  std::int64_t count;  ///< labels of the step
};
/// Every label of a row with n labels weighs 1 / (count n): short answers count as much as long
/// ones.
struct sequences {
  std::int64_t count;  ///< rows of the step that have a label
};
}  // namespace label_mean

namespace detail {

constexpr std::int64_t ignored_label = -100;  // of PyTorch

HENCE_FN constexpr std::int64_t labels_of(const std::int64_t* labels, std::int64_t length) {
  std::int64_t n = 0;
  for (std::int64_t t = 0; t < length; ++t) n += labels[t] >= 0;
  return n;
}

}  // namespace detail

/// Runs in the caller's thread.
/// \param batch `ragged` or `padded`; its response mask says which tokens are learned.
/// \param ids the tokens, `[tokens]` or `[rows, width]`; dead ones are not read.
/// \param labels of the same shape, apart from ids.
template <class Executor, class Batch>
label_counts packed_labels(const Executor&, const Batch& batch, per_token<const std::int64_t> ids,
                           per_token<std::int64_t> labels) {
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_shape("ids", ids, b);
  detail::check_shape("labels", labels, b);
  detail::check_apart("labels", labels, "ids", ids, b);
  detail::check_apart_from_batch("labels", detail::place_of(labels, b), b);
  label_counts found;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const detail::row_masks mask = b.masks_of(i);
    const std::int64_t length = b.length(i);
    const std::int64_t* const from = b.row(ids, i);
    std::int64_t* const to = b.row(labels, i);
    for (std::int64_t t = 0; t < length; ++t)
      to[t] = t + 1 < length && mask.live(t + 1) ? from[t + 1] : detail::ignored_label;
    const std::int64_t n = detail::labels_of(to, length);
    found.tokens += n, found.sequences += n > 0;
  }
  return found;
}

/// out_t = what position t weighs in the loss; 0 without a label. It is the cotangent of
/// `cross_entropy`'s per_token; with `sign` -1 that of `token_logprob`'s and `linear_logprob`'s
/// log-probs, whose weighed sum is minus the loss. Runs in the caller's thread.
/// \param how `label_mean::tokens{n}` or `label_mean::sequences{n}`, n at least 1.
/// \param batch the rows. \param labels as `packed_labels` wrote them; negative: none.
/// \param out `[tokens]` or `[rows, width]`. \param sign 1 or -1.
template <class Executor, class How, class Batch>
void label_weights(const Executor&, How how, const Batch& batch,
                   per_token<const std::int64_t> labels, per_token<typename Executor::scalar> out,
                   int sign = 1) {
  using S = typename Executor::scalar;
  static_assert(std::same_as<How, label_mean::tokens> || std::same_as<How, label_mean::sequences>,
                "hence: a loss over labels is the mean of label_mean::tokens{count} or "
                "label_mean::sequences{count}");
  const detail::layout b = batch;
  detail::check_layout(b);
  detail::check_shape("labels", labels, b);
  detail::check_shape("out", out, b);
  detail::check_apart("out", out, "labels", labels, b);
  detail::check_apart_from_batch("out", detail::place_of(out, b), b);
  if (how.count < 1)
    detail::refuse(detail::message() << "hence: label_mean's count is " << how.count
                                     << ", expected that of the whole step, at least 1");
  if (sign != 1 && sign != -1)
    detail::refuse(detail::message()
                   << "hence: sign is " << std::int64_t{sign} << ", expected 1 or -1");
  for (std::int64_t i = 0; i < b.rows; ++i) {
    const std::int64_t length = b.length(i);
    const std::int64_t* const from = b.row(labels, i);
    S* const to = b.row(out, i);
    const auto count = static_cast<double>(how.count);
    const std::int64_t n =
        std::same_as<How, label_mean::tokens> ? 1 : detail::labels_of(from, length);
    const auto labels_here = static_cast<double>(std::max<std::int64_t>(n, 1));
    const auto weight = static_cast<S>(detail::arithmetic<double>::div(sign, count * labels_here));
    for (std::int64_t t = 0; t < length; ++t) to[t] = from[t] >= 0 ? weight : S(0);
  }
}

}  // namespace hence::inline v0
