// atom and red: lane after lane, in their order. PTX ISA 9.7.13.
#include "block.hpp"
#include "floats.hpp"
#include "races.hpp"
#include "table.hpp"

#include <algorithm>

namespace ptx {
namespace {

template <class T, class F, bool Returns> void run_atomic(warp& w, const instruction& i, mask set) {
  for_each(set, [&](int lane) {
    std::uint64_t address = w[i.s[0]].v[lane] + i.offset;
    if (i.where == space::shared) address = static_cast<std::uint32_t>(address);
    const place p = w.find(i, lane, address, sizeof(T), true);
    check_written(w, i, lane, p, sizeof(T));
    const bool acquires = i.ordering == order::acquire || i.ordering == order::acquire_release;
    const bool releases = i.ordering == order::release || i.ordering == order::acquire_release;
    if (releases) fence(w);
    read_flag(w, p, acquires);
    note_write(w, i, lane, p, sizeof(T), true, false);
    write_flag(w, p, false);
    T old;
    std::memcpy(&old, p.data, sizeof old);
    const T b = as<T>(w[i.s[1]].v[lane]);
    const T c = as<T>(w[i.s[i.sources > 2 ? 2 : 1]].v[lane]);
    const T out = F{}(old, b, c);
    std::memcpy(p.data, &out, sizeof out);
    if constexpr (Returns) w[i.d[0]].v[lane] = bits_of(old);
  });
}

template <class T, class F> void add(table& t, const std::string& name, F) {
  const auto in = [&](const std::string& where, space s) {
    t.add("atom" + where + "." + name, {&run_atomic<T, F, true>, flow::next, 1, false, s});
    t.add("red" + where + "." + name, {&run_atomic<T, F, false>, flow::next, 0, false, s});
  };
  in("", space::generic), in(".global", space::global), in(".shared", space::shared);
}

template <class T> void add_arithmetic(table& t, const std::string& type) {
  add<T>(t, "add." + type, [](T a, T b, T) { return static_cast<T>(a + b); });
}
template <class T> void add_extremes(table& t, const std::string& type) {
  add<T>(t, "min." + type, [](T a, T b, T) { return std::min(a, b); });
  add<T>(t, "max." + type, [](T a, T b, T) { return std::max(a, b); });
}
template <class T> void add_bits(table& t, const std::string& type) {
  add<T>(t, "and." + type, [](T a, T b, T) { return static_cast<T>(a & b); });
  add<T>(t, "or." + type, [](T a, T b, T) { return static_cast<T>(a | b); });
  add<T>(t, "xor." + type, [](T a, T b, T) { return static_cast<T>(a ^ b); });
  add<T>(t, "exch." + type, [](T, T b, T) { return b; });
  add<T>(t, "cas." + type, [](T a, T b, T c) { return a == b ? c : a; });
}

}  // namespace

void add_atomics(table& t) {
  using u32 = std::uint32_t;
  using u64 = std::uint64_t;
  add_arithmetic<u32>(t, "u32"), add_arithmetic<u32>(t, "s32"), add_arithmetic<u64>(t, "u64");
  add<float>(t, "add.f32", [](float a, float b, float) { return canonical(a + b); });
  add<double>(t, "add.f64", [](double a, double b, double) { return canonical(a + b); });
  add_extremes<u32>(t, "u32"), add_extremes<u64>(t, "u64");
  add_extremes<std::int32_t>(t, "s32"), add_extremes<std::int64_t>(t, "s64");
  add_bits<std::uint16_t>(t, "b16"), add_bits<u32>(t, "b32"), add_bits<u64>(t, "b64");
  add<u32>(t, "inc.u32", [](u32 a, u32 b, u32) { return a >= b ? 0 : a + 1; });
  add<u32>(t, "dec.u32", [](u32 a, u32 b, u32) { return a == 0 || a > b ? b : a - 1; });
}

}  // namespace ptx
