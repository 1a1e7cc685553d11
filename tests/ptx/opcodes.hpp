// One instruction at a time: operands in, results out, through the parser and the executor.
#pragma once

#include "emulator/decode.hpp"
#include "emulator/finding.hpp"
#include "emulator/grid.hpp"
#include "emulator/parse.hpp"

#include <functional>

namespace opcodes {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

/// A module of one entry `k(in, out)`; registers a, b, c, d, e, p, q and 64-bit addresses.
inline std::string module_of(const std::string& body, const std::string& outside = "") {
  return ".version 9.0\n.target sm_80\n.address_size 64\n" + outside +
         ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
         ".reg .b64 %a, %b, %c, %d, %e, %f, %in, %out, %x<9>;\n.reg .pred %p, %q, %r;\n"
         "ld.param.u64 %in, [in];\nld.param.u64 %out, [out];\n"
         "cvt.u64.u32 %x0, %tid.x;\nmad.lo.u64 %in, %x0, 32, %in;\n"
         "mad.lo.u64 %out, %x0, 16, %out;\n" +
         body + "\nret;\n}\n";
}

/// Runs a body for some threads: 4 words of 8 bytes in, 2 out for each. Throws what it finds.
inline std::vector<u64> run(const std::string& text, const std::vector<u64>& in,
                            std::size_t threads = 32, std::size_t blocks = 1, u64 seed = 0) {
  const ptx::module m = ptx::parse(text);
  ptx::device_memory memory;
  ptx::symbols globals;
  for (const ptx::variable& v : m.variables)
    if (v.space != "shared") {
      ptx::allocation& a = memory.allocate(v.size);
      std::fill(a.memory.written.begin(), a.memory.written.end(), std::uint8_t{1});
      std::fill(a.data.begin(), a.data.end(), std::byte{0});
      if (!v.initial.empty()) std::memcpy(a.data.data(), v.initial.data(), v.size);
      a.read_only = v.space == "const";
      globals[v.name] = a.begin;
    }
  const ptx::kernel k = ptx::decode(m.entries.at(0), m, globals);
  ptx::allocation& from = memory.allocate(threads * 32);
  std::memcpy(from.data.data(), in.data(), std::min(in.size() * 8, from.data.size()));
  std::fill(from.memory.written.begin(), from.memory.written.end(), std::uint8_t{1});
  ptx::allocation& to = memory.allocate(threads * 16);
  ptx::launch l;
  l.runs = &k, l.memory = &memory, l.threads = {static_cast<u32>(threads), 1, 1};
  l.blocks = {static_cast<u32>(blocks), 1, 1};
  l.order = ptx::schedule(seed);
  l.limit = 1000000;
  const u64 parameters[2] = {from.begin, to.begin};
  l.parameters.resize(16);
  std::memcpy(l.parameters.data(), parameters, 16);
  ptx::run(l);
  std::vector<u64> out(threads * 2);
  std::memcpy(out.data(), to.data.data(), out.size() * 8);
  return out;
}

/// One thread: `opcode d, a, b, c` with as many sources as given; the destination's 64 bits.
inline u64 value(const std::string& opcode, const std::vector<u64>& sources) {
  static const char* const names[] = {"%a", "%b", "%c", "%f"};
  std::string body, operands;
  for (std::size_t k = 0; k < sources.size(); ++k) {
    body += std::string("ld.global.u64 ") + names[k] + ", [%in+" + std::to_string(8 * k) + "];\n";
    operands += std::string(", ") + names[k];
  }
  body += opcode + " %d" + operands + ";\nst.global.u64 [%out], %d;\n";
  return run(module_of(body), sources, 1)[0];
}

/// What a body is refused or found at fault for; empty if nothing.
inline std::string complaint(const std::string& text, std::size_t threads = 32,
                             std::size_t blocks = 1, u64 seed = 0) {
  try {
    run(text, {}, threads, blocks, seed);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

}  // namespace opcodes
