/// \file
/// How sequences lie in memory: ragged (cu_seqlens) or padded with a mask; and what of them is
/// live.
///
/// Both layouts give the same bits. A dead position is never read: it may hold anything.
#pragma once

#include <hence/core/view.hpp>

namespace hence::inline v0 {

/// Masks by role, nonzero = live. An absent `response` mask means that every position is live; an
/// absent other mask means the response mask. Positions outside `response` are dead in every role.
/// Bytes or bools; a mask made of a null pointer or an empty container is refused, it is not an
/// absent one.
/// \tparam Rank 1 for `ragged` (`[tokens]`), 2 for `padded` (`[rows, width]`).
template <int Rank> struct masks {
  /// One byte an entry, nonzero is live; absent: the role has no mask of its own.
  using mask_view = view<const std::uint8_t, Rank>;
  mask_view response{};  ///< tokens that the policy wrote: they exist for the loss
  mask_view policy{};    ///< of these, tokens with a policy term
  mask_view kl{};        ///< of these, tokens with a KL term
  mask_view metric{};    ///< of these, tokens that the metrics average over
};

/// Row boundaries, int32 (as FlashAttention passes them) or int64, `[rows + 1]`.
class offsets {
 public:
  HENCE_FN constexpr offsets() {}
  HENCE_FN constexpr offsets(view<const std::int64_t> v) : wide_(v) {}
  HENCE_FN constexpr offsets(view<const std::int32_t> v) : narrow_(v) {}
  template <class C>
    requires std::constructible_from<view<const std::int64_t>, C>
  [[gnu::always_inline]] constexpr offsets(C&& c) : wide_(c) {}
  template <class C>
    requires std::constructible_from<view<const std::int32_t>, C>
  [[gnu::always_inline]] constexpr offsets(C&& c) : narrow_(c) {}

  /// Rows + 1, or 0 if absent.
  HENCE_FN constexpr std::int64_t size() const {
    return wide_.present() ? wide_.extent[0] : narrow_.extent[0];
  }
  HENCE_FN constexpr bool present() const { return wide_.present() || narrow_.present(); }
  HENCE_FN constexpr std::int64_t operator[](std::int64_t i) const {
    return wide_.present() ? wide_[i] : narrow_[i];
  }
  /// Number of rows (or groups): one less than the boundaries.
  HENCE_FN constexpr std::int64_t rows() const { return size() > 0 ? size() - 1 : 0; }
  /// The memory that they lie in, which no output may share.
  HENCE_FN detail::byte_range bytes() const {
    return wide_.present() ? detail::range_of(wide_) : detail::range_of(narrow_);
  }

 private:
  view<const std::int64_t> wide_{};
  view<const std::int32_t> narrow_{};
};

/// Sequences one after the other: row i is tokens `[cu_seqlens[i], cu_seqlens[i + 1])`.
struct ragged {
  offsets cu_seqlens{};  ///< `[rows + 1]`, not decreasing, from 0
  masks<1> mask{};       ///< each `[tokens]` or absent
};

/// Sequences of one width: `[rows, width]`, dead positions wherever the response mask is 0.
struct padded {
  std::int64_t rows = 0, width = 0;
  masks<2> mask{};  ///< each `[rows, width]` or absent
};

/// Rows of equal prompt one after the other: group g is rows `[cu_groups[g], cu_groups[g + 1])`.
/// Groups may differ in size.
struct groups {
  offsets cu_groups{};  ///< `[groups + 1]`, not decreasing, from 0
};

/// A value for every token, in either layout: `[tokens]` for `ragged`, `[rows, width]` for
/// `padded`.
template <class T> struct per_token {
  T* data = nullptr;            ///< of the first element
  std::int64_t extent[2] = {};  ///< {tokens, 0} or {rows, width}
  std::int64_t row_stride = 0;  ///< padded only
  /// How it was made: of a matrix; without gaps; at all.
  bool is_padded = false, is_contiguous = true, is_given = false;

  HENCE_FN constexpr per_token() {}
  /// `[tokens]`.
  HENCE_FN constexpr per_token(T* p, std::int64_t tokens) : per_token(view<T, 1>(p, tokens)) {}
  /// `[rows, width]`, `row_stride` elements from row to row.
  HENCE_FN constexpr per_token(T* p, std::int64_t rows, std::int64_t width)
      : per_token(view<T, 2>(p, rows, width)) {}
  HENCE_FN constexpr per_token(T* p, std::int64_t rows, std::int64_t width, std::int64_t stride)
      : per_token(view<T, 2>(p, rows, width, stride)) {}
  HENCE_FN constexpr per_token(view<T, 1> v)
      : data(v.data),
        extent{v.extent[0], 0},
        is_contiguous(v.stride[0] == 1 || v.extent[0] <= 1),
        is_given(v.given()) {}
  HENCE_FN constexpr per_token(view<T, 2> v)
      : data(v.data),
        extent{v.extent[0], v.extent[1]},
        row_stride(v.stride[0]),
        is_padded(true),
        is_contiguous(v.stride[1] == 1 || v.extent[1] <= 1),
        is_given(v.given()) {}
  template <class C>
    requires std::constructible_from<view<T, 1>, C>
  [[gnu::always_inline]] constexpr per_token(C&& c) : per_token(view<T, 1>(c)) {}
  template <class C>
    requires(std::constructible_from<view<T, 2>, C> && !std::constructible_from<view<T, 1>, C>)
  [[gnu::always_inline]] constexpr per_token(C&& c) : per_token(view<T, 2>(c)) {}
  template <class U>
    requires(!std::same_as<U, T> && std::convertible_to<U (*)[], T (*)[]>)
  HENCE_FN constexpr per_token(const per_token<U>& o)
      : data(o.data),
        extent{o.extent[0], o.extent[1]},
        row_stride(o.row_stride),
        is_padded(o.is_padded),
        is_contiguous(o.is_contiguous),
        is_given(o.is_given) {}

  HENCE_FN constexpr bool present() const { return data != nullptr; }
};

/// What was counted; integers, so that counts of micro-batches and ranks add up in any order.
struct counts {
  std::int64_t rows = 0;            ///< all rows, empty ones included
  std::int64_t non_empty_rows = 0;  ///< rows with a live response token
  std::int64_t tokens = 0;          ///< live response tokens
  std::int64_t policy_tokens = 0;   ///< of these, with a policy term
  std::int64_t kl_tokens = 0;       ///< of these, with a KL term
  std::int64_t metric_tokens = 0;   ///< of these, in the metrics

  // written out, since an implicit one would be shared by differently compiled translation units
  HENCE_FN constexpr counts() {}
  HENCE_FN constexpr counts(std::int64_t all, std::int64_t non_empty, std::int64_t live,
                            std::int64_t policy, std::int64_t kl, std::int64_t metric)
      : rows(all),
        non_empty_rows(non_empty),
        tokens(live),
        policy_tokens(policy),
        kl_tokens(kl),
        metric_tokens(metric) {}

  HENCE_FN constexpr counts& operator+=(const counts& o) {
    rows += o.rows, non_empty_rows += o.non_empty_rows, tokens += o.tokens;
    policy_tokens += o.policy_tokens, kl_tokens += o.kl_tokens, metric_tokens += o.metric_tokens;
    return *this;
  }
  friend HENCE_FN constexpr counts operator+(counts a, const counts& b) { return a += b; }
  [[gnu::always_inline]] friend constexpr bool operator==(const counts& a, const counts& b) {
    return a.rows == b.rows && a.non_empty_rows == b.non_empty_rows && a.tokens == b.tokens &&
           a.policy_tokens == b.policy_tokens && a.kl_tokens == b.kl_tokens &&
           a.metric_tokens == b.metric_tokens;
  }
};

}  // namespace hence::inline v0
