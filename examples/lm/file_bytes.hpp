/// \file
/// The bytes of a file that may be hostile: read whole, and taken from the front with every length
/// compared with what is left before anything is allocated.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lm {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

/// A name from a file as it may be printed: in quotes, short, without control characters.
inline std::string printed(std::string_view name) {
  std::string s = "\"";
  for (const char c : name.substr(0, 64)) s += c >= ' ' && c <= '~' ? c : '?';
  return s + (name.size() > 64 ? "...\"" : "\"");
}

/// A regular file, whole. Throws std::runtime_error that names the file.
/// \param check is given the first 64 bytes, or fewer if there are no more, before memory is taken
/// for the file; what std::runtime_error it throws is thrown with the file's name.
std::vector<char> read_file(const std::string& path, void (*check)(std::span<const char> start));

/// Takes bytes from the front. All throw std::runtime_error that says what is missing.
class byte_cursor {
 public:
  explicit byte_cursor(std::span<const char> bytes) : bytes_(bytes) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

  /// The next n bytes. \param what they are, for the error.
  std::span<const char> take(std::uint64_t n, const std::string& what) {
    if (n > left())
      throw std::runtime_error("ends within " + what + ": " + std::to_string(n) +
                               " bytes claimed, " + std::to_string(left()) + " left");
    const auto part = bytes_.subspan(at_, static_cast<std::size_t>(n));
    at_ += part.size();
    return part;
  }
  template <class T> T number(const std::string& what) {
    T x;
    std::memcpy(&x, take(sizeof x, what).data(), sizeof x);
    return x;
  }
  /// A count of things of which each takes at least so many bytes, so that the rest can hold them.
  std::size_t count(std::uint64_t n, std::size_t least_bytes, const std::string& what) const {
    if (n > left() / least_bytes)
      throw std::runtime_error("claims " + std::to_string(n) + " " + what + ", more than its " +
                               std::to_string(left()) + " bytes left can hold");
    return static_cast<std::size_t>(n);
  }
  /// Zeros up to a multiple of `alignment` of the whole.
  void pad(std::uint64_t alignment, const std::string& what) {
    for (const char c : take((alignment - at_ % alignment) % alignment, what))
      if (c != 0) throw std::runtime_error("has a byte that is not 0 in " + what);
  }

 private:
  std::span<const char> bytes_;
  std::size_t at_ = 0;
};

}  // namespace lm
