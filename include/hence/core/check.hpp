/// \file
/// Preconditions (refused before anything is written) and status bits (data-dependent conditions
/// that a block reports and survives).
#pragma once

#include <hence/core/isa.hpp>

#include <cstdint>  // int64_t, uint32_t
#include <cstdlib>  // abort
#if defined(__cpp_exceptions)
// <stdexcept> means <string>: two thirds of the lines that hence/policy.hpp would bring. libstdc++
// has a function in its library that throws; who catches std::invalid_argument includes the header.
#  if defined(__GLIBCXX__) && __has_include(<bits/functexcept.h>)
#    include <bits/functexcept.h>
#  else
#    include <stdexcept>  // invalid_argument
#  endif
#endif

namespace hence::inline v0 {

/// Conditions found in the data while a block ran; a bit set. None of them is undefined behaviour
/// and none spoils the output of other rows.
enum class status : std::uint32_t {
  ok = 0,
  empty = 1,  ///< the batch has no live token (or no group): loss, gradient and metrics are 0
  non_finite =
      2,  ///< a live input or term is NaN or infinite: its loss is NaN or infinite, its group NaN
  singleton = 4,  ///< a group of one was met where the policy is `advantage::singleton_error`
  malformed = 8,  ///< row boundaries on a device decrease or leave the arrays (those rows are
                  ///< skipped); given ids of experts are none or repeated
  label = 16,     ///< a label is out of range (its log-prob is NaN) or masked out (it is -infinity)
};
HENCE_FN constexpr status operator|(status a, status b) {
  return static_cast<status>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
HENCE_FN constexpr status& operator|=(status& a, status b) { return a = a | b; }
/// Whether `s` has any of the bits of `bits`.
HENCE_FN constexpr bool has(status s, status bits) {
  return (static_cast<std::uint32_t>(s) & static_cast<std::uint32_t>(bits)) != 0;
}

/// Called with the message instead of throwing when exceptions are off. It must not return; the
/// default aborts. Replace it before the first call.
using refusal_handler = void (*)(const char* message);
/// The handler; null is the default.
inline refusal_handler on_refusal = nullptr;

namespace detail {

/// A message built without allocation: "hence: advantages has 7 entries, cu_seqlens describes 8".
/// Cold code, kept out of line; the ISA keeps translation units apart.
template <class Isa> class basic_message {
 public:
  [[gnu::cold, gnu::noinline]] basic_message& operator<<(const char* text) {
    while (*text != '\0' && size_ + 1 < capacity) text_[size_++] = *text++;
    text_[size_] = '\0';
    return *this;
  }
  [[gnu::cold, gnu::noinline]] basic_message& operator<<(std::int64_t n) {
    char digits[24];
    int k = 0;
    auto rest = n < 0 ? 0 - static_cast<std::uint64_t>(n) : static_cast<std::uint64_t>(n);
    do digits[k++] = static_cast<char>('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (n < 0) digits[k++] = '-';
    char text[26];
    int size = 0;
    while (k > 0) text[size++] = digits[--k];
    text[size] = '\0';
    return *this << text;
  }
  /// Enough digits for a bound or a temperature: 6 decimals, or 6 behind the first and an exponent.
  [[gnu::cold, gnu::noinline]] basic_message& operator<<(double x) {
    if (x != x) return *this << "nan";
    if (x < 0) return *this << "-" << -x;
    if (x > 1.797e308) return *this << "inf";
    if (x != 0 && (x < 1e-4 || x > 9e15)) {
      std::int64_t exponent = 0;
      for (; x >= 10; x /= 10) ++exponent;
      for (; x < 1; x *= 10) --exponent;
      if (x >= 9.9999995) x = 1, ++exponent;
      return *this << x << "e" << exponent;
    }
    auto whole = static_cast<std::int64_t>(x);
    auto rest =
        static_cast<std::int64_t>((x - static_cast<double>(whole)) * 1e6 + 0.5);  // millionths
    if (rest == 1000000) ++whole, rest = 0;
    *this << whole;
    if (rest == 0) return *this;
    char text[8] = ".000000";
    for (int i = 6; i > 0; --i, rest /= 10) text[i] = static_cast<char>('0' + rest % 10);
    for (int i = 6; i > 0 && text[i] == '0'; --i) text[i] = '\0';
    return *this << text;
  }
  const char* text() const { return text_; }

 private:
  static constexpr int capacity = 320;
  char text_[capacity] = "";
  int size_ = 0;
};
using message = basic_message<native_isa>;

// The argument keeps translation units with and without exceptions apart.
#if defined(__cpp_exceptions)
constexpr bool exceptions_enabled = true;
#else
constexpr bool exceptions_enabled = false;
#endif

template <bool Exceptions = exceptions_enabled>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(const message& m) {
#if defined(__cpp_exceptions)
  if constexpr (Exceptions) {
#  if defined(__GLIBCXX__) && __has_include(<bits/functexcept.h>)
    std::__throw_invalid_argument(m.text());
#  else
    throw std::invalid_argument(m.text());
#  endif
  }
#endif
  if (on_refusal != nullptr) on_refusal(m.text());
  std::abort();
}

/// Refuses an array to be written whose entries are all one; one that is read may have stride 0.
template <class Isa = native_isa>
void check_stride(const char* name, std::int64_t stride, std::int64_t entries) {
  if (entries > 1 && stride == 0)
    refuse(message() << "hence: " << name << " has stride 0, expected another: its " << entries
                     << " entries are one");
}

/// The bytes from an array's first element to its last.
struct byte_range {
  const void* first;
  std::int64_t bytes;
};
/// Whether they share a byte.
HENCE_FN bool overlap(byte_range a, byte_range b) {
  const auto x = reinterpret_cast<std::uintptr_t>(a.first),
             y = reinterpret_cast<std::uintptr_t>(b.first);
  return a.bytes > 0 && b.bytes > 0 && x < y + static_cast<std::uintptr_t>(b.bytes) &&
         y < x + static_cast<std::uintptr_t>(a.bytes);
}

}  // namespace detail

}  // namespace hence::inline v0
