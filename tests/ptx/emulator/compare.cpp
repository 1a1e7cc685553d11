// setp, set, selp, slct. PTX ISA 9.7.6.
#include "half.hpp"
#include "map.hpp"

namespace ptx {
namespace {

using p = std::uint8_t;

struct eq {
  template <class T> bool operator()(T a, T b) const { return a == b; }
};
struct ne {
  template <class T> bool operator()(T a, T b) const { return a < b || a > b; }
};
struct lt {
  template <class T> bool operator()(T a, T b) const { return a < b; }
};
struct le {
  template <class T> bool operator()(T a, T b) const { return a <= b; }
};
struct gt {
  template <class T> bool operator()(T a, T b) const { return a > b; }
};
struct ge {
  template <class T> bool operator()(T a, T b) const { return a >= b; }
};
/// True as well where one is NaN.
template <class C> struct unordered {
  template <class T> bool operator()(T a, T b) const { return a != a || b != b || C{}(a, b); }
};
struct num {
  template <class T> bool operator()(T a, T b) const { return a == a && b == b; }
};
struct nan {
  template <class T> bool operator()(T a, T b) const { return a != a || b != b; }
};

struct alone {
  static bool of(bool c, bool) { return c; }
};
struct with_and {
  static bool of(bool c, bool q) { return c && q; }
};
struct with_or {
  static bool of(bool c, bool q) { return c || q; }
};
struct with_xor {
  static bool of(bool c, bool q) { return c != q; }
};

/// T as it is compared: small floats as double.
template <class T> auto comparable(T x) { return x; }
template <int E, int F> double comparable(small_float<E, F> x) { return widened(x); }

template <class T, class C, class B> void run_setp(warp& w, const instruction& i, mask set) {
  const lanes &a = w[i.s[0]], &b = w[i.s[1]];
  const lanes& c = w[i.s[2]];  // read only with a boolean operation
  lanes &d = w[i.d[0]], &e = w[i.second];
  for_each(set, [&](int lane) {
    const bool compared = C{}(comparable(as<T>(a.v[lane])), comparable(as<T>(b.v[lane])));
    const bool other = std::is_same_v<B, alone> ? false : (c.v[lane] & 1) != 0;
    const bool yes = B::of(compared, other), no = B::of(!compared, other);
    if (i.second != sink) e.v[lane] = no;
    d.v[lane] = yes;
  });
}

template <class T, class C> void add_setp(table& t, const std::string& name, const char* type) {
  t.add("setp." + name + "." + type, &run_setp<T, C, alone>);
  t.add("setp." + name + ".and." + type, &run_setp<T, C, with_and>);
  t.add("setp." + name + ".or." + type, &run_setp<T, C, with_or>);
  t.add("setp." + name + ".xor." + type, &run_setp<T, C, with_xor>);
}

template <class T> void add_ordered(table& t, const char* type) {
  add_setp<T, eq>(t, "eq", type), add_setp<T, ne>(t, "ne", type);
  add_setp<T, lt>(t, "lt", type), add_setp<T, le>(t, "le", type);
  add_setp<T, gt>(t, "gt", type), add_setp<T, ge>(t, "ge", type);
}
template <class T> void add_unordered(table& t, const char* type) {
  add_setp<T, unordered<eq>>(t, "equ", type), add_setp<T, unordered<ne>>(t, "neu", type);
  add_setp<T, unordered<lt>>(t, "ltu", type), add_setp<T, unordered<le>>(t, "leu", type);
  add_setp<T, unordered<gt>>(t, "gtu", type), add_setp<T, unordered<ge>>(t, "geu", type);
  add_setp<T, num>(t, "num", type), add_setp<T, nan>(t, "nan", type);
}

}  // namespace

void add_compare(table& t) {
  for_integers([&]<class T>(named<T> n) { add_ordered<T>(t, n.name); });
  for_bits([&]<class T>(named<T> n) {
    add_setp<T, eq>(t, "eq", n.name), add_setp<T, ne>(t, "ne", n.name);
  });
  add_ordered<float>(t, "f32"), add_unordered<float>(t, "f32");
  add_ordered<double>(t, "f64"), add_unordered<double>(t, "f64");
  add_ordered<half>(t, "f16"), add_unordered<half>(t, "f16");
  add_ordered<brain>(t, "bf16"), add_unordered<brain>(t, "bf16");
  for (const char* type :
       {"b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"})
    t.add(std::string("selp.") + type,
          map<std::uint64_t, std::uint64_t, std::uint64_t, p>(
              [](std::uint64_t a, std::uint64_t b, p c) { return c & 1 ? a : b; }));
}

}  // namespace ptx
