// What a PTX module says, as text: nothing is resolved and nothing is judged yet.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

/// The module can't be read, or it uses something that the emulator lacks. Nothing has run.
struct refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One operand: `%r1`, `7`, `0f3F800000`, `[name+8]`, `{a, b}`, `%r1|%p1`, `!%p1`.
struct operand {
  enum class kind { name, number, address, vector, pair };
  kind is = kind::name;
  std::string name;              // of a name; of an address' base, empty if there is none
  std::uint64_t bits = 0;        // of a number; an address' offset
  bool negated = false;          // !%p1
  std::vector<operand> parts{};  // of a vector or a pair
};

/// One instruction.
struct statement {
  std::string guard{};  // the predicate, empty if there is none
  bool guard_negated = false;
  std::string opcode{};  // with all its modifiers
  std::vector<operand> operands{};
  int line = 0;
};

/// One variable: a parameter, or an array in shared, local, global or constant memory.
struct variable {
  std::string name;
  std::string space;  // param, shared, local, global, const
  std::size_t size = 0, alignment = 1;
  std::vector<std::uint8_t> initial{};  // empty: zeros
  bool is_extern = false;               // dynamic shared memory
};

/// One entry. Labels name the index of a statement.
struct function {
  std::string name;
  std::vector<variable> parameters{}, variables{};
  std::vector<std::string> registers{};   // declared names; `%r` stands for %r0, %r1, ...
  std::vector<std::string> predicates{};  // those of them that are
  std::vector<statement> body{};
  std::vector<std::pair<std::string, std::size_t>> labels{};
  std::vector<std::pair<std::string, std::vector<std::string>>> branch_targets{};
  int max_threads = 1024;
};

struct module {
  std::string target;
  std::vector<variable> variables{};
  std::vector<function> entries{};
};

}  // namespace ptx
