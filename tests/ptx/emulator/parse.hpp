// PTX as text -> module. Grammar: PTX ISA, chapters "Syntax" and "Directives".
#pragma once

#include "text.hpp"

#include <string_view>

namespace ptx {

/// Throws `refusal` with the line for what it can't read.
module parse(std::string_view text);

}  // namespace ptx
