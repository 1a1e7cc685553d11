/// \file
/// Ctrl-C asks a run to stop; the second time it ends at once.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdlib>

namespace demo {

/// Whether SIGINT or SIGTERM has come since `catch_interrupts`.
inline std::atomic<bool> is_interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

extern "C" inline void on_interrupt(int) {
  if (is_interrupted) std::_Exit(130);
  is_interrupted = true;
}

inline void catch_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

}  // namespace demo
