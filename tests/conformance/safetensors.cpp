#include "safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace conformance {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

struct dtype_info {
  dtype type;
  const char* name;
  std::int64_t bytes;
};
constexpr dtype_info dtypes[] = {{dtype::f64, "F64", 8}, {dtype::f32, "F32", 4},
                                 {dtype::f16, "F16", 2}, {dtype::bf16, "BF16", 2},
                                 {dtype::i64, "I64", 8}, {dtype::i32, "I32", 4},
                                 {dtype::u8, "U8", 1}};

const dtype_info& info_of(dtype type) {
  for (const dtype_info& d : dtypes)
    if (d.type == type) return d;
  throw std::invalid_argument("no such dtype");
}

const dtype_info& info_of(const std::string& name) {
  for (const dtype_info& d : dtypes)
    if (d.name == name) return d;
  throw std::invalid_argument("dtype " + name + " is not one of F64 F32 F16 BF16 I64 I32 U8");
}

float widen_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float widen_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31u,
                      rest = bits & 1023u;
  if (exponent == 0) {  // zero or subnormal: rest x 2^-24
    const float magnitude = static_cast<float>(rest) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
  return std::bit_cast<float>(sign | wide << 23 | rest << 13);
}

template <class From> From element(const tensor& t, std::size_t i) {
  From x;
  std::memcpy(&x, t.bytes.data() + i * sizeof(From), sizeof(From));
  return x;
}

template <class T, class From, class Convert> std::vector<T> convert(const tensor& t, Convert to) {
  std::vector<T> out(static_cast<std::size_t>(t.size()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(to(element<From>(t, i)));
  return out;
}
template <class T, class From> std::vector<T> convert(const tensor& t) {
  return convert<T, From>(t, [](From x) { return x; });
}

template <class T>
constexpr dtype dtype_of = std::is_same_v<T, double>         ? dtype::f64
                           : std::is_same_v<T, float>        ? dtype::f32
                           : std::is_same_v<T, std::int64_t> ? dtype::i64
                           : std::is_same_v<T, std::int32_t> ? dtype::i32
                                                             : dtype::u8;

std::int64_t integer(const json& x, const char* what) {
  if (x.is_number_unsigned() && x.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max())
    return x.get<std::int64_t>();
  throw std::invalid_argument(std::string(what) + " holds " +
                              x.dump(-1, ' ', false, json::error_handler_t::replace) +
                              ", expected an integer from 0");
}

const json& member(const json& entry, const char* key) {
  const auto it = entry.find(key);
  if (it == entry.end()) throw std::invalid_argument(std::string("the entry has no ") + key);
  return *it;
}

/// One header entry, checked against the size of the data.
tensor read_entry(const json& entry, std::span<const std::byte> data) {
  if (!entry.is_object()) throw std::invalid_argument("the entry is not an object");
  const json &type = member(entry, "dtype"), &shape = member(entry, "shape"),
             &offsets = member(entry, "data_offsets");
  if (!type.is_string()) throw std::invalid_argument("dtype is not a string");
  if (!shape.is_array() || shape.size() > 8)
    throw std::invalid_argument("shape is not an array of at most 8 extents");
  if (!offsets.is_array() || offsets.size() != 2)
    throw std::invalid_argument("data_offsets is not a pair");
  const dtype_info& d = info_of(type.get<std::string>());
  tensor t{.type = d.type, .shape = {}, .bytes = {}, .storage = nullptr};
  // No extent may pass this bound, those beside a 0 included: it can't hold a loop for ages.
  const auto size = static_cast<std::int64_t>(data.size());
  const std::int64_t bound = std::max<std::int64_t>(size, 1 << 20);
  std::int64_t elements = 1;
  for (const json& n : shape) {
    const std::int64_t extent = integer(n, "shape");
    if (extent > bound) throw std::invalid_argument("shape has an extent beyond the file's size");
    if (extent > 0 && elements > std::numeric_limits<std::int64_t>::max() / 8 / extent)
      throw std::invalid_argument("shape overflows");
    elements *= extent;
    t.shape.push_back(extent);
  }
  const std::int64_t begin = integer(offsets[0], "data_offsets");
  const std::int64_t end = integer(offsets[1], "data_offsets");
  if (begin > end || end > size) throw std::invalid_argument("data_offsets lie outside the file");
  if (end - begin != elements * d.bytes)
    throw std::invalid_argument("data_offsets hold " + std::to_string(end - begin) +
                                " bytes, dtype and shape need " +
                                std::to_string(elements * d.bytes));
  t.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  return t;
}

}  // namespace

const char* name_of(dtype type) { return info_of(type).name; }

std::int64_t tensor::size() const {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

template <class T> std::vector<T> tensor::as() const {
  if (type == dtype_of<T>) return convert<T, T>(*this);
  if constexpr (std::is_floating_point_v<T>) {
    if (type == dtype::f16) return convert<T, std::uint16_t>(*this, widen_f16);
    if (type == dtype::bf16) return convert<T, std::uint16_t>(*this, widen_bf16);
    if (std::is_same_v<T, double> && type == dtype::f32) return convert<T, float>(*this);
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    if (type == dtype::i32) return convert<T, std::int32_t>(*this);
    if (type == dtype::u8) return convert<T, std::uint8_t>(*this);
  }
  throw std::invalid_argument(std::string("dtype is ") + name_of(type) + ", expected " +
                              name_of(dtype_of<T>));
}

template <class T>
tensor make_tensor(std::vector<std::int64_t> shape, const std::vector<T>& values) {
  const std::span<const std::byte> raw = std::as_bytes(std::span<const T>(values));
  auto storage = std::make_shared<const std::vector<std::byte>>(raw.begin(), raw.end());
  tensor t{.type = dtype_of<T>, .shape = std::move(shape), .bytes = *storage, .storage = storage};
  if (t.size() != static_cast<std::int64_t>(values.size()))
    throw std::invalid_argument("an output's shape does not fit its values");
  return t;
}

template std::vector<double> tensor::as() const;
template std::vector<float> tensor::as() const;
template std::vector<std::int64_t> tensor::as() const;
template std::vector<std::int32_t> tensor::as() const;
template std::vector<std::uint8_t> tensor::as() const;
template tensor make_tensor(std::vector<std::int64_t>, const std::vector<double>&);
template tensor make_tensor(std::vector<std::int64_t>, const std::vector<float>&);
template tensor make_tensor(std::vector<std::int64_t>, const std::vector<std::int64_t>&);
template tensor make_tensor(std::vector<std::int64_t>, const std::vector<std::int32_t>&);
template tensor make_tensor(std::vector<std::int64_t>, const std::vector<std::uint8_t>&);

tensor_file::tensor_file(std::vector<std::byte> bytes)
    : bytes_(std::make_shared<const std::vector<std::byte>>(std::move(bytes))) {
  const std::span<const std::byte> all = *bytes_;
  std::uint64_t length = 0;
  if (all.size() < sizeof length)
    throw std::invalid_argument("the file is shorter than its header's length");
  std::memcpy(&length, all.data(), sizeof length);
  const auto rest = all.subspan(sizeof length);
  if (length > rest.size())
    throw std::invalid_argument("the header has " + std::to_string(length) + " bytes, the file " +
                                std::to_string(rest.size()) + " after its length");
  const auto header_bytes = rest.first(static_cast<std::size_t>(length));
  const auto* text = reinterpret_cast<const char*>(header_bytes.data());
  const json header = json::parse(text, text + header_bytes.size(), nullptr, false);
  if (!header.is_object()) throw std::invalid_argument("the header is not a JSON object");
  const auto data = rest.subspan(static_cast<std::size_t>(length));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) throw std::invalid_argument("__metadata__ is not an object");
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) metadata_[key] = value.get<std::string>();
      continue;
    }
    try {
      tensors_[name] = read_entry(entry, data);
    } catch (const std::invalid_argument& e) {
      broken_[name] = e.what();
    }
  }
}

const tensor* tensor_file::find(const std::string& name) const {
  if (const auto it = broken_.find(name); it != broken_.end())
    throw std::invalid_argument("tensor " + name + ": " + it->second);
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

std::string tensor_file::metadata(const std::string& key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? "" : it->second;
}

std::vector<std::byte> serialize(const std::map<std::string, tensor>& tensors) {
  json header = json::object();
  std::size_t offset = 0;
  for (const auto& [name, t] : tensors) {
    const std::size_t end = offset + t.bytes.size();
    header[name] = {
        {"dtype", name_of(t.type)}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::vector<std::byte> out(sizeof length + text.size() + offset);
  std::memcpy(out.data(), &length, sizeof length);
  std::memcpy(out.data() + sizeof length, text.data(), text.size());
  std::size_t at = sizeof length + text.size();
  for (const auto& [name, t] : tensors) {
    if (!t.bytes.empty()) std::memcpy(out.data() + at, t.bytes.data(), t.bytes.size());
    at += t.bytes.size();
  }
  return out;
}

std::vector<std::byte> read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> chars;
  char block[1 << 16];
  while (in.read(block, sizeof block) || in.gcount() > 0)
    chars.insert(chars.end(), block, block + in.gcount());
  if (!in.eof()) throw std::runtime_error("can't read " + path);
  const auto raw = std::as_bytes(std::span<const char>(chars));
  return {raw.begin(), raw.end()};
}

void write_bytes(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error("can't write " + path);
}

}  // namespace conformance
