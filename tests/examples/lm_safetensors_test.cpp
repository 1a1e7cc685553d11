// Checkpoint files: what is written is read; what is broken is named, and loses nothing.
#include "lm/safetensors.hpp"

#include <doctest/doctest.h>

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

  // every truncation and a flipped bit anywhere in the data
  const std::string whole = bytes_of(path);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, n);
    CHECK(refusal(path).starts_with(path.string() + ": "));
  }
  for (std::size_t i = whole.size() - 28; i < whole.size(); ++i) {
    std::string other = whole;
    other[i] = static_cast<char>(other[i] ^ 4);
    std::ofstream(path, std::ios::binary) << other;
    CHECK(refusal(path).find("is corrupt") != std::string::npos);
  }
  CHECK(refusal(here.path / "none") == (here.path / "none").string() + ": cannot be opened");
}

TEST_CASE("a header that claims what is not there is refused") {
  const folder here;
  const fs::path path = here.path / "a.safetensors";
  for (const std::string header :
       {R"({"a":{"dtype":"F32","shape":[99999999999,99999999999],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,3]}})",
        R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}})", R"({"a":7})", R"({"a":{}})",
        R"([1])", R"({)"}) {
    CAPTURE(header);
    const std::uint64_t length = header.size();
    std::string bytes(8, ' ');
    std::memcpy(bytes.data(), &length, 8);
    std::ofstream(path, std::ios::binary) << bytes << header << std::string(4, '\0');
    CHECK(refusal(path).starts_with(path.string() + ": "));
  }
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
