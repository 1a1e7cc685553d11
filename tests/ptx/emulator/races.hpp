// Two accesses of one byte, one of them a write, that nothing orders.
#pragma once

#include "warp.hpp"

namespace ptx {

/// Notes a read or a write of `size` bytes by one lane and ends the launch if it races.
/// \param strong atomic, volatile, relaxed, acquire or release: such ones don't race.
/// \param same for a write: it doesn't change the bytes, so that two of these are harmless.
void note_read(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
               bool strong);
void note_write(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
                bool strong, bool same);

/// Says which byte of those was never written and ends the launch.
void refuse_unwritten(warp& w, const instruction& i, int lane, const place& p, std::size_t size);

/// Ends the launch if a byte that is read was never written.
inline void check_written(warp& w, const instruction& i, int lane, const place& p,
                          std::size_t size) {
  bool all = true;
  for (std::size_t k = 0; k < size; ++k) all &= p.memory->written[p.offset + k] == holds_value;
  if (!all) refuse_unwritten(w, i, lane, p, size);
}

/// Ends the launch if a cp.async that nobody has waited for writes one of these bytes.
void check_landed(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
                  const char* what);

/// Flags between blocks: a strong write tells what lay behind the last fence before it.
void write_flag(warp& w, const place& p, bool releases);
void read_flag(warp& w, const place& p, bool acquires);
void fence(warp& w);

}  // namespace ptx
