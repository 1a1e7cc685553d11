/// \file
/// What the program does with its arguments.
#pragma once

#include <cstdint>
#include <string>

namespace smollm2 {

struct options {
  std::string model, trained, prompt, peer;
  bool is_chat = false;
  int threads = 0;
  std::int64_t samples = 1, longest = 128, context = 1024;
  double temperature = 0.7;
  std::uint64_t seed = 0;
};

/// \return the exit status. Throws what std::exception names.
int run(const options& o);

}  // namespace smollm2
