// mov, also between a register and the parts of one. PTX ISA 9.7.9.
#include "table.hpp"
#include "warp.hpp"

namespace ptx {
namespace {

/// \tparam Bits of the whole; a vector's parts share it evenly, the first one lowest.
template <int Bits> void run_mov(warp& w, const instruction& i, mask set) {
  const std::uint32_t from = i.sources, to = i.results;
  const auto low = [](std::uint64_t x, std::uint32_t bits) {
    return bits >= 64 ? x : x & ((std::uint64_t{1} << bits) - 1);
  };
  for_each(set, [&](int lane) {
    std::uint64_t whole = 0;
    const std::uint32_t size = Bits / from, part = Bits / to;
    for (std::uint32_t k = 0; k < from; ++k) whole |= low(w[i.s[k]].v[lane], size) << (k * size);
    for (std::uint32_t k = 0; k < to; ++k)
      if (i.d[k] != sink) w[i.d[k]].v[lane] = low(whole >> (k * part), part);
  });
}

void copy(warp& w, const instruction& i, mask set) {
  lanes& d = w[i.d[0]];
  const lanes& s = w[i.s[0]];
  for_each(set, [&](int lane) { d.v[lane] = s.v[lane]; });
}

}  // namespace

void add_moves(table& t) {
  for (const char* type : {"pred", "u16", "s16", "u32", "s32", "f32", "u64", "s64", "f64"})
    t.add(std::string("mov.") + type, &copy);
  t.add("mov.b16", &run_mov<16>);
  t.add("mov.b32", &run_mov<32>);
  t.add("mov.b64", &run_mov<64>);
}

}  // namespace ptx
