// cvt and cvta. PTX ISA 9.7.9.
#include "half.hpp"
#include "map.hpp"
#include "memory.hpp"

namespace ptx {
namespace {

/// Float to integer: rounded by M, then clamped; NaN is 0, or the top bit where 64 bits take part.
template <class I, class F, class M> I to_integer(F x) {
  if (x != x) {
    if (sizeof(F) < 8 && sizeof(I) < 8) return 0;
    return static_cast<I>(std::uint64_t{1} << (8 * sizeof(I) - 1));
  }
  const F whole = M::of(x);
  const F limit = std::ldexp(F(1), std::numeric_limits<I>::digits);
  if (whole >= limit) return std::numeric_limits<I>::max();
  if (std::is_signed_v<I> ? whole < -limit : whole < 0) return std::numeric_limits<I>::min();
  return static_cast<I>(whole);
}
struct rni {
  template <class F> static F of(F x) { return std::nearbyint(x); }
};
struct rzi {
  template <class F> static F of(F x) { return std::trunc(x); }
};
struct rmi {
  template <class F> static F of(F x) { return std::floor(x); }
};
struct rpi {
  template <class F> static F of(F x) { return std::ceil(x); }
};

template <class F> void for_all_integers(F&& f) {
  for_integers(f);
  for_types(f, named<std::uint8_t>{"u8"}, named<std::int8_t>{"s8"});
}

template <class R> void add_rounding(table& t, const std::string& mode) {
  for_types(
      [&]<class F>(named<F> from) {
        const std::string name = std::string(".") + from.name;
        for_all_integers([&]<class I>(named<I> to) {
          t.add("cvt." + mode + "." + to.name + name,
                map<I, F>([](F x) { return to_integer<I, F, R>(x); }));
        });
        t.add("cvt." + mode + name + name, map<F, F>([](F x) { return canonical(R::of(x)); }));
      },
      named<float>{"f32"}, named<double>{"f64"});
}

template <class S> void add_small(table& t, const std::string& type) {
  t.add("cvt.f32." + type, map<float, S>([](S x) { return static_cast<float>(widened(x)); }));
  t.add("cvt.f64." + type, map<double, S>([](S x) { return widened(x); }));
  t.add("cvt.rn." + type + ".f32", map<S, float>([](float x) { return rounded<S>(x); }));
  t.add("cvt.rn." + type + ".f64", map<S, double>([](double x) { return rounded<S>(x); }));
  // The first source is the high half.
  t.add("cvt.rn." + type + "x2.f32", map<std::uint32_t, float, float>([](float a, float b) {
          return std::uint32_t{rounded<S>(a).bits} << 16 | rounded<S>(b).bits;
        }));
}

template <std::uint64_t Window> void add_window(table& t, const std::string& name) {
  using u64 = std::uint64_t;
  t.add("cvta." + name + ".u64", map<u64, u64>([](u64 a) { return a + Window; }));
  t.add("cvta.to." + name + ".u64", map<u64, u64>([](u64 a) { return a - Window; }));
  t.add("isspacep." + name, map<std::uint8_t, u64>([](u64 a) {
          if constexpr (Window == 0) return a < shared_window || a >= param_window + window_size;
          return a - Window < window_size;
        }));
}

}  // namespace

void add_convert(table& t) {
  for_all_integers([&]<class A>(named<A> from) {
    for_all_integers([&]<class R>(named<R> to) {
      t.add(std::string("cvt.") + to.name + "." + from.name,
            map<R, A>([](A x) { return static_cast<R>(x); }));
      t.add(std::string("cvt.sat.") + to.name + "." + from.name, map<R, A>([](A x) {
              constexpr R low = std::numeric_limits<R>::min(), high = std::numeric_limits<R>::max();
              return std::cmp_less(x, low)       ? low
                     : std::cmp_greater(x, high) ? high
                                                 : static_cast<R>(x);
            }));
    });
    t.add(std::string("cvt.rn.f32.") + from.name,
          map<float, A>([](A x) { return static_cast<float>(x); }));
    t.add(std::string("cvt.rn.f64.") + from.name,
          map<double, A>([](A x) { return static_cast<double>(x); }));
  });
  add_rounding<rni>(t, "rni"), add_rounding<rzi>(t, "rzi");
  add_rounding<rmi>(t, "rmi"), add_rounding<rpi>(t, "rpi");
  t.add("cvt.f64.f32", map<double, float>([](float x) { return double(x); }));
  t.add("cvt.rn.f32.f64", map<float, double>([](double x) { return canonical(float(x)); }));
  t.add("cvt.sat.f32.f32", map<float, float>([](float x) { return saturated(x); }));
  t.add("cvt.ftz.f64.f32", map<double, float>([](float x) { return double(flushed(x)); }));
  add_small<half>(t, "f16"), add_small<brain>(t, "bf16");
  add_window<0>(t, "global"), add_window<0>(t, "const");
  add_window<shared_window>(t, "shared"), add_window<local_window>(t, "local");
  add_window<param_window>(t, "param");
}

}  // namespace ptx
