#include "state.hpp"

#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace ptx {

state& now() {
  static auto* s = new state;  // lives longer than every static object of the program
  return *s;
}

cudaError_t state::fault(cudaError_t e, const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "ptx: %s\n", what.c_str());
  ++faults_;
  return sticky = last = e;
}

kernel& state::kernel_of(host_function& f) {
  const auto found = f.from->kernels.find(f.name);
  if (found != f.from->kernels.end()) return found->second;
  for (const function& entry : f.from->text.entries)
    if (entry.name == f.name)
      return f.from->kernels[f.name] = decode(entry, f.from->text, f.from->globals);
  throw refusal("the program's PTX has no entry " + f.name);
}

void state::write_counts(const char* path) const {
  std::ofstream out(path);
  const auto say = [&](const char* what, const traffic& t) {
    out << ' ' << what << ' ' << t.requests << ' ' << t.touched << ' ' << t.units << ' ' << t.least;
  };
  for (const auto& [k, c] : counted) {
    std::uint64_t instructions = 0;
    for (const std::uint64_t n : c.visits) instructions += n;
    out << "kernel " << k->name << " launches " << c.launches << " instructions " << instructions;
    say("reads", c.reads), say("writes", c.writes), say("shared", c.shared);
    out << '\n';
    for (std::size_t i = 0; i < c.visits.size(); ++i)
      if (c.visits[i] != 0) out << "line " << k->code[i].line << ' ' << c.visits[i] << '\n';
  }
}

namespace {

/// A program whose kernels were at fault fails, whatever it thinks of itself.
struct at_exit {
  ~at_exit() {
    if (const char* path = std::getenv("HENCE_PTX_COUNTS")) now().write_counts(path);
    if (!now().has_faults()) return;
    std::fflush(nullptr);
    _exit(86);
  }
} judge;

}  // namespace
}  // namespace ptx
