/// \file
/// Reader and writer of safetensors files: 8 bytes little-endian header length, a JSON header (name
/// -> dtype, shape, data_offsets), then the data. Nothing that a file says is believed unchecked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace conformance {

enum class dtype : std::uint8_t { f64, f32, f16, bf16, i64, i32, u8 };

/// "F64", "F32", ...
const char* name_of(dtype type);

/// A dense array. The bytes are little-endian, row-major and not aligned; they belong to the file
/// that was read, or to `storage`.
struct tensor {
  dtype type = dtype::u8;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::shared_ptr<const std::vector<std::byte>> storage;

  std::int64_t size() const;

  /// The elements as T, only where that is exact: F16 and BF16 as float, any float as double, I32
  /// and U8 as int64. Throws std::invalid_argument otherwise.
  /// \tparam T float, double, std::int64_t, std::int32_t or std::uint8_t.
  template <class T> std::vector<T> as() const;
};

/// A tensor that owns a copy of the values. \tparam T as in `tensor::as`.
template <class T>
tensor make_tensor(std::vector<std::int64_t> shape, const std::vector<T>& values);

/// The tensors of one file. A tensor whose entry is broken spoils itself alone.
class tensor_file {
 public:
  tensor_file() = default;
  /// Takes the bytes of a whole file. Throws std::invalid_argument if its header can't be read.
  explicit tensor_file(std::vector<std::byte> bytes);

  /// Null if there is no such tensor. Throws std::invalid_argument if its entry is broken.
  const tensor* find(const std::string& name) const;
  /// An entry of `__metadata__`, or an empty string.
  std::string metadata(const std::string& key) const;
  /// Names of the tensors whose entries are sound.
  const std::map<std::string, tensor>& tensors() const { return tensors_; }

 private:
  std::shared_ptr<const std::vector<std::byte>> bytes_;
  std::map<std::string, tensor> tensors_;
  std::map<std::string, std::string> broken_;  // name -> what is wrong
  std::map<std::string, std::string> metadata_;
};

/// The bytes of a safetensors file with these tensors.
std::vector<std::byte> serialize(const std::map<std::string, tensor>& tensors);

/// Throws std::runtime_error if the file can't be read or written.
std::vector<std::byte> read_bytes(const std::string& path);
void write_bytes(const std::string& path, std::span<const std::byte> bytes);

}  // namespace conformance
