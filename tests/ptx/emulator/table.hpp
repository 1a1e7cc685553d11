// Opcode -> what it does. Only what is in the table runs; all else is refused by name.
#pragma once

#include "kernel.hpp"

#include <unordered_map>

namespace ptx {

/// What an opcode does and which of its operands are written.
struct operation {
  action run = nullptr;
  flow moves = flow::next;
  int results = 1;               // leading operands that are written; vectors count as one
  bool members = false;          // the last operand is the member mask
  space where = space::generic;  // of an address
  int variant = 0;
  bool is_aligned = false;  // all 32 lanes are its members
};

class table {
 public:
  void add(const std::string& opcode, operation o) { rows_.insert_or_assign(opcode, o); }
  void add(const std::string& opcode, action run) { add(opcode, operation{run}); }
  const operation* find(const std::string& opcode) const {
    const auto found = rows_.find(opcode);
    return found == rows_.end() ? nullptr : &found->second;
  }
  std::size_t size() const { return rows_.size(); }
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }

 private:
  std::unordered_map<std::string, operation> rows_;
};

/// Every opcode, one family a file.
void add_integer(table&);
void add_floating(table&);
void add_half(table&);
void add_compare(table&);
void add_convert(table&);
void add_moves(table&);
void add_memory(table&);
void add_atomics(table&);
void add_warp_operations(table&);
void add_control(table&);
void add_copies(table&);
void add_matrices(table&);

const table& opcodes();

}  // namespace ptx
