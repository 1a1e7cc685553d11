/// \file
/// Rotary positions: the pair (x_i, x_{i + head/2}) turned by position / base^(2 i / head). Su et
/// al., arXiv:2104.09864 eq. 34, the pairs as Llama has them.
///
/// The table is made of additions, multiplications and divisions alone, so that its bits do not
/// depend on the C library.
#pragma once

#include "lanes.hpp"

#include <array>

namespace lm {

namespace detail {

using number = hence::num<double>;

/// e^x for |x| below 50: a series after halving.
inline number series_exp(number x) {
  const number y = x / number(1024.0);
  number sum = 1.0, term = 1.0;
  for (int k = 1; k < 12; ++k) term = term * y / number(static_cast<double>(k)), sum = sum + term;
  for (int k = 0; k < 10; ++k) sum = sum * sum;
  return sum;
}
/// The x with e^x = y, by Newton's steps.
inline number series_log(number y) {
  number x = 0.0;
  for (int k = 0; k < 64; ++k) {
    const number e = series_exp(x);
    x = x + number(2.0) * (y - e) / (y + e);
  }
  return x;
}
/// cos and sin of an angle in [0, 1].
inline std::array<number, 2> series_cos_sin(number a) {
  number c = 1.0, s = a, cos_term = 1.0, sin_term = a;
  for (int k = 1; k < 12; ++k) {
    const double n = 2 * k;
    cos_term = -(cos_term * a * a / number(n * (n - 1)));
    sin_term = -(sin_term * a * a / number(n * (n + 1)));
    c = c + cos_term, s = s + sin_term;
  }
  return {c, s};
}

}  // namespace detail

/// cos and sin for every position and pair.
template <class S> class rope {
 public:
  rope() = default;
  rope(std::int64_t head, std::int64_t longest, double base) : half_(head / 2) {
    using detail::number;
    table_.resize(static_cast<std::size_t>(longest * head));
    const number log_base = detail::series_log(base);
    for (std::int64_t i = 0; i < half_; ++i) {
      const number share = number(static_cast<double>(2 * i)) / number(static_cast<double>(head));
      const auto [c1, s1] = detail::series_cos_sin(detail::series_exp(-(share * log_base)));
      number c = 1.0, s = 0.0;
      for (std::int64_t p = 0; p < longest; ++p) {
        table_[static_cast<std::size_t>(p * head + i)] = static_cast<S>(c.v);
        table_[static_cast<std::size_t>(p * head + half_ + i)] = static_cast<S>(s.v);
        const number next = c * c1 - s * s1;
        s = s * c1 + c * s1, c = next;
      }
    }
  }

  /// Turns each of the heads in x in place. \param turn 1, or -1 for the gradient.
  void apply(S* x, std::int64_t heads, std::int64_t position, int turn) const {
    const S* c = table_.data() + position * 2 * half_;
    for (std::int64_t h = 0; h < heads; ++h, x += 2 * half_)
      for_lanes(half_, [&](std::int64_t i, std::int64_t n) {
        const auto cos = lanes<S>::load(c + i, n);
        auto sin = lanes<S>::load(c + half_ + i, n);
        if (turn < 0) sin = lanes<S>(S(0)) - sin;
        const auto a = lanes<S>::load(x + i, n), b = lanes<S>::load(x + half_ + i, n);
        (a * cos - b * sin).store(x + i, n);
        (b * cos + a * sin).store(x + half_ + i, n);
      });
  }

 private:
  std::int64_t half_ = 0;
  std::vector<S> table_;  // [longest, head]: cosines, then sines
};

}  // namespace lm
