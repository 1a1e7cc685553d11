#include "races.hpp"

#include "block.hpp"
#include "grid.hpp"

namespace ptx {
namespace {

/// Whether an earlier access lies behind this lane.
bool is_behind(warp& w, int lane, const access& a) {
  block& b = w.in();
  if (a.time == 0) return true;
  if (a.block != b.index()) {
    const auto known = b.foreign.find(a.block);
    return known != b.foreign.end() && a.warp < known->second.size() &&
           a.time <= known->second[a.warp];
  }
  if (a.warp == w.index()) return w.clock().knows_lanes(lane, a.lanes, a.time);
  return w.clock().knows_warp(a.warp, a.time);
}

[[noreturn]] void report(warp& w, const instruction& i, int lane, const access& earlier,
                         const char* kind, std::size_t offset) {
  block& b = w.in();
  std::string text = std::string("race: ") + kind + " byte " + std::to_string(offset) +
                     ", which line " + std::to_string(earlier.line) + " touched in ";
  if (earlier.block != b.index()) text += "block " + std::to_string(earlier.block) + ", ";
  text += "warp " + std::to_string(earlier.warp) + ", lanes " + hex(earlier.lanes);
  w.fail(i, lane, text);
}

access now(warp& w, const instruction& i, int lane, bool strong) {
  return {static_cast<std::uint32_t>(w.in().index()),
          static_cast<std::uint32_t>(w.index()),
          w.clock().now(),
          bit(lane),
          static_cast<std::uint32_t>(i.line),
          strong};
}

bool is_same_step(const access& a, const access& b) {
  return a.time == b.time && a.warp == b.warp && a.block == b.block && a.strong == b.strong;
}

void freshen(cell& c, std::uint32_t launch) {
  if (c.launch != launch) c = cell{}, c.launch = launch;
}

}  // namespace

void note_read(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
               bool strong) {
  const access a = now(w, i, lane, strong);
  const std::uint32_t launch = w.in().of().number;
  p.memory->for_each_cell(p.offset, size, [&](cell& c, std::size_t at) {
    freshen(c, launch);
    if (!(strong && c.write.strong) && !is_behind(w, lane, c.write))
      report(w, i, lane, c.write, "a read of", at);
    for (access& r : c.reads)
      if (is_same_step(r, a)) {
        r.lanes |= a.lanes;
        return;
      }
    for (access& r : c.reads)
      if (is_behind(w, lane, r)) {
        r = a;
        return;
      }
    c.reads[1] = a;
  });
}

void note_write(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
                bool strong, bool same) {
  const access a = now(w, i, lane, strong);
  const std::uint32_t launch = w.in().of().number;
  p.memory->for_each_cell(p.offset, size, [&](cell& c, std::size_t at) {
    freshen(c, launch);
    if (!(strong && c.write.strong) && !same && !is_behind(w, lane, c.write))
      report(w, i, lane, c.write, "a write of", at);
    for (access& r : c.reads) {
      if (!(strong && r.strong) && !is_behind(w, lane, r)) report(w, i, lane, r, "a write of", at);
      r = {};
    }
    if (is_same_step(c.write, a))
      c.write.lanes |= a.lanes;
    else
      c.write = a;
  });
}

void check_landed(warp& w, const instruction& i, int lane, const place& p, std::size_t size,
                  const char* what) {
  for (std::size_t k = 0; k < size; ++k)
    if (p.memory->written[p.offset + k] == in_flight)
      w.fail(i, lane,
             std::string("in flight: ") + what + " of byte " + std::to_string(p.offset + k) +
                 ", which a cp.async writes that was not waited for");
}

void refuse_unwritten(warp& w, const instruction& i, int lane, const place& p, std::size_t size) {
  for (std::size_t k = 0; k < size; ++k)
    if (p.memory->written[p.offset + k] != holds_value) {
      check_landed(w, i, lane, p, size, "a read");
      w.fail(i, lane,
             "uninitialised: a read of byte " + std::to_string(p.offset + k) +
                 ", which nothing has written");
    }
}

void fence(warp& w) {
  block& b = w.in();
  for (auto& [other, t] : b.pending) join(b.foreign[other], t);
  b.pending.clear();
  b.fenced = b.foreign;
  join(b.fenced[static_cast<std::uint32_t>(b.index())], w.clock().publish(w.index()));
}

void write_flag(warp& w, const place& p, bool releases) {
  if (releases) fence(w);
  const auto word = reinterpret_cast<std::uint64_t>(p.data) / 4;
  foreign_times& told = w.in().of().flags[word];
  for (const auto& [other, t] : w.in().fenced) join(told[other], t);
}

void read_flag(warp& w, const place& p, bool acquires) {
  block& b = w.in();
  const auto& flags = b.of().flags;
  const auto found = flags.find(reinterpret_cast<std::uint64_t>(p.data) / 4);
  if (found != flags.end())
    for (const auto& [other, t] : found->second) join(b.pending[other], t);
  if (acquires) fence(w);
}

}  // namespace ptx
