/// \file
/// What a run writes and reads: lines that grow, weights by name, and what it says of its build.
#pragma once

#include "json_text.hpp"

#include "lm/arena_file.hpp"

#include <hence/version.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

namespace demo {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

inline double seconds_since(clock::time_point t) {
  return std::chrono::duration<double>(clock::now() - t).count();
}

/// hence, compiler, instruction set, threads.
inline std::string build_text(int threads) {
  std::string s = "hence " + std::to_string(HENCE_VERSION / 10000) + "." +
                  std::to_string(HENCE_VERSION / 100 % 100) + "." +
                  std::to_string(HENCE_VERSION % 100);
#if defined(__clang__)
  s += ", clang " + std::to_string(__clang_major__);
#elif defined(__GNUC__)
  s += ", g++ " + std::to_string(__GNUC__);
#endif
#if defined(__AVX512F__)
  s += ", AVX-512";
#elif defined(__AVX2__)
  s += ", AVX2";
#endif
  return s + ", " + lm::gemm_name + ", " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

/// printf to a user who has not asked for quiet.
template <class... A> void say(bool is_quiet, const char* format, A... a) {
  if (is_quiet) return;
  if constexpr (sizeof...(A) == 0)
    std::fputs(format, stdout);
  else
    std::printf(format, a...);
  std::fflush(stdout);
}

inline void write_text(const fs::path& path, const std::string& text) {
  lm::replace_file(path, text);
}

/// The whole lines of a file of JSON; none if it is not there.
inline std::vector<json> read_lines(const fs::path& path) {
  std::vector<json> all;
  if (std::ifstream in(path); in)
    for (std::string line; std::getline(in, line) && !in.eof();)
      if (json j = json::parse(line, nullptr, false); j.is_object()) all.push_back(std::move(j));
  return all;
}

/// A file of lines that grows; what a killed run wrote after its checkpoint is cut off first.
class line_file {
 public:
  /// \param keep which of the lines that are there to keep: called with each that is whole.
  /// \param hint what a user does when the disk is full, for the error.
  template <class Keep>
  line_file(const fs::path& path, std::string hint, const Keep& keep)
      : path_(path), hint_(std::move(hint)) {
    std::string kept;
    for (const json& j : read_lines(path))
      if (keep(j)) kept += j.dump() + "\n";
    write_text(path, kept);
    file_ = std::fopen(path.c_str(), "ab");
    if (file_ == nullptr) throw std::runtime_error(path.string() + ": cannot be opened");
  }
  line_file(const line_file&) = delete;
  line_file& operator=(const line_file&) = delete;
  ~line_file() { std::fclose(file_); }
  void add(const json& j) {
    const std::string line = j.dump() + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() || std::fflush(file_) != 0)
      throw std::runtime_error(path_.string() + ": cannot be written (is the disk full?); " +
                               hint_);
  }

 private:
  fs::path path_;
  std::string hint_;
  std::FILE* file_ = nullptr;
};

/// The checkpoint that a run goes on from, and a line that there is none yet if there is none.
/// Throws if it is of a run with other settings. \param run_key what a run's numbers depend on, the
/// checkpoint's entry "run".
inline std::optional<lm::tensor_file> read_checkpoint(const fs::path& path,
                                                      const std::string& run_key, bool is_quiet) {
  if (!fs::exists(path)) {
    say(is_quiet, "resume     there is no checkpoint yet, the run begins\n");
    return {};
  }
  auto file = lm::read_tensors(path);
  if (file.text("run") != run_key)
    throw std::runtime_error(path.string() +
                             ": is of a run with other settings; give the same flags, or another "
                             "--out. It was made with " +
                             file.text("run"));
  return file;
}

/// Adds an array of the model's size to a file, a tensor per parameter. The file views the array.
inline void put(const lm::transformer<float>& model, lm::tensor_file& file,
                const std::string& prefix, const std::vector<float>& from) {
  lm::view_tensors(model.parameters().layout, file, prefix, from);
}
/// Reads what `put` wrote.
inline void take(const lm::transformer<float>& model, const lm::tensor_file& file,
                 const std::string& prefix, std::vector<float>& to) {
  to.resize(static_cast<std::size_t>(model.size()));
  lm::copy_tensors(file, model.parameters().layout, prefix, to);
}

}  // namespace demo
