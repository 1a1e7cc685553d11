// An entry made ready to run: every operand is a register, every opcode a function.
#pragma once

#include "lanes.hpp"
#include "text.hpp"

#include <array>
#include <string>
#include <vector>

namespace ptx {

class warp;
struct instruction;

constexpr std::uint32_t sink = 0;  // the register of `_`
constexpr std::size_t max_operands = 12;

/// Runs one instruction for the lanes of a set.
using action = void (*)(warp&, const instruction&, mask);

/// How an instruction moves the lanes that run it.
enum class flow : std::uint8_t {
  next,       // on to the next one
  branch,     // to `target`
  table,      // to one of `targets`
  leave,      // exit, ret
  meet_warp,  // not before all lanes of the member mask are here
  meet_block  // not before all threads of the barrier are here
};

enum class space : std::uint8_t { generic, global, shared, local, param, constant };

/// How an access of memory is ordered with others.
enum class order : std::uint8_t { weak, constant, relaxed, acquire, release, acquire_release };

struct instruction {
  action run = nullptr;
  flow moves = flow::next;
  bool guarded = false, guard_negated = false;
  std::uint32_t guard = 0;
  int variant = 0;               // of an operation that has several
  space where = space::generic;  // of an address
  order ordering = order::weak;
  std::uint32_t results = 0, sources = 0;       // how many of d and s are used
  std::array<std::uint32_t, max_operands> d{};  // registers written
  std::array<std::uint32_t, max_operands> s{};  // registers read; of an address its base
  std::uint32_t second = sink;                  // written too, as p of `%r1|p`
  std::uint64_t offset = 0, second_offset = 0;  // of an address, and of another one
  std::uint32_t addresses = 0;                  // how many of the operands are
  std::uint32_t members = 0;                    // the register of the member mask
  std::uint32_t target = 0;
  std::vector<std::uint32_t> targets{};
  int line = 0;
};

/// Where the values of special registers go, filled in for each warp.
struct special {
  std::string name;
  std::uint32_t at;
};

struct kernel {
  std::string name;
  std::vector<instruction> code{};
  std::vector<std::string> opcodes{};  // for messages
  std::uint32_t registers = 1;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> constants{};  // registers that never change
  std::vector<special> specials{};
  std::vector<variable> parameters{};
  std::vector<std::size_t> parameter_offsets{};
  std::size_t parameter_bytes = 0, shared_bytes = 0, local_bytes = 0;
  int max_threads = 1024;
};

}  // namespace ptx
