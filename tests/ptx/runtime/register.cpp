// What nvcc's host code calls before main: it hands over the fat binaries and names the kernels.
#include "../emulator/fatbinary.hpp"
#include "../emulator/parse.hpp"
#include "state.hpp"

#include <fstream>
#include <iterator>

using ptx::now;

namespace {

struct wrapper {  // __fatBinC_Wrapper_t
  int magic, version;
  const void* data;
  void* file;
};

/// The PTX in the file HENCE_PTX_SOURCE, if its kernels are this module's: for mutants.
const std::string* substitute(std::string_view original) {
  static const std::string text = [] {
    const char* path = std::getenv("HENCE_PTX_SOURCE");
    std::ifstream file(path == nullptr ? "" : path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const auto first_entry = [](std::string_view t) {
    const std::size_t at = t.find(".entry ");
    return at == t.npos ? std::string_view() : t.substr(at, t.find('(', at) - at);
  };
  return !text.empty() && first_entry(text) == first_entry(original) ? &text : nullptr;
}

/// The PTX for HENCE_PTX_TARGET (sm_90a), else the first.
std::string_view chosen(const std::vector<std::string_view>& texts) {
  const char* wanted = std::getenv("HENCE_PTX_TARGET");
  if (wanted == nullptr) return texts.front();
  for (const std::string_view text : texts)
    if (text.find(".target " + std::string(wanted) + "\n") != text.npos) return text;
  throw ptx::refusal(std::string("the program has no PTX for ") + wanted);
}

void load(ptx::loaded_module& m, std::string_view text) {
  m.text = ptx::parse(text);
  const std::string& target = m.text.target;  // sm_90a
  const int number = std::atoi(target.c_str() + 3);
  now().major = number / 10, now().minor = number % 10;
  for (const ptx::variable& v : m.text.variables) {
    if (v.space == "shared") continue;
    ptx::allocation& a = now().memory.allocate(v.size == 0 ? 1 : v.size);
    std::fill(a.data.begin(), a.data.end(), std::byte{0});
    if (!v.initial.empty()) std::memcpy(a.data.data(), v.initial.data(), v.initial.size());
    std::fill(a.memory.written.begin(), a.memory.written.end(), std::uint8_t{1});
    a.name = v.name, a.read_only = v.space == "const";
    m.globals[v.name] = a.begin;
  }
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void* fat_binary) {
  ptx::loaded_module& m = now().modules.emplace_back();
  try {
    const auto texts = ptx::ptx_of(static_cast<wrapper*>(fat_binary)->data);
    if (!texts.empty()) {
      const std::string_view text = chosen(texts);
      const std::string* other = substitute(text);
      load(m, other == nullptr ? text : *other);
    }
  } catch (const std::exception& e) {
    now().fault(cudaErrorInvalidPtx, e.what());
  }
  return reinterpret_cast<void**>(&m);
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 0; }

void __cudaRegisterFunction(void** module, const char* host, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  now().functions[host] = {reinterpret_cast<ptx::loaded_module*>(module), name};
}

void __cudaRegisterVar(void** module, char* host, char*, const char* name, int, std::size_t size,
                       int, int) {
  const auto& globals = reinterpret_cast<ptx::loaded_module*>(module)->globals;
  const auto found = globals.find(std::string_view(name));
  if (found != globals.end()) now().variables[host] = {found->second, size};
}

}  // extern "C"
