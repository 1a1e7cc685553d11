/// \file
/// One internal form of both batch layouts, its preconditions, and counting.
#pragma once

#include <hence/core/batch.hpp>

namespace hence::inline v0 {

namespace detail {

/// The masks of one row; null means "as response", and a null response means "all live".
struct row_masks {
  const std::uint8_t *response = nullptr, *policy = nullptr, *kl = nullptr, *metric = nullptr;
  HENCE_FN bool all_live() const { return !response && !policy && !kl && !metric; }
  HENCE_FN bool one_role() const { return !policy && !kl && !metric; }
  HENCE_FN bool live(std::int64_t t) const { return !response || response[t] != 0; }
  HENCE_FN bool policy_live(std::int64_t t) const { return !policy || policy[t] != 0; }
  HENCE_FN bool kl_live(std::int64_t t) const { return !kl || kl[t] != 0; }
  HENCE_FN bool metric_live(std::int64_t t) const { return !metric || metric[t] != 0; }
};

/// Rows of a ragged or padded batch. The ISA keeps translation units apart.
template <class Isa> struct basic_layout {
  offsets cu_seqlens{};
  std::int64_t rows = 0, width = 0;
  bool is_padded = false;
  std::int64_t total = -1;  // of a ragged batch whose cu_seqlens the host cannot read; else -1
  per_token<const std::uint8_t> response{}, policy{}, kl{}, metric{};

  basic_layout(const ragged& b)
      : cu_seqlens(b.cu_seqlens),
        rows(b.cu_seqlens.rows()),
        response(b.mask.response),
        policy(b.mask.policy),
        kl(b.mask.kl),
        metric(b.mask.metric) {}
  basic_layout(const padded& b)
      : rows(b.rows),
        width(b.width),
        is_padded(true),
        response(b.mask.response),
        policy(b.mask.policy),
        kl(b.mask.kl),
        metric(b.mask.metric) {}

  /// Tokens, dead ones included.
  HENCE_FN std::int64_t tokens() const {
    if (is_padded) return rows * width;
    return total >= 0 ? total : rows > 0 ? cu_seqlens[rows] : 0;
  }
  HENCE_FN std::int64_t length(std::int64_t row) const {
    return is_padded ? width : cu_seqlens[row + 1] - cu_seqlens[row];
  }
  template <class T> HENCE_FN T* row(const per_token<T>& a, std::int64_t i) const {
    return a.data == nullptr ? nullptr : a.data + (is_padded ? i * a.row_stride : cu_seqlens[i]);
  }
  /// The memory of the row boundaries, if the host reads them.
  HENCE_FN byte_range boundaries() const {
    return is_padded || total >= 0 ? byte_range{nullptr, 0} : cu_seqlens.bytes();
  }
  HENCE_FN row_masks masks_of(std::int64_t i) const {
    return {row(response, i), row(policy, i), row(kl, i), row(metric, i)};
  }

  /// The first row of chunk `c` of `chunks`, cut so that chunks hold about as many tokens.
  std::int64_t chunk_begin(std::int64_t c, std::int64_t chunks) const {
    if (c >= chunks) return rows;
    if (is_padded) return rows / chunks * c + rows % chunks * c / chunks;
    const std::int64_t target = tokens() / chunks * c + tokens() % chunks * c / chunks;
    std::int64_t low = 0, high = rows;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (cu_seqlens[middle] < target)
        low = middle + 1;
      else
        high = middle;
    }
    return c == 0 ? 0 : low;
  }
};
using layout = basic_layout<native_isa>;

/// A per_token's shape without its element type, so that its checks are compiled once.
struct token_shape {
  bool present;
  std::int64_t extent[2], row_stride;
  bool is_padded, is_contiguous;
};

/// Refuses an array whose shape is not the batch's.
inline void check_token_shape(const char* name, const token_shape& a, const layout& b) {
  if (!a.present) {
    if (b.tokens() > 0)
      refuse(message() << "hence: " << name << " is null, expected " << b.tokens() << " tokens");
    return;
  }
  if (a.is_padded != b.is_padded)
    refuse(
        message() << "hence: " << name
                  << (a.is_padded
                          ? " has shape [rows, width], the batch is ragged and expects [tokens]"
                          : " has shape [tokens], the batch is padded and expects [rows, width]"));
  if (!b.is_padded && a.extent[0] != b.tokens())
    refuse(
        message() << "hence: " << name << " has " << a.extent[0]
                  << (b.total < 0 ? " entries, cu_seqlens describes " : " entries, gradient has ")
                  << b.tokens() << " tokens");
  if (b.is_padded && (a.extent[0] != b.rows || a.extent[1] != b.width))
    refuse(message() << "hence: " << name << " has shape [" << a.extent[0] << ", " << a.extent[1]
                     << "], expected [" << b.rows << ", " << b.width << "]");
  if (!a.is_contiguous)
    refuse(message() << "hence: " << name
                     << " has a stride between tokens that is not 1, expected row-major [rows, "
                        "width] or contiguous [tokens]");
  if (b.is_padded && b.rows > 1 && a.row_stride < b.width)
    refuse(message() << "hence: " << name << " has row stride " << a.row_stride
                     << ", expected at least the width " << b.width);
  if (b.is_padded && b.rows > 1 && a.row_stride > INT64_MAX / 16 / b.rows)
    refuse(message() << "hence: " << name << " has row stride " << a.row_stride << ", which times "
                     << b.rows << " rows overflows");
}

template <class T>
[[gnu::always_inline]] inline void check_shape(const char* name, const per_token<T>& a,
                                               const layout& b) {
  check_token_shape(
      name, {a.present(), {a.extent[0], a.extent[1]}, a.row_stride, a.is_padded, a.is_contiguous},
      b);
}

/// A mask may be absent, but not be given without its bytes.
inline void check_mask(const char* name, const per_token<const std::uint8_t>& mask,
                       const layout& b) {
  if (mask.is_given) check_shape(name, mask, b);
}

/// Refuses row boundaries that do not start at 0 or that decrease.
template <class Isa = native_isa> void check_offsets(const char* name, const offsets& cu) {
  if (!cu.present() || cu.size() < 1)
    refuse(message() << "hence: " << name << " is empty, expected rows + 1 entries from 0");
  if (cu[0] != 0)
    refuse(message() << "hence: " << name << "[0] is " << cu[0]
                     << ", expected 0 (boundaries, not lengths)");
  for (std::int64_t i = 0; i + 1 < cu.size(); ++i)
    if (cu[i + 1] < cu[i])
      refuse(message() << "hence: " << name << "[" << i + 1 << "] is " << cu[i + 1]
                       << ", expected at least its predecessor " << cu[i]);
}

inline void check_layout(const layout& b) {
  if (b.is_padded) {
    if (b.rows < 0)
      refuse(message() << "hence: padded.rows is " << b.rows << ", expected 0 or more");
    if (b.width < 0)
      refuse(message() << "hence: padded.width is " << b.width << ", expected 0 or more");
    if (b.width > 0 && b.rows > INT64_MAX / 16 / b.width)
      refuse(message() << "hence: padded.rows x padded.width = " << b.rows << " x " << b.width
                       << " overflows");
  } else if (b.total < 0) {
    check_offsets("cu_seqlens", b.cu_seqlens);
  }
  check_mask("mask.response", b.response, b);
  check_mask("mask.policy", b.policy, b);
  check_mask("mask.kl", b.kl, b);
  check_mask("mask.metric", b.metric, b);
}

/// How many of n bytes are not 0, eight at a time.
HENCE_FN std::int64_t count_nonzero(const std::uint8_t* p, std::int64_t n) {
  std::int64_t total = 0, i = 0;
  for (; i + 8 <= n; i += 8) {
    std::uint64_t x;
    __builtin_memcpy(&x, p + i, 8);
    constexpr std::uint64_t low7 = 0x7f7f7f7f7f7f7f7full;
    total += __builtin_popcountll((((x & low7) + low7) | x) & ~low7);
  }
  for (; i < n; ++i) total += p[i] != 0;
  return total;
}

/// Counts rows [begin, end).
inline counts count_rows(const layout& b, std::int64_t begin, std::int64_t end) {
  counts c;
  for (std::int64_t i = begin; i < end; ++i) {
    const row_masks m = b.masks_of(i);
    const std::int64_t length = b.length(i);
    std::int64_t live = 0, policy = 0, kl = 0, metric = 0;
    if (m.all_live()) {
      live = policy = kl = metric = length;
    } else if (m.one_role()) {
      live = policy = kl = metric = count_nonzero(m.response, length);
    } else {
      for (std::int64_t t = 0; t < length; ++t) {
        const bool is_live = m.live(t);
        live += is_live;
        policy += is_live && m.policy_live(t);
        kl += is_live && m.kl_live(t);
        metric += is_live && m.metric_live(t);
      }
    }
    c += counts{1, live > 0, live, policy, kl, metric};
  }
  return c;
}

}  // namespace detail

/// The counts of a batch, per role; add those of micro-batches and ranks to get a window's.
template <class Isa = native_isa> counts count(const ragged& batch) {
  const detail::basic_layout<Isa> b = batch;
  detail::check_layout(b);
  return detail::count_rows(b, 0, b.rows);
}
template <class Isa = native_isa> counts count(const padded& batch) {
  const detail::basic_layout<Isa> b = batch;
  detail::check_layout(b);
  return detail::count_rows(b, 0, b.rows);
}

}  // namespace hence::inline v0
