// Integer arithmetic, logic, shifts and bit fields. PTX ISA 9.7.1, 9.7.8.
#include "map.hpp"

#include <limits>

namespace ptx {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
__extension__ typedef __int128 i128;  // every compiler that nvcc takes has it
__extension__ typedef unsigned __int128 u128;

template <class T>
using wide_of = std::conditional_t<
    sizeof(T) == 8, i128,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, i64, u64>,
                       std::conditional_t<sizeof(T) == 2,
                                          std::conditional_t<std::is_signed_v<T>, i32, u32>, int>>>;

/// Arithmetic modulo 2^n without signed overflow.
template <class T> T wrap(u64 x) { return static_cast<T>(x); }
template <class T> T high_product(T a, T b) {
  if constexpr (std::is_same_v<T, u64>)
    return static_cast<T>((static_cast<u128>(a) * b) >> 64);
  else
    return static_cast<T>((static_cast<wide_of<T>>(a) * static_cast<wide_of<T>>(b)) >>
                          (8 * sizeof(T)));
}

void add_arithmetic(table& t) {
  for_integers([&]<class T>(named<T> n) {
    const std::string type = std::string(".") + n.name;
    using U = std::make_unsigned_t<T>;
    t.add("add" + type, map<T, T, T>([](T a, T b) { return wrap<T>(u64(a) + u64(b)); }));
    t.add("sub" + type, map<T, T, T>([](T a, T b) { return wrap<T>(u64(a) - u64(b)); }));
    t.add("mul.lo" + type, map<T, T, T>([](T a, T b) { return wrap<T>(u64(a) * u64(b)); }));
    t.add("mul.hi" + type, map<T, T, T>([](T a, T b) { return high_product(a, b); }));
    t.add("mad.lo" + type,
          map<T, T, T, T>([](T a, T b, T c) { return wrap<T>(u64(a) * u64(b) + u64(c)); }));
    t.add("mad.hi" + type,
          map<T, T, T, T>([](T a, T b, T c) { return wrap<T>(u64(high_product(a, b)) + u64(c)); }));
    t.add("min" + type, map<T, T, T>([](T a, T b) { return a < b ? a : b; }));
    t.add("max" + type, map<T, T, T>([](T a, T b) { return a > b ? a : b; }));
    // A division by zero is left open by the manual; here as on devices.
    t.add("div" + type, map<T, T, T>([](T a, T b) {
            if (b == 0) return static_cast<T>(~U{0});
            if constexpr (std::is_signed_v<T>)
              if (b == -1) return wrap<T>(u64{0} - u64(a));
            return static_cast<T>(a / b);
          }));
    t.add("rem" + type, map<T, T, T>([](T a, T b) {
            if (b == 0) return a;
            if constexpr (std::is_signed_v<T>)
              if (b == -1) return T{0};
            return static_cast<T>(a % b);
          }));
    if constexpr (std::is_signed_v<T>) {
      t.add("neg" + type, map<T, T>([](T a) { return wrap<T>(u64{0} - u64(a)); }));
      t.add("abs" + type, map<T, T>([](T a) { return a < 0 ? wrap<T>(u64{0} - u64(a)) : a; }));
    }
    if constexpr (sizeof(T) < 8) {
      using W = wide_of<T>;
      using D =
          std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, i64, u64>, W>;
      t.add("mul.wide" + type,
            map<D, T, T>([](T a, T b) { return static_cast<D>(static_cast<D>(a) * D(b)); }));
      t.add("mad.wide" + type, map<D, T, T, D>([](T a, T b, D c) {
              return static_cast<D>(u64(static_cast<D>(a) * D(b)) + u64(c));
            }));
    }
  });
}

/// a + b, or a - b, with the carry or borrow of the last one (In) and for the next one (Out). PTX
/// ISA 9.7.2.
template <class T, bool Subtracts, bool In, bool Out>
void run_carried(warp& w, const instruction& i, mask set) {
  lanes& d = w[i.d[0]];
  const lanes &a = w[i.s[0]], &b = w[i.s[1]];
  mask carries = w.carry();
  for_each(set, [&](int lane) {
    const u128 x = as<T>(a.v[lane]), y = as<T>(b.v[lane]);
    const u128 by = y + (In ? w.carry() >> lane & 1 : 0);
    const u128 r = Subtracts ? x - by : x + by;
    d.v[lane] = static_cast<u64>(static_cast<T>(r));
    const bool leaves = (r >> (8 * sizeof(T)) & 1) != 0;
    carries = leaves ? carries | bit(lane) : carries & ~bit(lane);
  });
  if constexpr (Out) w.carry() = carries;
}
void add_carried(table& t) {
  for_types(
      [&]<class T>(named<T> n) {
        const std::string type = std::string(".") + n.name;
        t.add("add.cc" + type, &run_carried<T, false, false, true>);
        t.add("addc" + type, &run_carried<T, false, true, false>);
        t.add("addc.cc" + type, &run_carried<T, false, true, true>);
        t.add("sub.cc" + type, &run_carried<T, true, false, true>);
        t.add("subc" + type, &run_carried<T, true, true, false>);
        t.add("subc.cc" + type, &run_carried<T, true, true, true>);
      },
      named<u32>{"u32"}, named<u64>{"u64"}, named<u64>{"s64"});
}

void add_logic(table& t) {
  for_bits([&]<class T>(named<T> n) {
    const std::string type = std::string(".") + n.name;
    constexpr u32 size = 8 * sizeof(T);
    t.add("and" + type, map<T, T, T>([](T a, T b) { return a & b; }));
    t.add("or" + type, map<T, T, T>([](T a, T b) { return a | b; }));
    t.add("xor" + type, map<T, T, T>([](T a, T b) { return a ^ b; }));
    t.add("not" + type, map<T, T>([](T a) { return static_cast<T>(~a); }));
    t.add("cnot" + type, map<T, T>([](T a) { return T(a == 0); }));
    // Shifts by more than the width are shifts by the width.
    t.add("shl" + type, map<T, T, u32>([](T a, u32 b) {
            return b >= size ? T{0} : static_cast<T>(u64(a) << b);
          }));
    t.add("shr" + type,
          map<T, T, u32>([](T a, u32 b) { return b >= size ? T{0} : static_cast<T>(a >> b); }));
  });
  for_integers([&]<class T>(named<T> n) {
    constexpr u32 size = 8 * sizeof(T);
    t.add(std::string("shr.") + n.name, map<T, T, u32>([](T a, u32 b) {
            return static_cast<T>(b >= size ? (a < 0 ? T(-1) : T(0)) : T(a >> b));
          }));
  });
  using p = std::uint8_t;
  t.add("and.pred", map<p, p, p>([](p a, p b) { return a & b; }));
  t.add("or.pred", map<p, p, p>([](p a, p b) { return a | b; }));
  t.add("xor.pred", map<p, p, p>([](p a, p b) { return a ^ b; }));
  t.add("not.pred", map<p, p>([](p a) { return a ^ 1; }));
  t.add("lop3.b32", map<u32, u32, u32, u32, u32>([](u32 a, u32 b, u32 c, u32 f) {
          u32 out = 0;
          for (u32 k = 0; k < 8; ++k)
            if (f >> k & 1) out |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
          return out;
        }));
}

u32 funnel(u32 low, u32 high, u32 by, bool left) {
  const u64 both = u64(high) << 32 | low;
  return static_cast<u32>(left ? (both << by) >> 32 : both >> by);
}

template <class T> T bit_reverse(T x) {
  T out = 0;
  for (std::size_t k = 0; k < 8 * sizeof(T); ++k) out = T(out << 1 | (x >> k & 1));
  return out;
}

/// The highest bit that differs from the sign, or -1.
template <class T> u32 highest(T a) {
  using U = std::make_unsigned_t<T>;
  const U x = a < 0 ? static_cast<U>(~static_cast<U>(a)) : static_cast<U>(a);
  return static_cast<u32>(std::bit_width(x)) - 1;
}

template <class T> T extract(T a, u32 b, u32 c) {
  constexpr u32 last = 8 * sizeof(T) - 1;
  const u32 at = b & 0xff, count = c & 0xff;
  using U = std::make_unsigned_t<T>;
  U sign = 0;
  if (std::is_signed_v<T> && count != 0) sign = U(a) >> std::min(at + count - 1, last) & 1;
  U out = 0;
  for (u32 k = 0; k <= last; ++k)
    out |= U(k < count && at + k <= last ? U(a) >> (at + k) & 1 : sign) << k;
  return static_cast<T>(out);
}

template <class T> T insert(T a, T b, u32 c, u32 d) {
  const u32 at = c & 0xff, count = d & 0xff;
  for (u32 k = 0; k < count && at + k < 8 * sizeof(T); ++k)
    b = T((b & ~(T{1} << (at + k))) | ((a >> k & 1) << (at + k)));
  return b;
}

u32 permute(u32 a, u32 b, u32 c) {
  const u64 bytes = u64(b) << 32 | a;
  u32 out = 0;
  for (u32 k = 0; k < 4; ++k) {
    const u32 choice = c >> (4 * k) & 0xf;
    u32 byte = static_cast<u32>(bytes >> (8 * (choice & 7))) & 0xff;
    if (choice & 8) byte = byte & 0x80 ? 0xff : 0;
    out |= byte << (8 * k);
  }
  return out;
}

void add_bits(table& t) {
  for_types(
      [&]<class T>(named<T> n) {
        const std::string type = std::string(".") + n.name;
        t.add("popc" + type, map<u32, T>([](T a) { return std::popcount(a); }));
        t.add("clz" + type, map<u32, T>([](T a) { return std::countl_zero(a); }));
        t.add("brev" + type, map<T, T>([](T a) { return bit_reverse(a); }));
        t.add("bfi" + type,
              map<T, T, T, u32, u32>([](T a, T b, u32 c, u32 d) { return insert(a, b, c, d); }));
      },
      named<u32>{"b32"}, named<u64>{"b64"});
  for_types(
      [&]<class T>(named<T> n) {
        const std::string type = std::string(".") + n.name;
        t.add("bfe" + type,
              map<T, T, u32, u32>([](T a, u32 b, u32 c) { return extract(a, b, c); }));
        t.add("bfind" + type, map<u32, T>([](T a) { return highest(a); }));
        t.add("bfind.shiftamt" + type, map<u32, T>([](T a) {
                const u32 at = highest(a);
                return at == ~0u ? at : static_cast<u32>(8 * sizeof(T) - 1) - at;
              }));
      },
      named<u32>{"u32"}, named<i32>{"s32"}, named<u64>{"u64"}, named<i64>{"s64"});
  t.add("bmsk.clamp.b32", map<u32, u32, u32>([](u32 at, u32 count) {
          at = std::min(at, 32u), count = std::min(count, 32u);
          const u64 ones = (u64{1} << count) - 1;
          return at >= 32 ? 0u : static_cast<u32>(ones << at);
        }));
  t.add("bmsk.wrap.b32", map<u32, u32, u32>([](u32 at, u32 count) {
          return static_cast<u32>(((u64{1} << (count & 31)) - 1) << (at & 31));
        }));
  t.add("prmt.b32", map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return permute(a, b, c); }));
  t.add("shf.l.wrap.b32",
        map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return funnel(a, b, c & 31, true); }));
  t.add("shf.r.wrap.b32",
        map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) { return funnel(a, b, c & 31, false); }));
  t.add("shf.l.clamp.b32", map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) {
          return funnel(a, b, std::min(c, 32u), true);
        }));
  t.add("shf.r.clamp.b32", map<u32, u32, u32, u32>([](u32 a, u32 b, u32 c) {
          return funnel(a, b, std::min(c, 32u), false);
        }));
}

}  // namespace

void add_integer(table& t) { add_arithmetic(t), add_carried(t), add_logic(t), add_bits(t); }

}  // namespace ptx
