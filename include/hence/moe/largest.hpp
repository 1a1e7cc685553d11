/// \file
/// The n largest of many numbers, ties to the first: a threshold found bit by bit, without sorting
/// and without memory.
#pragma once

#include <hence/core/config.hpp>

#include <cstdint>
#include <type_traits>

namespace hence::inline v0::detail {

/// A number's place in the order, as an unsigned number; -0 = +0, a NaN is below all.
template <class S> HENCE_FN auto order_key(S x) {
  using U = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
  constexpr U sign = U{1} << (8 * sizeof(U) - 1);
  if (x != x) return U{0};
  const U bits = __builtin_bit_cast(U, x == S(0) ? S(0) : x);
  return static_cast<U>((bits & sign) != 0 ? ~bits : bits | sign);
}

/// Asked for key after key in order, says which are among the n largest of all of them.
template <class S> class keep_largest {
 public:
  using key_type = decltype(order_key(S(0)));
  /// \param key the key of i < count, as `order_key` gives it.
  template <class Key> HENCE_FN keep_largest(std::int64_t count, std::int64_t n, Key key) {
    if (n >= count) {  // all, without a search
      equal_ = count;
      return;
    }
    if (n <= 0) {  // none
      least_ = static_cast<key_type>(-1);
      return;
    }
    for (key_type bit = key_type{1} << (8 * sizeof(key_type) - 1); bit != 0; bit >>= 1) {
      const auto trial = static_cast<key_type>(least_ | bit);
      std::int64_t reach = 0;
      for (std::int64_t i = 0; i < count; ++i) reach += key(i) >= trial;
      if (reach >= n) least_ = trial;
    }
    equal_ = n;
    for (std::int64_t i = 0; i < count; ++i) equal_ -= key(i) > least_;
  }
  HENCE_FN bool operator()(key_type mine) {
    return mine > least_ || (mine == least_ && equal_-- > 0);
  }

 private:
  key_type least_ = 0;      ///< the n-th largest key
  std::int64_t equal_ = 0;  ///< how many of its equals are still to be kept
};

}  // namespace hence::inline v0::detail
