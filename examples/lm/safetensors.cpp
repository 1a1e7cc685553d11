#include "safetensors.hpp"

#include "file_bytes.hpp"

#include <hence/core/storage.hpp>

#include <fcntl.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <new>

namespace lm {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

constexpr std::uint64_t longest_header = 100'000'000;  // as in the format's own library
constexpr std::string_view no_checksum = "0000000000000000";
constexpr std::string_view checksum_key = "\"checksum\":\"";

/// FNV-1a over the bytes of the header, then over the data's words of 32 bits. Each
/// step is one to one, so that no single change goes unseen.
std::string checksum(std::string_view header, std::span<const char> data) {
  std::uint64_t h = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t x) { h = (h ^ x) * 0x100000001b3u; };
  for (const char c : header) mix(static_cast<unsigned char>(c));
  for (std::size_t i = 0; i < data.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, data.data() + i, std::min<std::size_t>(4, data.size() - i));
    mix(word);
  }
  char text[24];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

/// Throws unless the header carries the checksum of the file. The digits themselves count as 0s.
void demand_checksum(std::string_view header, std::span<const char> data) {
  std::size_t at = header.find(checksum_key);
  if (at == header.npos || header.size() - at < checksum_key.size() + no_checksum.size())
    fail("has no checksum: it is corrupt or no checkpoint of hence");
  at += checksum_key.size();
  std::string blank(header);
  blank.replace(at, no_checksum.size(), no_checksum);
  if (checksum(blank, data) != header.substr(at, no_checksum.size()))
    fail("is corrupt: it does not have the checksum of its header");
}

enum class dtype : std::uint8_t { none, f32, f16, bf16 };

std::size_t bytes_of(dtype d) { return d == dtype::f32 ? 4 : 2; }

/// What the header says of a tensor.
struct entry {
  dtype type = dtype::none;
  bool has_shape = false, has_offsets = false;
  std::vector<std::int64_t> shape;
  std::vector<std::uint64_t> offsets;
};

/// Takes the header's grammar and nothing else, value by value, so that no tree of a hostile header
/// is built.
class header_reader : public nlohmann::json_sax<json> {
 public:
  std::map<std::string, entry> entries;
  std::map<std::string, std::string> metadata;
  std::string error;

  bool key(std::string& name) override {
    if (depth_ == 1) {
      is_metadata_ = name == "__metadata__";
      if (is_metadata_ ? std::exchange(had_metadata_, true) : entries.contains(name))
        return refuse("names " + printed(name) + " twice");
      name_ = name;
      if (!is_metadata_) current_ = &entries[name];
      return true;
    }
    field_ = name;
    if (is_metadata_)
      return !metadata.contains(name) || refuse("has the metadata " + printed(name) + " twice");
    const bool is_new = name == "dtype"          ? current_->type == dtype::none
                        : name == "shape"        ? !std::exchange(current_->has_shape, true)
                        : name == "data_offsets" ? !std::exchange(current_->has_offsets, true)
                                                 : false;
    return is_new || broken();
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && is_metadata_) {
      metadata[field_] = text;
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return broken();
    current_->type = text == "F32"    ? dtype::f32
                     : text == "F16"  ? dtype::f16
                     : text == "BF16" ? dtype::bf16
                                      : dtype::none;
    return current_->type != dtype::none ||
           refuse(printed(name_) + " is of dtype " + printed(text) + ", expected F32, F16 or BF16");
  }
  bool number_unsigned(std::uint64_t n) override {
    if (depth_ != 3) return broken();
    if (field_ == "data_offsets") {
      current_->offsets.push_back(n);
      return current_->offsets.size() <= 2 || broken();
    }
    if (n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return refuse(printed(name_) + " claims more elements than the file has");
    current_->shape.push_back(static_cast<std::int64_t>(n));
    return current_->shape.size() <= 8 || refuse(printed(name_) + " has more than 8 extents");
  }
  bool start_object(std::size_t) override {
    if (++depth_ > 2) return broken();
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && !is_metadata_)
      return (current_->type != dtype::none && current_->has_shape &&
              current_->offsets.size() == 2) ||
             broken();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || is_metadata_ || (field_ != "shape" && field_ != "data_offsets"))
      return broken();
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool null() override { return broken(); }
  bool boolean(bool) override { return broken(); }
  bool number_integer(std::int64_t) override { return broken(); }
  bool number_float(double, const std::string&) override { return broken(); }
  bool binary(json::binary_t&) override { return broken(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return refuse("has no JSON header: it is corrupt or no safetensors file");
  }

 private:
  bool refuse(std::string why) {
    error = std::move(why);
    return false;
  }
  bool broken() {
    return refuse(depth_ == 0    ? "has a header that is no object"
                  : is_metadata_ ? "has metadata that is no object of strings"
                                 : printed(name_) + " has a broken entry in the header");
  }

  int depth_ = 0;
  bool is_metadata_ = false, had_metadata_ = false;
  std::string name_, field_;
  entry* current_ = nullptr;
};

/// Elements of a tensor that lies at its place in `room` bytes of data.
std::size_t checked_size(const std::string& name, const entry& e, std::size_t room) {
  std::uint64_t elements = 1;
  for (const std::int64_t n : e.shape) {
    if (n > 0 && elements > room / static_cast<std::uint64_t>(n))
      fail(printed(name) + " claims more elements than the file has");
    elements *= static_cast<std::uint64_t>(n);
  }
  if (e.offsets[0] > e.offsets[1] || e.offsets[1] > room ||
      e.offsets[1] - e.offsets[0] != elements * bytes_of(e.type))
    fail(printed(name) + " lies outside the file: it is truncated or corrupt");
  return static_cast<std::size_t>(elements);
}

void widen(const char* from, dtype type, std::span<float> to) {
  if (type == dtype::f32) {
    if (!to.empty()) std::memcpy(to.data(), from, to.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = type == dtype::f16 ? static_cast<float>(__builtin_bit_cast(hence::f16, bits))
                               : static_cast<float>(__builtin_bit_cast(hence::bf16, bits));
  }
}

/// The header's length.
std::uint64_t take_length(byte_cursor& in) {
  const auto length = in.number<std::uint64_t>("the header's length");
  if (length > longest_header)
    fail("claims a header of " + std::to_string(length) +
         " bytes: it is truncated or no safetensors file");
  return length;
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
  if (file < 0) fail(beside + ": " + std::strerror(errno));
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
  fail(path + ": " + std::strerror(error) + "; what was there before is unchanged");
}

void write_tensors(const std::string& path, const tensor_file& file) {
  std::size_t room = 0;
  json header = json::object();
  for (const auto& [name, t] : file.tensors) {
    if (size_of(t.shape) != static_cast<std::int64_t>(t.data.size()))
      throw std::invalid_argument("the shape of " + name + " does not fit its elements");
    const std::size_t begin = room;
    room += t.data.size_bytes();
    header[name] = {{"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", {begin, room}}};
  }
  header["__metadata__"] = file.metadata;
  header["__metadata__"]["checksum"] = no_checksum;
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::vector<char> bytes(sizeof length + text.size() + room);
  char* to = bytes.data() + sizeof length + text.size();
  const std::span<const char> data(to, room);
  for (const auto& [name, t] : file.tensors) {
    if (t.data.empty()) continue;
    std::memcpy(to, t.data.data(), t.data.size_bytes());
    to += t.data.size_bytes();
  }
  const std::string sum = checksum(text, data);
  text.replace(text.find(checksum_key) + checksum_key.size(), sum.size(), sum);
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, text.data(), text.size());
  replace_file(path, bytes);
}

tensor_file parse_tensors(std::span<const char> bytes, written_by writer) {
  byte_cursor in(bytes);
  const std::uint64_t length = take_length(in);
  const auto part = in.take(length, "its header: it is truncated or no safetensors file");
  const std::string_view text(part.data(), part.size());
  if (!text.starts_with('{')) fail("has no JSON header: it is corrupt or no safetensors file");
  header_reader header;
  if (!json::sax_parse(text.begin(), text.end(), &header)) fail(header.error);
  const auto data = in.take(in.left(), "its data");
  if (writer == written_by::hence) demand_checksum(text, data);

  std::size_t elements = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
  for (const auto& [name, e] : header.entries) {
    if (writer == written_by::hence && e.type != dtype::f32)
      fail(printed(name) + " is not of dtype F32");
    elements += checked_size(name, e, data.size());
    parts.emplace_back(e.offsets[0], e.offsets[1]);
  }
  std::sort(parts.begin(), parts.end());
  std::uint64_t end = 0;
  for (const auto& [from, to] : parts) {
    if (from != end)
      fail(std::string("has a ") + (from > end ? "hole" : "overlap") + " in its data at byte " +
           std::to_string(std::min(from, end)));
    end = to;
  }
  if (end != data.size())
    fail("has " + std::to_string(data.size() - end) + " bytes behind its last tensor");

  tensor_file file;
  file.metadata = std::move(header.metadata);
  file.storage.resize(elements);
  std::span<float> room(file.storage);
  for (auto& [name, e] : header.entries) {
    const auto n = static_cast<std::size_t>(e.offsets[1] - e.offsets[0]) / bytes_of(e.type);
    widen(data.data() + e.offsets[0], e.type, room.first(n));
    file.tensors[name] = {std::move(e.shape), room.first(n)};
    room = room.subspan(n);
  }
  return file;
}

tensor_file read_tensors(const std::string& path, written_by writer) {
  const std::vector<char> bytes = read_file(path, [](std::span<const char> start) {
    byte_cursor in(start);
    take_length(in);
  });
  try {
    return parse_tensors(bytes, writer);
  } catch (const std::runtime_error& e) {
    fail(path + ": " + e.what());
  } catch (const std::bad_alloc&) {
    fail(path + ": there is no memory for what it holds");
  }
}

}  // namespace lm
