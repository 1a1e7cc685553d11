// GGUF files: every type is read as the specification has it; a file that is cut, changed or lies
// about its sizes is refused, or read as what it says now.
#include "lm/gguf.hpp"

#include "gguf_writer.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

using gguf_writer::bytes;
using gguf_writer::file_of;
using gguf_writer::raw;

/// "" if the file is read.
std::string refusal(std::span<const char> file) {
  try {
    lm::parse_gguf(file);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

template <class T> lm::gguf_value list(std::vector<T> x) { return lm::gguf_array(std::move(x)); }

/// One of everything.
bytes sample() {
  const gguf_writer::entries metadata{
      {"general.architecture", std::string("llama")},
      {"general.alignment", std::uint32_t{16}},
      {"a.u8", std::uint8_t{200}},
      {"a.i8", std::int8_t{-3}},
      {"a.u16", std::uint16_t{60000}},
      {"a.i16", std::int16_t{-300}},
      {"a.i32", std::int32_t{-70000}},
      {"a.f32", 0.25f},
      {"a.bool", true},
      {"a.u64", std::uint64_t{1} << 63},
      {"a.i64", std::int64_t{-5}},
      {"a.f64", -1e300},
      {"b.texts", list<std::string>({"x", "", "yz"})},
      {"b.numbers", list<std::int32_t>({1, -2})},
      {"b.bools", list<bool>({true, false})},
      {"b.floats", list<float>({1.5f})},
      {"b.none", list<double>({})},
  };
  return file_of(metadata,
                 {{"one", {3}, 0, raw({1, -2, 0.5f})},
                  {"two", {2, 32}, 8, std::string(68, '\1')},
                  {"three", {1, 2, 2}, 30, std::string(8, '\2')}},
                 16);
}

/// d of a block as f16, for numbers that f16 holds exactly: 2^e.
std::string half_power(int e) {
  const auto bits = static_cast<std::uint16_t>((e + 15) << 10);
  return {reinterpret_cast<const char*>(&bits), 2};
}

}  // namespace

TEST_CASE("what the specification describes is read") {
  const auto file = sample();
  const auto read = lm::parse_gguf(file);
  CHECK(read.text("general.architecture") == "llama");
  CHECK(read.integer("a.u8") == 200);
  CHECK(read.integer("a.i8") == -3);
  CHECK(read.integer("a.u16") == 60000);
  CHECK(read.integer("a.i16") == -300);
  CHECK(read.integer("a.i32") == -70000);
  CHECK(read.integer("a.i64") == -5);
  CHECK(read.real("a.f32") == 0.25);
  CHECK(read.real("a.f64") == -1e300);
  CHECK(std::get<bool>(*read.find("a.bool")));
  CHECK(read.texts("b.texts") == std::vector<std::string>{"x", "", "yz"});
  CHECK(read.find("nothing") == nullptr);
  CHECK_THROWS_WITH(read.integer("a.u64"), "the GGUF file's a.u64 is not an integer below 2^63");
  CHECK_THROWS_WITH(read.integer("a.bool"), "the GGUF file's a.bool is not an integer below 2^63");
  CHECK_THROWS_WITH(read.integer("nothing"), "the GGUF file has no nothing");
  CHECK_THROWS_WITH(read.text("a.u8"), "the GGUF file's a.u8 is not a text");
  CHECK_THROWS_WITH(read.real("a.u8"), "the GGUF file's a.u8 is not a float");
  CHECK_THROWS_WITH(read.texts("b.numbers"), "the GGUF file's b.numbers is not an array of texts");
  CHECK_THROWS_WITH(read.tensor("x"), "the GGUF file has no tensor x");
  CHECK(read.tensor("two").shape == std::vector<std::int64_t>{2, 32});
  CHECK(read.tensor("three").shape == std::vector<std::int64_t>{1, 2, 2});
  std::vector<float> one(3), two(2);
  read.tensor("one").copy(one);
  CHECK(one == std::vector<float>{1, -2, 0.5f});
  CHECK_THROWS_WITH(read.tensor("one").copy(two), "tensor \"one\" has 3 elements, expected 2");
  CHECK(gguf_writer::again(read).s == file.s);
}

TEST_CASE("each type of element is its formula") {
  std::string nibbles, signed_bytes;
  for (int i = 0; i < 16; ++i) nibbles += static_cast<char>(i | (15 - i) << 4);
  for (int i = 0; i < 32; ++i) signed_bytes += static_cast<char>(i * 8 - 128);
  std::string f16, bf16;  // 1, -2, the smallest subnormal, 65504
  for (const int b : {0x3c00, 0xc000, 0x0001, 0x7bff}) {
    f16 += static_cast<char>(b & 255);
    f16 += static_cast<char>(b >> 8);
  }
  for (const int b : {0x3f80, 0xc000}) {  // 1, -2
    bf16 += static_cast<char>(b & 255);
    bf16 += static_cast<char>(b >> 8);
  }
  const auto file = file_of({}, {{"q8", {32}, 8, half_power(-3) + signed_bytes},
                                 {"q40", {32}, 2, half_power(2) + nibbles},
                                 {"q41",
                                  {2, 32},
                                  3,
                                  half_power(-1) + half_power(4) + nibbles + half_power(1) +
                                      half_power(-2) + std::string(16, '\x5a')},
                                 {"f16", {4}, 1, f16},
                                 {"bf16", {2}, 30, bf16}});
  const auto read = lm::parse_gguf(file);
  std::vector<float> x(32), y(64), h(4), b(2);
  read.tensor("q8").copy(x);
  for (int i = 0; i < 32; ++i) CHECK(x[static_cast<std::size_t>(i)] == std::ldexp(i * 8 - 128, -3));
  read.tensor("q40").copy(x);
  for (int i = 0; i < 16; ++i) {
    CHECK(x[static_cast<std::size_t>(i)] == 4 * (i - 8));
    CHECK(x[static_cast<std::size_t>(i + 16)] == 4 * (15 - i - 8));
  }
  read.tensor("q41").copy(y);
  for (int i = 0; i < 16; ++i) {
    CHECK(y[static_cast<std::size_t>(i)] == 0.5 * i + 16);
    CHECK(y[static_cast<std::size_t>(i + 16)] == 0.5 * (15 - i) + 16);
    CHECK(y[static_cast<std::size_t>(i + 32)] == 2 * 10 + 0.25);
    CHECK(y[static_cast<std::size_t>(i + 48)] == 2 * 5 + 0.25);
  }
  read.tensor("f16").copy(h);
  CHECK(h == std::vector<float>{1, -2, 0x1p-24f, 65504});
  read.tensor("bf16").copy(b);
  CHECK(b == std::vector<float>{1, -2});
}

TEST_CASE("a file of every shorter or longer length is refused") {
  const auto file = sample();
  for (std::size_t n = 0; n < file.s.size(); ++n) {
    CAPTURE(n);
    CHECK(refusal(std::span(file.s).first(n)) != "");
  }
  for (const std::size_t more : {1u, 15u, 16u, 4096u})
    CHECK(refusal(bytes{file.s + std::string(more, '\0')}).find("bytes behind its last tensor") !=
          std::string::npos);
}

TEST_CASE("a changed file is refused or read as what it says") {
  const auto file = sample();
  std::size_t refused = 0, read = 0;
  for (std::size_t i = 0; i < 8 * file.s.size(); ++i) {
    bytes other = file;
    other.s[i / 8] = static_cast<char>(other.s[i / 8] ^ 1 << i % 8);
    if (refusal(other) != "") {
      ++refused;
      continue;
    }
    CHECK(gguf_writer::again(lm::parse_gguf(other)).s == other.s);
    ++read;
  }
  CHECK(refused > 2000);
  CHECK(read > 1000);
}

TEST_CASE("counts and sizes that the file cannot hold are refused") {
  struct trial {
    const char* said;
    bytes file;
  };
  const auto begin = [](std::uint64_t tensors, std::uint64_t entries) {
    bytes b;
    b.s = "GGUF";
    return b.number<std::uint32_t>(3).number(tensors).number(entries);
  };
  constexpr std::uint64_t huge = ~std::uint64_t{0};
  std::vector<trial> trials{
      {"is no GGUF file", bytes{"GGML" + std::string(100, '\0')}},
      {"is GGUF of version 2", bytes{"GGUF"}.number<std::uint32_t>(2)},
      {"is GGUF of version 50331648", bytes{"GGUF"}.number<std::uint32_t>(3 << 24)},
      {"claims 18446744073709551615 tensors", begin(huge, 0)},
      {"claims 18446744073709551615 entries", begin(0, huge)},
      {"claims 2 entries", begin(0, 2).pad(32).number<std::uint64_t>(0)},
      {"a key of 0 bytes", begin(0, 1).text("").pad(64)},
      {"a key of 65537 bytes", begin(0, 1).text(std::string(65537, 'k')).pad(64)},
      {"ends within a key", begin(0, 1).number(huge).pad(64)},
      {"has type 13 for \"k\"", begin(0, 1).text("k").number<std::uint32_t>(13).pad(64)},
      {"has 2 as a bool", begin(0, 1).text("k").number<std::uint32_t>(7).number<char>(2).pad(64)},
      {"ends within \"k\"", begin(0, 1).text("k").number<std::uint32_t>(8).number(huge).pad(64)},
      {"an array of arrays", begin(0, 1)
                                 .text("k")
                                 .number<std::uint32_t>(9)
                                 .number<std::uint32_t>(9)
                                 .number<std::uint64_t>(0)
                                 .pad(64)},
      {"has elements of type 99",
       begin(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(99).pad(64)},
  };
  // 2^61 texts of 8 bytes and 2^62 floats of 4 wrap to 0 bytes
  for (const auto& [type, n] :
       {std::pair{8u, std::uint64_t{1} << 61}, {6u, std::uint64_t{1} << 62}, {0u, huge}})
    trials.push_back(
        {"elements in \"k\"",
         begin(0, 1).text("k").number<std::uint32_t>(9).number<std::uint32_t>(type).number(n).pad(
             64)});
  const auto tensor = [&](std::vector<std::uint64_t> extents, std::uint32_t type,
                          std::uint64_t offset) {
    bytes b =
        begin(1, 0).text("t").number<std::uint32_t>(static_cast<std::uint32_t>(extents.size()));
    for (const auto n : extents) b.number(n);
    return b.number(type).number(offset).pad(32).number(std::uint64_t{0}).pad(32);
  };
  CHECK(refusal(tensor({2}, 0, 0)) == "");
  CHECK(refusal(tensor({2, 1, 1, 1}, 0, 0)) == "");
  for (const auto& [said, file] : {
           trial{"has 0 extents", tensor({}, 0, 0)},
           trial{"has 5 extents", tensor({1, 1, 1, 1, 1}, 0, 0)},
           trial{"has an extent of 0", tensor({2, 0}, 0, 0)},
           trial{"has an extent of 18446744073709551615", tensor({huge}, 0, 0)},
           trial{"more elements than the file has", tensor({1ull << 62, 4}, 0, 0)},
           trial{"more elements than the file has", tensor({1ull << 62}, 0, 0)},
           trial{"more elements than the file has", tensor({64, 64}, 0, 0)},
           trial{"more elements than the file has",
                 tensor({1ull << 16, 1ull << 16, 1ull << 16, 1ull << 16}, 0, 0)},
           trial{"more elements than the file has", tensor({(1ull << 42) + 1, 1ull << 22}, 0, 0)},
           trial{"more elements than the file has", tensor({1ull << 62, 32}, 8, 0)},
           trial{"ends within tensor \"t\"", tensor({9}, 0, 0)},
           trial{"expected a multiple of 32", tensor({31}, 8, 0)},
           trial{"has type 4, expected one of", tensor({2}, 4, 0)},
           trial{"begins at 32, expected 0", tensor({2}, 0, 32)},
           trial{"begins at 18446744073709551584", tensor({2}, 0, huge - 31)},
       })
    trials.push_back({said, file});
  for (const std::uint32_t alignment : {0u, 4u, 24u, 1u << 17, 1u << 31})
    trials.push_back({"has a general.alignment", file_of({{"general.alignment", alignment}}, {})});
  trials.push_back(
      {"has a general.alignment", file_of({{"general.alignment", std::uint64_t{32}}}, {})});
  trials.push_back({"has the key \"k\" twice", file_of({{"k", true}, {"k", 1.0f}}, {})});
  trials.push_back({"has the tensor \"t\" twice",
                    file_of({}, {{"t", {1}, 0, raw({1})}, {"t", {1}, 0, raw({1})}})});
  for (const auto& t : trials) {
    CAPTURE(t.said);
    CHECK(refusal(t.file).find(t.said) != std::string::npos);
  }
}

TEST_CASE("overlaps and holes between tensors are refused") {
  const auto file =
      file_of({}, {{"a", {8}, 0, std::string(32, '\0')}, {"b", {8}, 0, std::string(32, '\0')}});
  CHECK(refusal(file) == "");
  // the last number of the header is b's offset
  const std::size_t at = file.s.find('b') + 1 + 4 + 8 + 4;
  REQUIRE(file.s[at] == 32);
  for (const char offset : {'\0', '\x10', '\x1f', '\x40'}) {
    bytes other = file;
    other.s[at] = offset;
    CHECK(refusal(other).find("tensor \"b\" begins at") == 0);
  }
}

TEST_CASE("a file on disk is named") {
  std::string folder = (std::filesystem::temp_directory_path() / "hence_XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/a.gguf";
  std::ofstream(path, std::ios::binary) << sample().s;
  const auto file = lm::read_gguf(path);
  std::vector<float> one(3);
  file.tensor("one").copy(one);
  CHECK(one == std::vector<float>{1, -2, 0.5f});
  std::ofstream(path, std::ios::binary) << "GG";
  CHECK_THROWS_WITH(lm::read_gguf(path),
                    (path + ": ends within the magic number: 4 bytes claimed, 2 left").c_str());
  // No memory is taken for what is no GGUF file, however long it is.
  std::filesystem::resize_file(path, std::uintmax_t{1} << 36);
  CHECK_THROWS_WITH(lm::read_gguf(path), (path + ": is no GGUF file").c_str());
  CHECK_THROWS_WITH(lm::read_gguf(folder), (folder + ": is not a regular file").c_str());
  CHECK_THROWS_WITH(lm::read_gguf("/dev/zero"), "/dev/zero: is not a regular file");
  CHECK_THROWS_WITH(lm::read_gguf(folder + "/none"),
                    (folder + "/none: cannot be opened: No such file or directory").c_str());
  std::filesystem::remove_all(folder);
}
