// The modifiers of ld, st, atom and red that don't change a value: their order, scope and cache.
#pragma once

#include "kernel.hpp"

#include <sstream>

namespace ptx {

struct normal {
  std::string opcode;  // kind.space.(operation.)type, the space left out if it is generic
  order ordering = order::weak;
};

/// ld.relaxed.gpu.global.L1::no_allocate.v2.u32 -> ld.global.v2.u32, relaxed. Others: unchanged.
inline normal normalised(const std::string& opcode) {
  normal out;
  std::istringstream words(opcode);
  std::string word;
  std::getline(words, word, '.');
  const bool is_atomic = word == "atom" || word == "red";
  if (word != "ld" && word != "st" && word != "ldu" && !is_atomic) return {opcode};
  std::string kind = word, where, rest;
  if (is_atomic) out.ordering = order::relaxed;
  while (std::getline(words, word, '.')) {
    if (word == "relaxed" || word == "volatile")
      out.ordering = order::relaxed;
    else if (word == "acquire")
      out.ordering = order::acquire;
    else if (word == "release")
      out.ordering = order::release;
    else if (word == "acq_rel")
      out.ordering = order::acquire_release;
    else if (word == "nc")
      out.ordering = order::constant;
    else if (word == "global" || word == "shared" || word == "local" || word == "param" ||
             word == "const")
      where = "." + word;
    else if (word == "shared::cta")
      where = ".shared";
    else if (word == "weak" || word == "cta" || word == "gpu" || word == "sys" || word == "ca" ||
             word == "cg" || word == "cs" || word == "lu" || word == "cv" || word == "wb" ||
             word == "wt" || word == "L1::no_allocate" || word == "L1::evict_normal" ||
             word == "L1::evict_first" || word == "L1::evict_last" || word == "L2::64B" ||
             word == "L2::128B" || word == "L2::256B")
      ;
    else
      rest += "." + word;
  }
  out.opcode = kind + where + rest;
  return out;
}

}  // namespace ptx
