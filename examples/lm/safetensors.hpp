/// \file
/// Checkpoints as safetensors files: 8 bytes with the header's length, a JSON header (name ->
/// dtype, shape, data_offsets), then the data. Written beside the old file and renamed over it, so
/// that a kill or a full disk loses nothing; read with every claim checked: no name twice, the
/// tensors cover the data without hole or overlap, no size is believed before it is compared with
/// the file's.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lm {

/// One tensor of a file, as fp32. To be written: `data` views the caller's array.
struct tensor {
  std::vector<std::int64_t> shape;
  std::span<const float> data;
};

/// What a file holds.
struct tensor_file {
  std::map<std::string, tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<float> storage;  ///< of a file that was read

  /// Copies a tensor's elements. Throws std::runtime_error if it is missing or of another size.
  void copy(const std::string& name, std::span<float> to) const;
  /// Throws std::runtime_error if there is no such entry.
  const std::string& text(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
};

/// Whose files are read.
enum class written_by : std::uint8_t {
  hence,    ///< F32 and a checksum of the whole file: one changed bit anywhere is refused
  anybody,  ///< F32, F16 or BF16; a checksum is not asked for
};

/// Throws std::runtime_error that names the file and what is wrong, and leaves the old file as it
/// was. The metadata gets a checksum of the whole file.
void write_tensors(const std::string& path, const tensor_file& file);
/// Throws std::runtime_error that names the file and what is wrong.
tensor_file read_tensors(const std::string& path, written_by writer = written_by::hence);
/// The same of a file's bytes.
tensor_file parse_tensors(std::span<const char> bytes, written_by writer);

/// Replaces a file by these bytes, whole or not at all. Throws as `write_tensors`.
void replace_file(const std::string& path, std::span<const char> bytes);

}  // namespace lm
