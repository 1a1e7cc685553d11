#include "safetensors.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace lm {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what);
}

/// FNV-1a over words of 32 bits.
std::string checksum(std::span<const float> data) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const float x : data) h = (h ^ std::bit_cast<std::uint32_t>(x)) * 0x100000001b3u;
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

std::int64_t size_of(const std::vector<std::int64_t>& shape) {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

}  // namespace

void tensor_file::copy(const std::string& name, std::span<float> to) const {
  const auto it = tensors.find(name);
  if (it == tensors.end()) throw std::runtime_error("the checkpoint has no tensor " + name);
  if (it->second.data.size() != to.size())
    throw std::runtime_error("the checkpoint's " + name + " has " +
                             std::to_string(it->second.data.size()) + " elements, expected " +
                             std::to_string(to.size()));
  std::copy(it->second.data.begin(), it->second.data.end(), to.begin());
}

const std::string& tensor_file::text(const std::string& key) const {
  const auto it = metadata.find(key);
  if (it == metadata.end()) throw std::runtime_error("the checkpoint has no entry " + key);
  return it->second;
}

std::int64_t tensor_file::integer(const std::string& key) const {
  const std::string& s = text(key);
  char* end = nullptr;
  const long long n = std::strtoll(s.c_str(), &end, 10);
  if (s.empty() || *end != '\0')
    throw std::runtime_error("the checkpoint's " + key + " is " + s + ", expected an integer");
  return n;
}

void replace_file(const std::string& path, std::span<const char> bytes) {
  const std::string beside = path + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail(beside, std::strerror(errno));
  std::size_t done = 0;
  bool is_written = true;
  while (is_written && done < bytes.size()) {
    const ssize_t n = ::write(file, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    is_written = n > 0;
    if (is_written) done += static_cast<std::size_t>(n);
  }
  int error = is_written ? 0 : errno;
  if (::fsync(file) != 0 && error == 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(beside.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return;
  ::unlink(beside.c_str());
  fail(path, std::string(std::strerror(error)) + "; what was there before is unchanged");
}

void write_tensors(const std::string& path, const tensor_file& file) {
  std::vector<float> data;
  json header = json::object();
  for (const auto& [name, t] : file.tensors) {
    if (size_of(t.shape) != static_cast<std::int64_t>(t.data.size()))
      throw std::invalid_argument("the shape of " + name + " does not fit its elements");
    const std::size_t begin = data.size() * sizeof(float);
    data.insert(data.end(), t.data.begin(), t.data.end());
    header[name] = {{"dtype", "F32"},
                    {"shape", t.shape},
                    {"data_offsets", {begin, data.size() * sizeof(float)}}};
  }
  header["__metadata__"] = file.metadata;
  header["__metadata__"]["checksum"] = checksum(data);
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::vector<char> bytes(sizeof length + text.size() + data.size() * sizeof(float));
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, text.data(), text.size());
  if (!data.empty())
    std::memcpy(bytes.data() + sizeof length + text.size(), data.data(),
                data.size() * sizeof(float));
  replace_file(path, bytes);
}

tensor_file read_tensors(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "cannot be opened");
  std::vector<char> bytes;
  char block[1 << 16];
  while (in.read(block, sizeof block) || in.gcount() > 0)
    bytes.insert(bytes.end(), block, block + in.gcount());
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) fail(path, "is shorter than a safetensors header");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - sizeof length)
    fail(path, "ends within its header: it is truncated or no safetensors file");
  const char* const text = bytes.data() + sizeof length;
  const json header = json::parse(text, text + length, nullptr, false);
  if (!header.is_object()) fail(path, "has no JSON header: it is corrupt or no safetensors file");

  tensor_file file;
  const std::size_t room = bytes.size() - sizeof length - static_cast<std::size_t>(length);
  file.storage.resize(room / sizeof(float));
  if (!file.storage.empty())
    std::memcpy(file.storage.data(), text + length, file.storage.size() * sizeof(float));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) fail(path, "has metadata that is no object");
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) file.metadata[key] = value.get<std::string>();
      continue;
    }
    try {
      if (entry.at("dtype") != "F32") fail(path, name + " is not of dtype F32");
      tensor t{entry.at("shape").get<std::vector<std::int64_t>>(), {}};
      const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
      std::uint64_t elements = 1;
      for (const std::int64_t n : t.shape) {
        if (n < 0 || (n > 0 && elements > room / static_cast<std::uint64_t>(n)))
          fail(path, name + " claims more elements than the file has");
        elements *= static_cast<std::uint64_t>(n);
      }
      if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > room ||
          offsets[0] % sizeof(float) != 0 || offsets[1] - offsets[0] != elements * sizeof(float))
        fail(path, name + " lies outside the file: it is truncated or corrupt");
      t.data = std::span<const float>(file.storage)
                   .subspan(static_cast<std::size_t>(offsets[0]) / sizeof(float),
                            static_cast<std::size_t>(elements));
      file.tensors[name] = t;
    } catch (const json::exception&) {
      fail(path, name + " has a broken entry in the header");
    }
  }
  if (const auto it = file.metadata.find("checksum");
      it != file.metadata.end() && it->second != checksum(file.storage))
    fail(path, "is corrupt: its data do not have the checksum of its header");
  return file;
}

}  // namespace lm
