// ld and st. PTX ISA 9.7.9.8 and 9.7.9.11.
#include "block.hpp"
#include "grid.hpp"
#include "races.hpp"
#include "table.hpp"

namespace ptx {
namespace {

std::uint64_t address_of(warp& w, const instruction& i, int lane) {
  const std::uint64_t base = w[i.s[0]].v[lane];
  // Shared, local and parameter memory are smaller than 2^32, and their addresses may be 32 bits.
  if (i.where == space::shared || i.where == space::local || i.where == space::param)
    return static_cast<std::uint32_t>(base + i.offset);
  return base + i.offset;
}

bool is_strong(const instruction& i) { return i.ordering >= order::relaxed; }
bool acquires(const instruction& i) {
  return i.ordering == order::acquire || i.ordering == order::acquire_release;
}
bool releases(const instruction& i) {
  return i.ordering == order::release || i.ordering == order::acquire_release;
}

/// What an access costs. The lanes of one instruction lie in one space: the first says which.
void count(warp& w, const instruction& i, mask set, std::size_t size, bool writes) {
  if (!w.is_counted() || set == 0) return;
  request r;
  const shadow* memory = nullptr;
  for_each(set, [&](int lane) {
    const std::uint64_t address = address_of(w, i, lane);
    if (memory == nullptr) memory = w.find(i, lane, address, size, writes).memory;
    r.add(address, size);
  });
  if (memory == &w.in().local_memory || memory == &w.in().of().parameter_memory) return;
  w.count(i, r, memory == &w.in().shared_memory, writes);
}

bool is_uniform(const lanes& r, mask set) {
  const std::uint64_t first = r.v[std::countr_zero(set) & 31];
  bool same = true;
  for_each(set, [&](int lane) { same &= r.v[lane] == first; });
  return same;
}

/// One parameter for all lanes, as every thread of a kernel begins.
template <class T, std::size_t N> void load_for_all(warp& w, const instruction& i, mask set) {
  const int lane = std::countr_zero(set) & 31;
  const place p = w.find(i, lane, address_of(w, i, lane), sizeof(T) * N, false);
  check_written(w, i, lane, p, sizeof(T) * N);
  for (std::size_t k = 0; k < N; ++k) {
    T x;
    std::memcpy(&x, p.data + sizeof(T) * k, sizeof x);
    lanes& d = w[i.d[k]];
    for_each(set, [&, bits = bits_of(x)](int l) { d.v[l] = bits; });
  }
}

template <class T, std::size_t N> void load(warp& w, const instruction& i, mask set) {
  constexpr std::size_t size = sizeof(T) * N;
  count(w, i, set, size, false);
  if (i.where == space::param && is_uniform(w[i.s[0]], set)) return load_for_all<T, N>(w, i, set);
  for_each(set, [&](int lane) {
    const place p = w.find(i, lane, address_of(w, i, lane), size, false);
    check_written(w, i, lane, p, size);
    if (p.memory != &w.in().local_memory && i.where != space::param)
      note_read(w, i, lane, p, size, is_strong(i));
    if (is_strong(i)) read_flag(w, p, acquires(i));
    for (std::size_t k = 0; k < N; ++k) {
      T x;
      std::memcpy(&x, p.data + sizeof(T) * k, sizeof x);
      w[i.d[k]].v[lane] = bits_of(x);
    }
  });
}

template <class T, std::size_t N> void store(warp& w, const instruction& i, mask set) {
  constexpr std::size_t size = sizeof(T) * N;
  count(w, i, set, size, true);
  for_each(set, [&](int lane) {
    const place p = w.find(i, lane, address_of(w, i, lane), size, true);
    T x[N];
    for (std::size_t k = 0; k < N; ++k) x[k] = as<T>(w[i.s[k + 1]].v[lane]);
    check_landed(w, i, lane, p, size, "a write");
    std::uint8_t* written = p.memory->written.data() + p.offset;
    const bool same = std::memcmp(p.data, x, size) == 0 && written[0] != 0;
    if (p.memory != &w.in().local_memory) note_write(w, i, lane, p, size, is_strong(i), same);
    if (is_strong(i)) write_flag(w, p, releases(i));
    std::memcpy(p.data, x, size);
    std::memset(written, 1, size);
  });
}

template <class T> void add_type(table& t, const std::string& type) {
  const auto add = [&](const std::string& name, space where) {
    t.add("ld" + name + "." + type, {&load<T, 1>, flow::next, 1, false, where});
    t.add("ld" + name + ".v2." + type, {&load<T, 2>, flow::next, 1, false, where});
    t.add("ld" + name + ".v4." + type, {&load<T, 4>, flow::next, 1, false, where});
    if (where == space::param || where == space::constant) return;
    t.add("st" + name + "." + type, {&store<T, 1>, flow::next, 0, false, where});
    t.add("st" + name + ".v2." + type, {&store<T, 2>, flow::next, 0, false, where});
    t.add("st" + name + ".v4." + type, {&store<T, 4>, flow::next, 0, false, where});
  };
  add("", space::generic), add(".global", space::global), add(".shared", space::shared);
  add(".local", space::local), add(".param", space::param), add(".const", space::constant);
}

}  // namespace

void add_memory(table& t) {
  add_type<std::uint8_t>(t, "b8"), add_type<std::uint8_t>(t, "u8");
  add_type<std::int8_t>(t, "s8");
  add_type<std::uint16_t>(t, "b16"), add_type<std::uint16_t>(t, "u16");
  add_type<std::int16_t>(t, "s16");
  add_type<std::uint32_t>(t, "b32"), add_type<std::uint32_t>(t, "u32");
  add_type<std::int32_t>(t, "s32"), add_type<std::uint32_t>(t, "f32");
  add_type<std::uint64_t>(t, "b64"), add_type<std::uint64_t>(t, "u64");
  add_type<std::int64_t>(t, "s64"), add_type<std::uint64_t>(t, "f64");
  const auto do_fence = [](warp& w, const instruction&, mask) { fence(w); };
  for (const char* scope : {"cta", "gl", "sys"})
    t.add(std::string("membar.") + scope, {do_fence, flow::next, 0});
  for (const char* kind : {"sc", "acq_rel", "acquire", "release"})
    for (const char* scope : {"cta", "gpu", "sys"})
      t.add(std::string("fence.") + kind + "." + scope, {do_fence, flow::next, 0});
}

}  // namespace ptx
