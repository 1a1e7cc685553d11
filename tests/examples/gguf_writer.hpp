/// \file
/// Writes GGUF files for the tests, byte by byte after the specification, right or wrong.
#pragma once

#include "lm/gguf.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace gguf_writer {

/// Bytes that grow.
struct bytes {
  std::string s;
  template <class T> bytes& number(T x) {
    char raw[sizeof x];
    std::memcpy(raw, &x, sizeof x);
    s.append(raw, sizeof x);
    return *this;
  }
  bytes& text(const std::string& t) {
    number<std::uint64_t>(t.size());
    s += t;
    return *this;
  }
  bytes& pad(std::size_t alignment) {
    s.append((alignment - s.size() % alignment) % alignment, '\0');
    return *this;
  }
  operator std::span<const char>() const { return {s.data(), s.size()}; }
};

template <class T> void put_element(bytes& out, const T& x) {
  if constexpr (std::is_same_v<T, std::string>)
    out.text(x);
  else
    out.number(x);
}

/// The type's number and the value, as the file has them.
inline void put_value(bytes& out, const lm::gguf_value& value) {
  out.number<std::uint32_t>(static_cast<std::uint32_t>(value.index()));
  std::visit(
      [&](const auto& x) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(x)>, lm::gguf_array>) {
          out.number<std::uint32_t>(static_cast<std::uint32_t>(x.index()));
          std::visit(
              [&](const auto& list) {
                if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(list)>,
                                              std::monostate>) {
                  using T = typename std::remove_cvref_t<decltype(list)>::value_type;
                  out.number<std::uint64_t>(list.size());
                  for (std::size_t i = 0; i < list.size(); ++i) put_element(out, T(list[i]));
                }
              },
              x);
        } else {
          put_element(out, x);
        }
      },
      value);
}

/// A tensor to be written: its bytes are taken as they are.
struct tensor {
  std::string name;
  std::vector<std::int64_t> shape;  // [out, in]
  std::uint32_t type = 0;
  std::string data;
};

/// floats as F32 data.
inline std::string raw(const std::vector<float>& x) {
  return {reinterpret_cast<const char*>(x.data()), x.size() * sizeof(float)};
}

using entries = std::vector<std::pair<std::string, lm::gguf_value>>;

inline bytes file_of(const entries& metadata, const std::vector<tensor>& tensors,
                     std::size_t alignment = 32) {
  bytes out;
  out.s = "GGUF";
  out.number<std::uint32_t>(3).number<std::uint64_t>(tensors.size());
  out.number<std::uint64_t>(metadata.size());
  for (const auto& [key, value] : metadata) {
    out.text(key);
    put_value(out, value);
  }
  std::uint64_t offset = 0;
  for (const auto& t : tensors) {
    out.text(t.name).number<std::uint32_t>(static_cast<std::uint32_t>(t.shape.size()));
    for (std::size_t i = t.shape.size(); i-- > 0;)
      out.number<std::uint64_t>(static_cast<std::uint64_t>(t.shape[i]));
    out.number<std::uint32_t>(t.type).number<std::uint64_t>(offset);
    offset += (t.data.size() + alignment - 1) / alignment * alignment;
  }
  out.pad(alignment);
  for (const auto& t : tensors) {
    out.s += t.data;
    out.pad(alignment);
  }
  return out;
}

/// The file that says what `file` says.
inline bytes again(const lm::gguf_file& file) {
  std::vector<tensor> tensors;
  for (const auto& t : file.tensors)
    tensors.push_back({t.name, t.shape, static_cast<std::uint32_t>(t.type),
                       std::string(t.data.data(), t.data.size())});
  const auto* const alignment = file.find("general.alignment");
  return file_of(file.metadata, tensors,
                 alignment == nullptr ? 32 : std::get<std::uint32_t>(*alignment));
}

}  // namespace gguf_writer
