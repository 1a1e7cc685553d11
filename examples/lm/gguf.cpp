#include "gguf.hpp"

#include <hence/core/storage.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <type_traits>
#include <unordered_set>

namespace lm {
namespace {

constexpr std::size_t longest_name = 1 << 16;  // the specification's, of a key
constexpr std::int64_t most_extents = 4;       // ggml's

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

std::string take_text(byte_cursor& in, const std::string& what) {
  const auto length = in.number<std::uint64_t>("the length of " + what);
  const auto part = in.take(length, what);
  return {part.data(), part.size()};
}
std::string take_name(byte_cursor& in, const std::string& what) {
  std::string name = take_text(in, what);
  if (name.empty() || name.size() > longest_name)
    fail("has " + what + " of " + std::to_string(name.size()) + " bytes, expected 1 to " +
         std::to_string(longest_name));
  return name;
}

template <class T> T take_scalar(byte_cursor& in, const std::string& what) {
  if constexpr (std::is_same_v<T, std::string>) {
    return take_text(in, what);
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto x = in.number<std::uint8_t>(what);
    if (x > 1) fail("has " + std::to_string(x) + " as a bool in " + what);
    return x == 1;
  } else {
    return in.number<T>(what);
  }
}

template <std::size_t I> gguf_array take_elements(byte_cursor& in, const std::string& what) {
  using list = std::variant_alternative_t<I, gguf_array>;
  if constexpr (std::is_same_v<list, std::monostate>) {
    fail("has an array of arrays in " + what);
  } else {
    using T = typename list::value_type;
    constexpr std::size_t least = std::is_same_v<T, std::string> ? 8 : sizeof(T);
    const std::size_t n =
        in.count(in.number<std::uint64_t>("the length of " + what), least, "elements in " + what);
    list elements;
    elements.reserve(n);
    for (std::size_t i = 0; i < n; ++i) elements.push_back(take_scalar<T>(in, what));
    return elements;
  }
}

/// Calls the reader of the variant's alternative that the file names.
template <std::size_t... I>
gguf_array take_array(byte_cursor& in, const std::string& what, std::index_sequence<I...>) {
  using reader = gguf_array (*)(byte_cursor&, const std::string&);
  constexpr std::array<reader, sizeof...(I)> readers{&take_elements<I>...};
  const auto type = in.number<std::uint32_t>("the type of " + what);
  if (type >= readers.size()) fail("has elements of type " + std::to_string(type) + " in " + what);
  return readers[type](in, what);
}

template <std::size_t I> gguf_value take_one(byte_cursor& in, const std::string& what) {
  using T = std::variant_alternative_t<I, gguf_value>;
  if constexpr (std::is_same_v<T, gguf_array>)
    return gguf_value(std::in_place_index<I>,
                      take_array(in, what, std::make_index_sequence<std::variant_size_v<T>>{}));
  else
    return gguf_value(std::in_place_index<I>, take_scalar<T>(in, what));
}
template <std::size_t... I>
gguf_value take_value(byte_cursor& in, const std::string& what, std::index_sequence<I...>) {
  using reader = gguf_value (*)(byte_cursor&, const std::string&);
  constexpr std::array<reader, sizeof...(I)> readers{&take_one<I>...};
  const auto type = in.number<std::uint32_t>("the type of " + what);
  if (type >= readers.size()) fail("has type " + std::to_string(type) + " for " + what);
  return readers[type](in, what);
}

/// Elements and bytes of a block.
struct block_size {
  std::int64_t elements, bytes;
};
block_size block_of(gguf_type type) {
  switch (type) {
    case gguf_type::f32:
      return {1, 4};
    case gguf_type::f16:
      return {1, 2};
    case gguf_type::bf16:
      return {1, 2};
    case gguf_type::q4_0:
      return {32, 18};
    case gguf_type::q4_1:
      return {32, 20};
    case gguf_type::q8_0:
      return {32, 34};
  }
  return {0, 0};
}

/// A tensor whose data will be found at `offset`. \param room bytes of the file, more than it has.
gguf_tensor take_tensor(byte_cursor& in, std::uint64_t room, std::uint64_t& offset,
                        std::uint64_t& bytes) {
  gguf_tensor t;
  t.name = take_name(in, "a tensor's name");
  const std::string name = "tensor " + printed(t.name);
  const auto extents = in.number<std::uint32_t>("the shape of " + name);
  if (extents < 1 || extents > most_extents)
    fail(name + " has " + std::to_string(extents) + " extents, expected 1 to " +
         std::to_string(most_extents));
  for (std::uint32_t i = 0; i < extents; ++i) {
    const auto n = in.number<std::uint64_t>("the shape of " + name);
    if (n < 1 || n > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      fail(name + " has an extent of " + std::to_string(n));
    t.shape.push_back(static_cast<std::int64_t>(n));
  }
  t.type = static_cast<gguf_type>(in.number<std::uint32_t>("the type of " + name));
  const auto block = block_of(t.type);
  if (block.elements == 0)
    fail(name + " has type " + std::to_string(static_cast<std::uint32_t>(t.type)) +
         ", expected one of F32 F16 BF16 Q8_0 Q4_0 Q4_1");
  if (t.shape[0] % block.elements != 0)
    fail(name + " has rows of " + std::to_string(t.shape[0]) +
         " elements, expected a multiple of " + std::to_string(block.elements));
  // in bytes, so that no product can wrap: each factor is compared with the room that is left
  bytes = static_cast<std::uint64_t>(block.bytes);
  for (std::size_t i = 0; i < t.shape.size(); ++i) {
    const auto n = static_cast<std::uint64_t>(i == 0 ? t.shape[0] / block.elements : t.shape[i]);
    if (n > room / bytes) fail(name + " claims more elements than the file has");
    bytes *= n;
  }
  std::reverse(t.shape.begin(), t.shape.end());
  offset = in.number<std::uint64_t>("the offset of " + name);
  return t;
}

float half(const char* p) {
  hence::f16 x;
  std::memcpy(&x.bits, p, sizeof x.bits);
  return x;
}
/// 4 bits each; the low halves come first.
int nibble(const char* p, int i) {
  const auto both = static_cast<unsigned char>(p[i % 16]);
  return i < 16 ? both & 15 : both >> 4;
}

}  // namespace

std::int64_t gguf_tensor::size() const {
  const auto block = block_of(type);
  return static_cast<std::int64_t>(data.size()) / block.bytes * block.elements;
}

void gguf_tensor::copy(std::span<float> to) const {
  if (static_cast<std::int64_t>(to.size()) != size())
    fail("tensor " + printed(name) + " has " + std::to_string(size()) + " elements, expected " +
         std::to_string(to.size()));
  const auto block = block_of(type);
  const char* p = data.data();
  for (std::size_t at = 0; at < to.size();
       at += static_cast<std::size_t>(block.elements), p += block.bytes) {
    float* const x = to.data() + at;
    switch (type) {
      case gguf_type::f32:
        std::memcpy(x, p, sizeof *x);
        break;
      case gguf_type::f16:
        *x = half(p);
        break;
      case gguf_type::bf16: {
        hence::bf16 b;
        std::memcpy(&b.bits, p, sizeof b.bits);
        *x = b;
        break;
      }
      // d q has at most 19 bits: the product is exact, fused or not
      case gguf_type::q8_0:
        for (int i = 0; i < 32; ++i)
          x[i] = half(p) * static_cast<float>(static_cast<signed char>(p[2 + i]));
        break;
      case gguf_type::q4_0:
        for (int i = 0; i < 32; ++i) x[i] = half(p) * static_cast<float>(nibble(p + 2, i) - 8);
        break;
      case gguf_type::q4_1:
        for (int i = 0; i < 32; ++i)
          x[i] = half(p) * static_cast<float>(nibble(p + 4, i)) + half(p + 2);
        break;
    }
  }
}

const gguf_value* gguf_file::find(std::string_view key) const {
  for (const auto& [name, value] : metadata)
    if (name == key) return &value;
  return nullptr;
}

namespace {

const gguf_value& need(const gguf_file& file, std::string_view key) {
  const gguf_value* const value = file.find(key);
  if (value == nullptr) fail("the GGUF file has no " + std::string(key));
  return *value;
}
[[noreturn]] void wrong(std::string_view key, const char* expected) {
  fail("the GGUF file's " + std::string(key) + " is not " + expected);
}

}  // namespace

const std::string& gguf_file::text(std::string_view key) const {
  const auto* const s = std::get_if<std::string>(&need(*this, key));
  if (s == nullptr) wrong(key, "a text");
  return *s;
}

std::int64_t gguf_file::integer(std::string_view key) const {
  return std::visit(
      [&](const auto& x) -> std::int64_t {
        using T = std::remove_cvref_t<decltype(x)>;
        if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
          if (std::in_range<std::int64_t>(x)) return static_cast<std::int64_t>(x);
        }
        wrong(key, "an integer below 2^63");
      },
      need(*this, key));
}

double gguf_file::real(std::string_view key) const {
  const gguf_value& value = need(*this, key);
  if (const auto* const f = std::get_if<float>(&value)) return static_cast<double>(*f);
  if (const auto* const d = std::get_if<double>(&value)) return *d;
  wrong(key, "a float");
}

const std::vector<std::string>& gguf_file::texts(std::string_view key) const {
  const auto* const array = std::get_if<gguf_array>(&need(*this, key));
  const auto* const list =
      array == nullptr ? nullptr : std::get_if<std::vector<std::string>>(array);
  if (list == nullptr) wrong(key, "an array of texts");
  return *list;
}

const gguf_tensor& gguf_file::tensor(std::string_view name) const {
  for (const auto& t : tensors)
    if (t.name == name) return t;
  fail("the GGUF file has no tensor " + std::string(name));
}

namespace {

void take_start(byte_cursor& in) {
  const auto magic = in.take(4, "the magic number");
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) fail("is no GGUF file");
  const auto version = in.number<std::uint32_t>("the version");
  if (version != 3) fail("is GGUF of version " + std::to_string(version) + ", expected 3");
}

}  // namespace

gguf_file parse_gguf(std::span<const char> bytes) {
  byte_cursor in(bytes);
  gguf_file file;
  take_start(in);
  // a tensor takes 33 bytes of the header or more, an entry 14
  const auto tensors = in.count(in.number<std::uint64_t>("the count of tensors"), 33, "tensors");
  const auto entries = in.count(in.number<std::uint64_t>("the count of entries"), 14, "entries");

  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < entries; ++i) {
    std::string key = take_name(in, "a key");
    if (!names.insert(key).second) fail("has the key " + printed(key) + " twice");
    auto value =
        take_value(in, printed(key), std::make_index_sequence<std::variant_size_v<gguf_value>>{});
    file.metadata.emplace_back(std::move(key), std::move(value));
  }
  std::uint64_t alignment = 32;
  if (const gguf_value* const value = file.find("general.alignment")) {
    const auto* const n = std::get_if<std::uint32_t>(value);
    if (n == nullptr || *n < 8 || *n > 65536 || !std::has_single_bit(*n))
      fail("has a general.alignment that is not a uint32, a power of two from 8 to 65536");
    alignment = *n;
  }

  names.clear();
  std::vector<std::uint64_t> sizes;
  std::uint64_t expected = 0;  // below twice the file's size: each tensor fits by itself
  for (std::size_t i = 0; i < tensors; ++i) {
    std::uint64_t offset = 0, size = 0;
    gguf_tensor t = take_tensor(in, bytes.size(), offset, size);
    if (!names.insert(t.name).second) fail("has the tensor " + printed(t.name) + " twice");
    if (offset != expected)
      fail("tensor " + printed(t.name) + " begins at " + std::to_string(offset) + ", expected " +
           std::to_string(expected) + ": tensors follow each other without hole or overlap");
    expected += (size + alignment - 1) / alignment * alignment;
    if (expected > bytes.size()) fail("ends within tensor " + printed(t.name));
    sizes.push_back(size);
    file.tensors.push_back(std::move(t));
  }
  in.pad(alignment, "the padding of the header");
  for (std::size_t i = 0; i < tensors; ++i) {
    file.tensors[i].data = in.take(sizes[i], "tensor " + printed(file.tensors[i].name));
    in.pad(alignment, "the padding of tensor " + printed(file.tensors[i].name));
  }
  if (in.left() != 0) fail("has " + std::to_string(in.left()) + " bytes behind its last tensor");
  return file;
}

gguf_file read_gguf(const std::string& path) {
  std::vector<char> bytes = read_file(path, [](std::span<const char> start) {
    byte_cursor in(start);
    take_start(in);
  });
  try {
    gguf_file file = parse_gguf(bytes);
    file.bytes = std::move(bytes);  // the elements stay where they are
    return file;
  } catch (const std::runtime_error& e) {
    throw std::runtime_error(path + ": " + e.what());
  } catch (const std::bad_alloc&) {
    throw std::runtime_error(path + ": there is no memory for what it holds");
  }
}

}  // namespace lm
