// Checkpoint files: what is written is read; what is broken is named, and loses nothing.
#include "lm/safetensors.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace {

namespace fs = std::filesystem;

/// A folder that goes away with the test.
struct folder {
  fs::path path;
  folder() {
    std::string name = (fs::temp_directory_path() / "hence_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder");
    path = name;
  }
  ~folder() { fs::remove_all(path); }
};

std::string bytes_of(const fs::path& p) {
  std::ifstream in(p, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The bytes of a file: length, header, data.
std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, ' ');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

/// "" if the file is read.
std::string refusal(const std::string& bytes, lm::written_by writer) {
  try {
    lm::parse_tensors(bytes, writer);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

std::string refusal(const fs::path& p) {
  try {
    lm::read_tensors(p);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("what is written is read, and what is broken is refused") {
  const folder here;
  const fs::path path = here.path / "a.safetensors";
  const std::vector<float> a{1, 2, 3, 4, 5, 6}, b{-0.5f};
  lm::tensor_file file;
  file.tensors["layer.a"] = {{2, 3}, a};
  file.tensors["b"] = {{1}, b};
  file.metadata["step"] = "17";
  lm::write_tensors(path, file);

  const auto read = lm::read_tensors(path);
  std::vector<float> to(6);
  read.copy("layer.a", to);
  CHECK(to == a);
  CHECK(read.tensors.at("layer.a").shape == std::vector<std::int64_t>{2, 3});
  CHECK(read.integer("step") == 17);
  CHECK_THROWS_WITH(read.copy("c", to), "the checkpoint has no tensor c");
  CHECK_THROWS_WITH(read.copy("b", to), "the checkpoint's b has 1 elements, expected 6");
  CHECK_THROWS_WITH(read.text("nothing"), "the checkpoint has no entry nothing");

  // every length that is not the file's, and every bit of it
  const std::string whole = bytes_of(path);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, n);
    CHECK(refusal(path).starts_with(path.string() + ": "));
  }
  CHECK(refusal(whole + std::string(4, '\0'), lm::written_by::hence) != "");
  for (std::size_t i = 0; i < 8 * whole.size(); ++i) {
    std::string other = whole;
    other[i / 8] = static_cast<char>(other[i / 8] ^ 1 << i % 8);
    CAPTURE(i);
    CHECK(refusal(other, lm::written_by::hence) != "");
  }
  // No memory is taken for what has no such header, however long it is.
  std::ofstream(path, std::ios::binary) << "this is no checkpoint";
  std::filesystem::resize_file(path, std::uintmax_t{1} << 36);
  CHECK(refusal(path).starts_with(path.string() + ": claims a header of "));
  CHECK(refusal(here.path / "none") ==
        (here.path / "none").string() + ": cannot be opened: No such file or directory");
}

TEST_CASE("other programs' files: F32, F16 and BF16 in any order, without a checksum") {
  const std::string header =
      R"( "__metadata__": {"format":"pt"}, "b":{"shape":[2],"data_offsets":[16,20],"dtype":"F16"},)"
      R"("none":{"dtype":"F32","shape":[3,0],"data_offsets":[16,16]},)"
      R"("a":{"dtype":"BF16","shape":[2,1],"data_offsets":[20,24]},)"
      R"("c":{"dtype":"F32","shape":[1,2,2],"data_offsets":[0,16]}} )";
  const std::vector<float> c{1, -0.5f, 3e30f, 0};
  std::string data(reinterpret_cast<const char*>(c.data()), 16);
  data += std::string("\x00\x3c\x01\x00", 4) + std::string("\x80\x3f\x00\xc0", 4);
  const std::string file = file_of("{" + header, data);
  const auto read = lm::parse_tensors(file, lm::written_by::anybody);
  const auto elements = [&](const char* name) {
    const auto part = read.tensors.at(name).data;
    return std::vector<float>(part.begin(), part.end());
  };
  CHECK(elements("a") == std::vector<float>{1, -2});
  CHECK(elements("b") == std::vector<float>{1, 0x1p-24f});
  CHECK(elements("c") == c);
  CHECK(elements("none").empty());
  CHECK(read.tensors.at("c").shape == std::vector<std::int64_t>{1, 2, 2});
  CHECK(read.text("format") == "pt");
  CHECK(refusal(file, lm::written_by::hence) ==
        "has no checksum: it is corrupt or no checkpoint of hence");

  // cut anywhere: refused. A changed bit: refused, or what another reader of JSON makes of it
  for (std::size_t n = 0; n < file.size(); ++n)
    CHECK(refusal(file.substr(0, n), lm::written_by::anybody) != "");
  std::size_t as_it_says = 0;
  for (std::size_t i = 0; i < 8 * (file.size() - data.size()); ++i) {
    std::string other = file;
    other[i / 8] = static_cast<char>(other[i / 8] ^ 1 << i % 8);
    if (refusal(other, lm::written_by::anybody) != "") continue;
    ++as_it_says;
    const auto changed = lm::parse_tensors(other, lm::written_by::anybody);
    std::uint64_t length = 0;
    std::memcpy(&length, other.data(), 8);
    const auto tree = nlohmann::json::parse(other.substr(8, static_cast<std::size_t>(length)));
    CHECK(tree.size() == changed.tensors.size() + (tree.contains("__metadata__") ? 1 : 0));
    std::uint64_t bytes = 0;
    for (const auto& [name, t] : changed.tensors) {
      CHECK(tree.at(name).at("shape") == t.shape);
      CHECK(tree.at(name).size() == 3);
      const std::uint64_t begin = tree.at(name).at("data_offsets").at(0),
                          end = tree.at(name).at("data_offsets").at(1);
      CHECK(end - begin == t.data.size() * (tree.at(name).at("dtype") == "F32" ? 4 : 2));
      bytes += end - begin;
    }
    CHECK(bytes == data.size());
  }
  CHECK(as_it_says > 20);
}

TEST_CASE("a header that claims what is not there is refused") {
  struct trial {
    const char *header, *said;
  };
  for (const auto& t : {
           trial{R"({"a":{"dtype":"F32","shape":[99999999999,99999999999],"data_offsets":[0,4]}})",
                 "claims more elements"},
           trial{R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})",
                 "claims more elements"},
           trial{R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
                 "claims more elements"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "outside the file"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}})", "outside the file"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "outside the file"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551612,0]}})",
                 "outside the file"},
           trial{R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})", "hole in its data"},
           trial{R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", "2 bytes behind"},
           trial{R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
                 R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                 "overlap in its data"},
           trial{R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},)"
                 R"("a":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})",
                 "names \"a\" twice"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"shape":[1]}})",
                 "broken entry"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})",
                 "broken entry"},
           trial{R"({"__metadata__":{"x":"1","x":"2"}})", "has the metadata \"x\" twice"},
           trial{R"({"__metadata__":{},"__metadata__":{}})", "names \"__metadata__\" twice"},
           trial{R"({"__metadata__":{"x":1}})", "no object of strings"},
           trial{R"({"__metadata__":7})", "no object of strings"},
           trial{R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "broken entry"},
           trial{R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", "broken entry"},
           trial{R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", "broken entry"},
           trial{R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", "broken entry"},
           trial{R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
                 "more than 8 extents"},
           trial{R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}})",
                 "is of dtype \"F64\""},
           trial{R"({"a":7})", "broken entry"},
           trial{R"({"a":{}})", "broken entry"},
           trial{R"([1])", "has no JSON header"},
           trial{R"({)", "has no JSON header"},
           trial{"{\"\xff\":1}", "has no JSON header"},
       }) {
    CAPTURE(t.header);
    for (const auto writer : {lm::written_by::anybody, lm::written_by::hence})
      CHECK(refusal(file_of(t.header, std::string(4, '\0')), writer) != "");
    CHECK(refusal(file_of(t.header, std::string(4, '\0')), lm::written_by::anybody).find(t.said) !=
          std::string::npos);
  }
  std::string huge(8, '\xff');
  CHECK(refusal(huge + "{}", lm::written_by::anybody).starts_with("claims a header of"));
  const std::string deep(100000, '[');
  CHECK(refusal(file_of("{\"a\":" + deep, ""), lm::written_by::anybody).find("broken entry") !=
        std::string::npos);
}

TEST_CASE("a file that cannot be written leaves the old one") {
  const folder here;
  const fs::path path = here.path / "a";
  lm::replace_file(path, std::string("old"));
  fs::create_directory(here.path / "a.new");  // in the way
  CHECK_THROWS_AS(lm::replace_file(path, std::string("new")), std::runtime_error);
  CHECK(bytes_of(path) == "old");
  CHECK_THROWS_AS(lm::replace_file("/dev/full/a", std::string("x")), std::runtime_error);
}
