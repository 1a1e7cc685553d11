// cp.async, its groups and its waits. PTX ISA 9.7.9.25.
//
// A copy takes place at the lane's wait for it, as late as it may. Until then nobody may touch the
// bytes that it writes, and its source may not change: a kernel that relies on an earlier or a
// later copy is found out. What it wrote is known to the lane that waited, to others after a
// barrier.
#include "block.hpp"
#include "races.hpp"
#include "table.hpp"

namespace ptx {
namespace {

/// Operands: [to], [from], size, and, if not all of it is read, how much is.
void begin_copy(warp& w, const instruction& i, mask set) {
  for_each(set, [&](int lane) {
    const auto number = [&](std::uint32_t k) { return as<std::uint32_t>(w[i.s[k]].v[lane]); };
    const std::size_t size = number(2), read = i.sources > 3 ? number(3) : size;
    const bool is_whole = i.variant == 16;  // .cg
    if (is_whole ? size != 16 : size != 4 && size != 8 && size != 16)
      w.fail(i, lane, "cp.async of " + std::to_string(size) + " bytes");
    if (read > size) w.fail(i, lane, "cp.async reads more bytes than it writes");
    const auto to_address = static_cast<std::uint32_t>(w[i.s[0]].v[lane] + i.offset);
    async_copy c{lane, w.in_flight().closed[static_cast<std::size_t>(lane)], {}, {}, size, read,
                 {}};
    c.to = w.find(i, space::shared, lane, to_address, size, true);
    check_landed(w, i, lane, c.to, size, "a copy");
    note_write(w, i, lane, c.to, size, false, false);
    if (read > 0) {
      const std::uint64_t address = w[i.s[1]].v[lane] + i.second_offset;
      if (address % size != 0)
        w.fail(i, lane, "misaligned: " + std::to_string(size) + " bytes at " + hex(address));
      // element by element: of a copy that is cut short any number of bytes may be read
      c.from = w.find(i, space::global, lane, address, 1, false);
      w.find(i, space::global, lane, address + read - 1, 1, false);
      check_written(w, i, lane, c.from, read);
      note_read(w, i, lane, c.from, read, false);
      std::memcpy(c.begun.data(), c.from.data, read);
    }
    std::fill_n(c.to.memory->written.begin() + static_cast<std::ptrdiff_t>(c.to.offset), size,
                in_flight);
    w.in_flight().pending.push_back(c);
  });
}

void commit_group(warp& w, const instruction&, mask set) {
  for_each(set, [&](int lane) { ++w.in_flight().closed[static_cast<std::size_t>(lane)]; });
}

void land(warp& w, const instruction& i, const async_copy& c) {
  if (c.read > 0 && std::memcmp(c.begun.data(), c.from.data, c.read) != 0)
    w.fail(i, c.lane, "in flight: the source of a cp.async changed before it was waited for");
  std::byte bytes[16] = {};
  std::copy_n(c.begun.begin(), c.read, bytes);
  std::memcpy(c.to.data, bytes, c.size);
  std::fill_n(c.to.memory->written.begin() + static_cast<std::ptrdiff_t>(c.to.offset), c.size,
              holds_value);
  note_write(w, i, c.lane, c.to, c.size, false, false);
}

/// Lets the copies of the lanes land for which `is_due(copy, number of the lane's closed groups)`.
template <class F> void wait(warp& w, const instruction& i, mask set, F&& is_due) {
  auto& [pending, closed] = w.in_flight();
  std::erase_if(pending, [&](const async_copy& c) {
    const bool lands =
        (set & bit(c.lane)) != 0 && is_due(c, closed[static_cast<std::size_t>(c.lane)]);
    if (lands) land(w, i, c);
    return lands;
  });
}
/// All but the lane's newest n groups; copies of no closed group are not waited for.
void wait_group(warp& w, const instruction& i, mask set) {
  wait(w, i, set, [&](const async_copy& c, std::uint64_t closed) {
    return c.group + as<std::uint32_t>(w[i.s[0]].v[c.lane]) < closed;
  });
}
void wait_all(warp& w, const instruction& i, mask set) {
  wait(w, i, set, [](const async_copy&, std::uint64_t) { return true; });
}

}  // namespace

void add_copies(table& t) {
  for (const char* shared : {"shared", "shared::cta"})
    for (const char* ahead : {"", ".L2::64B", ".L2::128B", ".L2::256B"}) {
      const std::string rest = "." + std::string(shared) + ".global" + ahead;
      t.add("cp.async.ca" + rest, {&begin_copy, flow::next, 0});
      t.add("cp.async.cg" + rest, {&begin_copy, flow::next, 0, false, space::generic, 16});
    }
  t.add("cp.async.commit_group", {&commit_group, flow::next, 0});
  t.add("cp.async.wait_group", {&wait_group, flow::next, 0});
  t.add("cp.async.wait_all", {&wait_all, flow::next, 0});
}

}  // namespace ptx
