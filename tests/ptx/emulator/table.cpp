#include "table.hpp"

namespace ptx {

const table& opcodes() {
  static const table all = [] {
    table t;
    add_integer(t), add_floating(t), add_half(t), add_compare(t), add_convert(t), add_moves(t);
    add_memory(t), add_atomics(t), add_warp_operations(t), add_control(t);
    add_copies(t), add_matrices(t);
    return t;
  }();
  return all;
}

}  // namespace ptx
