// Arithmetic of 16-bit floats, alone and in pairs. PTX ISA 9.7.4.
#include "half.hpp"

#include "map.hpp"

namespace ptx {
namespace {

using u32 = std::uint32_t;

/// f on the low and on the high half of a register.
template <class S, class F, class... A> u32 in_pairs(F f, A... a) {
  const S low = f(S{static_cast<std::uint16_t>(a)}...);
  const S high = f(S{static_cast<std::uint16_t>(a >> 16)}...);
  return low.bits | u32{high.bits} << 16;
}

template <class S, class... A, class F> void add_both(table& t, const std::string& name, F) {
  const std::string type = std::is_same_v<S, half> ? ".f16" : ".bf16";
  t.add(name + type, map<S, A...>([](A... a) { return F{}(a...); }));
}
template <class S, class F> void unary(table& t, const std::string& name, F f) {
  const std::string type = std::is_same_v<S, half> ? ".f16x2" : ".bf16x2";
  add_both<S, S>(t, name, f);
  t.add(name + type, map<u32, u32>([](u32 a) { return in_pairs<S>(F{}, a); }));
}
template <class S, class F> void binary(table& t, const std::string& name, F f) {
  const std::string type = std::is_same_v<S, half> ? ".f16x2" : ".bf16x2";
  add_both<S, S, S>(t, name, f);
  t.add(name + type, map<u32, u32, u32>([](u32 a, u32 b) { return in_pairs<S>(F{}, a, b); }));
}

template <class S> void add_type(table& t) {
  for (const char* rn : {"", ".rn"}) {
    binary<S>(t, std::string("add") + rn,
              [](S a, S b) { return rounded<S>(add_to_odd(widened(a), widened(b))); });
    binary<S>(t, std::string("sub") + rn,
              [](S a, S b) { return rounded<S>(add_to_odd(widened(a), -widened(b))); });
    binary<S>(t, std::string("mul") + rn,
              [](S a, S b) { return rounded<S>(widened(a) * widened(b)); });
  }
  const std::string type = std::is_same_v<S, half> ? ".f16" : ".bf16";
  t.add("fma.rn" + type, map<S, S, S, S>([](S a, S b, S c) { return fused(a, b, c); }));
  t.add("fma.rn" + type + "x2", map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) {
          return in_pairs<S>([](S x, S y, S z) { return fused(x, y, z); }, a, b, c);
        }));
  unary<S>(t, "neg", [](S a) { return S{static_cast<std::uint16_t>(a.bits ^ 0x8000)}; });
  unary<S>(t, "abs", [](S a) { return S{static_cast<std::uint16_t>(a.bits & 0x7fff)}; });
  binary<S>(t, "min", [](S a, S b) { return rounded<S>(least(widened(a), widened(b))); });
  binary<S>(t, "max", [](S a, S b) { return rounded<S>(greatest(widened(a), widened(b))); });
}

}  // namespace

void add_half(table& t) { add_type<half>(t), add_type<brain>(t); }

}  // namespace ptx
