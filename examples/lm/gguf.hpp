/// \file
/// GGUF files, version 3: metadata of typed values, then tensors, some of them quantised in blocks
/// of 32 numbers. Specification: docs/gguf.md of ggml; the blocks: its ggml-common.h.
///
/// The reader trusts nothing. Each count and size is compared with the bytes that are left before
/// anything is allocated; keys and tensors have distinct names; the tensors lie one behind the
/// other in their order without hole or overlap, and what pads them is 0. So every byte of an
/// accepted file means something, and one that was changed gives an error or what it now says.
#pragma once

#include "file_bytes.hpp"

#include <utility>
#include <variant>

namespace lm {

/// The index of each alternative is the number by which the file names it. None: arrays of arrays.
using gguf_array =
    std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
                 std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
                 std::vector<float>, std::vector<bool>, std::vector<std::string>, std::monostate,
                 std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>>;
using gguf_value = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                                std::uint32_t, std::int32_t, float, bool, std::string, gguf_array,
                                std::uint64_t, std::int64_t, double>;

/// How the elements of a tensor are stored; the numbers are the file's.
enum class gguf_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,  ///< 32 of 4 bits: f16 d, x = d (q - 8)
  q4_1 = 3,  ///< 32 of 4 bits: f16 d, f16 m, x = d q + m
  q8_0 = 8,  ///< 32 of 8 bits: f16 d, x = d q
  bf16 = 30,
};

/// A tensor of a file. `data` views the file's bytes.
struct gguf_tensor {
  std::string name;
  std::vector<std::int64_t> shape;  ///< a matrix is [out, in]: the reverse of the file's order
  gguf_type type = gguf_type::f32;
  std::span<const char> data;

  std::int64_t size() const;
  /// Its elements as floats, exactly but for one rounding in q4_1.
  /// \param to `[size()]`, else std::runtime_error.
  void copy(std::span<float> to) const;
};

/// What a file holds, in its order. It can be moved, not copied: tensors view its bytes.
struct gguf_file {
  std::vector<std::pair<std::string, gguf_value>> metadata;
  std::vector<gguf_tensor> tensors;
  std::vector<char> bytes;  ///< of a file that `read_gguf` read

  gguf_file() = default;
  gguf_file(gguf_file&&) = default;
  gguf_file& operator=(gguf_file&&) = default;

  /// Null if there is none.
  const gguf_value* find(std::string_view key) const;
  /// Throw std::runtime_error that names the key if it is missing or holds something else.
  const std::string& text(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  const std::vector<std::string>& texts(std::string_view key) const;
  const gguf_tensor& tensor(std::string_view name) const;
};

/// \param bytes must outlive the result. Throws std::runtime_error that says what is wrong.
gguf_file parse_gguf(std::span<const char> bytes);
/// Throws std::runtime_error that names the file and what is wrong.
gguf_file read_gguf(const std::string& path);

}  // namespace lm
