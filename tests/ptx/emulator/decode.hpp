// An entry as text -> a kernel: names become registers, opcodes become functions.
#pragma once

#include "kernel.hpp"

#include <map>

namespace ptx {

/// Addresses of the module's variables in global and constant memory.
using symbols = std::map<std::string, std::uint64_t, std::less<>>;

/// Throws `refusal` naming the first opcode, special register or operand that the emulator lacks.
kernel decode(const function& entry, const module& from, const symbols& globals);

}  // namespace ptx
