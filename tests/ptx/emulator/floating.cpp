// Floating-point arithmetic of 32 and 64 bits. PTX ISA 9.7.3. Compiled with -ffp-contract=off.
//
// Only round-to-nearest: other modes are refused. Approximate functions are computed in double and
// rounded once, which is nearer than a device has to be.
#include "floats.hpp"
#include "map.hpp"

namespace ptx {
namespace {

template <class T> void add_type(table& t, const std::string& type) {
  for (const char* rn : {"", ".rn"}) {
    t.add(std::string("add") + rn + type, map<T, T, T>([](T a, T b) { return canonical(a + b); }));
    t.add(std::string("sub") + rn + type, map<T, T, T>([](T a, T b) { return canonical(a - b); }));
    t.add(std::string("mul") + rn + type, map<T, T, T>([](T a, T b) { return canonical(a * b); }));
  }
  t.add("fma.rn" + type,
        map<T, T, T, T>([](T a, T b, T c) { return canonical(std::fma(a, b, c)); }));
  t.add("div.rn" + type, map<T, T, T>([](T a, T b) { return canonical(a / b); }));
  t.add("sqrt.rn" + type, map<T, T>([](T a) { return canonical(std::sqrt(a)); }));
  t.add("rcp.rn" + type, map<T, T>([](T a) { return canonical(T(1) / a); }));
  t.add("min" + type, map<T, T, T>([](T a, T b) { return least(a, b); }));
  t.add("max" + type, map<T, T, T>([](T a, T b) { return greatest(a, b); }));
  t.add("abs" + type, map<T, T>([](T a) { return std::fabs(a); }));
  t.add("neg" + type, map<T, T>([](T a) { return -a; }));
  t.add("copysign" + type, map<T, T, T>([](T a, T b) { return std::copysign(b, a); }));
  t.add("testp.finite" + type, map<std::uint8_t, T>([](T a) { return std::isfinite(a); }));
  t.add("testp.infinite" + type, map<std::uint8_t, T>([](T a) { return std::isinf(a); }));
  t.add("testp.notanumber" + type, map<std::uint8_t, T>([](T a) { return a != a; }));
}

void add_flushed(table& t) {
  using f = float;
  for (const char* rn : {"", ".rn"}) {
    const std::string type = std::string(rn) + ".ftz.f32";
    t.add("add" + type,
          map<f, f, f>([](f a, f b) { return flushed(canonical(flushed(a) + flushed(b))); }));
    t.add("sub" + type,
          map<f, f, f>([](f a, f b) { return flushed(canonical(flushed(a) - flushed(b))); }));
    t.add("mul" + type,
          map<f, f, f>([](f a, f b) { return flushed(canonical(flushed(a) * flushed(b))); }));
  }
  t.add("fma.rn.ftz.f32", map<f, f, f, f>([](f a, f b, f c) {
          return flushed(canonical(std::fma(flushed(a), flushed(b), flushed(c))));
        }));
}

void add_saturated(table& t) {
  using f = float;
  for (const char* rn : {"", ".rn"}) {
    t.add(std::string("add") + rn + ".sat.f32",
          map<f, f, f>([](f a, f b) { return saturated(a + b); }));
    t.add(std::string("mul") + rn + ".sat.f32",
          map<f, f, f>([](f a, f b) { return saturated(a * b); }));
  }
  t.add("fma.rn.sat.f32",
        map<f, f, f, f>([](f a, f b, f c) { return saturated(std::fma(a, b, c)); }));
}

void add_approximate(table& t) {
  using f = float;
  const auto add = [&](const std::string& name, auto g) {
    using G = decltype(g);
    t.add(name + ".approx.f32",
          map<f, f>([](f a) { return canonical(static_cast<f>(G{}(static_cast<double>(a)))); }));
    t.add(name + ".approx.ftz.f32", map<f, f>([](f a) {
            return flushed(canonical(static_cast<f>(G{}(static_cast<double>(flushed(a))))));
          }));
  };
  add("ex2", [](double x) { return std::exp2(x); });
  add("lg2", [](double x) { return std::log2(x); });
  add("rcp", [](double x) { return 1 / x; });
  add("sqrt", [](double x) { return std::sqrt(x); });
  add("rsqrt", [](double x) { return 1 / std::sqrt(x); });
  add("sin", [](double x) { return std::sin(x); });
  add("cos", [](double x) { return std::cos(x); });
  t.add("tanh.approx.f32", map<f, f>([](f a) {
          return canonical(static_cast<f>(std::tanh(static_cast<double>(a))));
        }));
  for (const char* name : {"div.full.f32", "div.approx.f32"})
    t.add(name, map<f, f, f>([](f a, f b) { return canonical(a / b); }));
}

}  // namespace

void add_floating(table& t) {
  add_type<float>(t, ".f32"), add_type<double>(t, ".f64");
  add_flushed(t), add_saturated(t), add_approximate(t);
}

}  // namespace ptx
