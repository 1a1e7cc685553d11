// Instructions that compute lane by lane, against semantics written from the PTX manual (9.0).
#include "opcodes.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

using opcodes::u32;
using opcodes::u64;
using opcodes::value;

namespace {

u64 f(float x) { return std::bit_cast<u32>(x); }
u64 g(double x) { return std::bit_cast<u64>(x); }
u32 low(u64 x) { return static_cast<u32>(x); }

/// Numbers at the edges and at random; the same ones every time.
std::vector<u64> samples() {
  std::vector<u64> out{0,
                       1,
                       2,
                       31,
                       32,
                       33,
                       0x7f,
                       0x80,
                       0xff,
                       0x7fff,
                       0x8000,
                       0xffff,
                       0x7fffffff,
                       0x80000000,
                       0xffffffff,
                       0x100000000,
                       0x7fffffffffffffff,
                       0x8000000000000000,
                       ~u64{0}};
  std::mt19937_64 random(5);
  for (int k = 0; k < 12; ++k) out.push_back(random());
  return out;
}

/// d = a op b for every pair of samples in one launch per 256 pairs.
template <class F> void pairs(const std::string& opcode, int bits, F&& wanted) {
  const u64 kept = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
  std::vector<u64> in;
  const auto s = samples();
  for (const u64 a : s)
    for (const u64 b : s) in.insert(in.end(), {a, b, 0, 0});
  const std::size_t n = in.size() / 4;
  for (std::size_t at = 0; at < n; at += 256) {
    const std::size_t count = std::min<std::size_t>(256, n - at);
    const auto first = in.begin() + static_cast<std::ptrdiff_t>(4 * at);
    const std::vector<u64> some(first, first + static_cast<std::ptrdiff_t>(4 * count));
    const auto out =
        opcodes::run(opcodes::module_of("ld.global.v2.u64 {%a, %b}, [%in];\n" + opcode +
                                        " %d, %a, %b;\nst.global.u64 [%out], %d;"),
                     some, count);
    for (std::size_t k = 0; k < count; ++k) {
      INFO(opcode << " of " << some[4 * k] << " and " << some[4 * k + 1]);
      REQUIRE((out[2 * k] & kept) ==
              (static_cast<u64>(wanted(some[4 * k], some[4 * k + 1])) & kept));
    }
  }
}

template <class T> void integers(const std::string& type) {
  constexpr int bits = 8 * sizeof(T);
  __extension__ using w = __int128;
  const auto t = [](u64 x) { return static_cast<T>(x); };
  pairs("add." + type, bits, [&](u64 a, u64 b) { return a + b; });
  pairs("sub." + type, bits, [&](u64 a, u64 b) { return a - b; });
  pairs("mul.lo." + type, bits, [&](u64 a, u64 b) { return a * b; });
  if constexpr (bits < 64 || std::is_signed_v<T>)
    pairs("mul.hi." + type, bits, [&](u64 a, u64 b) { return (w(t(a)) * w(t(b))) >> bits; });
  if constexpr (bits < 64)
    pairs("mul.wide." + type, 2 * bits, [&](u64 a, u64 b) { return w(t(a)) * w(t(b)); });
  pairs("min." + type, bits, [&](u64 a, u64 b) { return t(a) < t(b) ? a : b; });
  pairs("max." + type, bits, [&](u64 a, u64 b) { return t(a) > t(b) ? a : b; });
  pairs("div." + type, bits,
        [&](u64 a, u64 b) { return t(b) == 0 ? ~u64{0} : static_cast<u64>(w(t(a)) / w(t(b))); });
  pairs("rem." + type, bits,
        [&](u64 a, u64 b) { return t(b) == 0 ? a : static_cast<u64>(w(t(a)) % w(t(b))); });
  pairs("shr." + type, bits, [&](u64 a, u64 b) {
    const u32 by = std::min(static_cast<u32>(b), u32{bits});  // "clamped to the register width"
    return static_cast<u64>(w(t(a)) >> by);
  });
}

}  // namespace

TEST_CASE("integer arithmetic of every width") {
  integers<std::uint16_t>("u16"), integers<std::int16_t>("s16");
  integers<std::uint32_t>("u32"), integers<std::int32_t>("s32");
  integers<std::uint64_t>("u64"), integers<std::int64_t>("s64");
  CHECK(value("mad.lo.s32", {7, 6, ~u64{0}}) == 41);
  CHECK(value("mad.wide.u32", {0xffffffff, 0xffffffff, 1}) == 0xfffffffe00000002);
  CHECK(value("mad.wide.s32", {0xffffffff, 5, 3}) == ~u64{1});
  CHECK(value("mul.hi.u64", {~u64{0}, ~u64{0}}) == ~u64{1});
  CHECK(low(value("neg.s32", {5})) == 0xfffffffb);
  CHECK(low(value("abs.s32", {0xfffffffb})) == 5);
  CHECK(value("neg.s64", {1}) == ~u64{0});
}

/// d = (a, c) op (b, d) in two halves with the carry between; the bit that leaves shows in `last`.
template <class W, class F>
void carried(const std::string& op, const std::string& type, F&& wanted) {
  constexpr int bits = 8 * sizeof(W) / 2;
  const auto s = samples();
  std::vector<u64> in;
  for (std::size_t k = 0; k < 250; ++k)
    in.insert(in.end(), {s[k % s.size()], s[k * 7 % s.size()], s[k * 3 / 2 % s.size()],
                         s[(k * 11 + k / 29) % s.size()]});
  const auto run = [&](const std::string& last) {
    return opcodes::run(
        opcodes::module_of(
            "ld.global.v2.u64 {%a, %b}, [%in];\nld.global.v2.u64 {%c, %d}, [%in+16];\n" + op +
            ".cc." + type + " %e, %a, %b;\n" + op + "c." + last +
            "st.global.v2.u64 [%out], {%e, %f};"),
        in, 250);
  };
  const auto both = run(type + " %f, %c, %d;\n");
  const auto leaves =
      run("cc." + type + " %e, %c, %d;\nmov.u64 %f, 0;\n" + op + "c." + type + " %f, %f, %f;\n");
  const W kept = bits == 64 ? ~u64{0} : (u64{1} << bits) - 1;
  for (std::size_t k = 0; k < 250; ++k) {
    const W a = (W(in[4 * k + 2] & u64(kept)) << bits) | (in[4 * k] & u64(kept));
    const W b = (W(in[4 * k + 3] & u64(kept)) << bits) | (in[4 * k + 1] & u64(kept));
    const W r = wanted(a, b);
    REQUIRE((both[2 * k] & u64(kept)) == u64(r & kept));
    REQUIRE((both[2 * k + 1] & u64(kept)) == u64(r >> bits));
    const bool is_out = op == "add" ? r < a : a < b;
    REQUIRE((leaves[2 * k + 1] & u64(kept)) == (!is_out ? 0 : op == "add" ? 1 : u64(kept)));
  }
}

TEST_CASE("sums and differences of two words") {
  __extension__ typedef unsigned __int128 u128;
  for (const char* type : {"s64", "u64"}) {
    carried<u128>("add", type, [](u128 a, u128 b) { return a + b; });
    carried<u128>("sub", type, [](u128 a, u128 b) { return a - b; });
  }
  carried<u64>("add", "u32", [](u64 a, u64 b) { return a + b; });
  carried<u64>("sub", "u32", [](u64 a, u64 b) { return a - b; });
}

TEST_CASE("logic, shifts and bit fields") {
  pairs("and.b32", 32, [](u64 a, u64 b) { return a & b; });
  pairs("or.b64", 64, [](u64 a, u64 b) { return a | b; });
  pairs("xor.b16", 16, [](u64 a, u64 b) { return a ^ b; });
  pairs("shl.b32", 32, [](u64 a, u64 b) { return low(b) > 31 ? 0 : a << low(b); });
  pairs("shr.b64", 64, [](u64 a, u64 b) { return low(b) > 63 ? 0 : a >> low(b); });
  CHECK(low(value("not.b32", {0xf0f0f0f0})) == 0x0f0f0f0f);
  CHECK(value("popc.b32", {0xf0f0}) == 8);
  CHECK(value("popc.b64", {~u64{0}}) == 64);
  CHECK(value("clz.b32", {1}) == 31);
  CHECK(value("clz.b32", {0}) == 32);
  CHECK(value("clz.b64", {0}) == 64);
  CHECK(value("brev.b32", {1}) == 0x80000000);
  CHECK(value("brev.b64", {2}) == 0x4000000000000000);
  // bfind: the most significant one; for signed, the most significant that differs from the sign
  CHECK(value("bfind.u32", {0x8000}) == 15);
  CHECK(low(value("bfind.u32", {0})) == 0xffffffff);
  CHECK(value("bfind.s32", {0xfffffff0}) == 3);
  CHECK(low(value("bfind.s32", {0xffffffff})) == 0xffffffff);
  CHECK(value("bfind.shiftamt.u32", {0x8000}) == 16);
  CHECK(value("bfind.shiftamt.u64", {1}) == 63);
  // bfe: length 0 gives 0; beyond the top the sign goes on
  CHECK(value("bfe.u32", {0xabcd1234, 8, 8}) == 0x12);
  CHECK(low(value("bfe.s32", {0x00008000, 8, 8})) == 0xffffff80);
  CHECK(low(value("bfe.s32", {0x80000000, 28, 8})) == 0xfffffff8);
  CHECK(value("bfe.s32", {0xffffffff, 8, 0}) == 0);
  CHECK(value("bfe.u64", {0xff00, 8, 4}) == 0xf);
  CHECK(value("bfi.b32", {0xf, 0, 4, 4}) == 0xf0);
  CHECK(value("bfi.b32", {0, 0xffffffff, 28, 8}) == 0x0fffffff);
  CHECK(value("bmsk.clamp.b32", {4, 8}) == 0xff0);
  CHECK(value("bmsk.clamp.b32", {28, 8}) == 0xf0000000);
  CHECK(value("bmsk.clamp.b32", {33, 8}) == 0);
  // prmt: selector nibbles, the top bit of one replicates the byte's sign
  CHECK(value("prmt.b32", {0x33221100, 0x77665544, 0x0123}) == 0x00112233);
  CHECK(value("prmt.b32", {0x33221180, 0x77665544, 0x7658}) == 0x776655ff);
  CHECK(value("lop3.b32", {0xf0, 0xcc, 0xaa, 0xe2}) == 0xe2);
  CHECK(low(value("lop3.b32", {0xf0, 0xcc, 0xaa, 0x01})) == 0xffffff01);
  CHECK(value("shf.l.wrap.b32", {0x80000000, 1, 1}) == 3);
  CHECK(value("shf.r.wrap.b32", {0, 1, 33}) == 0x80000000);
  CHECK(value("shf.r.clamp.b32", {0, 0x1234, 40}) == 0x1234);
  CHECK(value("shf.l.clamp.b32", {0x1234, 5, 32}) == 0x1234);
}

TEST_CASE("single precision rounds once and has one NaN") {
  const float tiny = std::bit_cast<float>(1u), big = std::numeric_limits<float>::max();
  CHECK(value("add.rn.f32", {f(1.0f), f(0x1p-24f)}) == f(1.0f));
  CHECK(value("add.rn.f32", {f(1.0f), f(0x1.000002p-24f)}) == f(0x1.000002p0f));
  CHECK(value("add.f32", {f(tiny), f(tiny)}) == 2);  // subnormals are kept
  CHECK(value("mul.rn.f32", {f(big), f(2.0f)}) == f(INFINITY));
  CHECK(value("sub.rn.f32", {f(INFINITY), f(INFINITY)}) == 0x7fffffff);
  CHECK(value("add.rn.f32", {0xffc12345, f(1.0f)}) == 0x7fffffff);
  CHECK(value("add.rn.f32", {f(-0.0f), f(-0.0f)}) == f(-0.0f));
  // fma: (1 + 2^-12)^2 - 1 is 2^-11 + 2^-24 exactly; rounding the product loses the last term
  CHECK(value("fma.rn.f32", {f(0x1.001p0f), f(0x1.001p0f), f(-1.0f)}) == f(0x1.0008p-11f));
  CHECK(value("mul.rn.f32", {f(0x1.001p0f), f(0x1.001p0f)}) == f(0x1.002p0f));
  CHECK(value("div.rn.f32", {f(1.0f), f(3.0f)}) == 0x3eaaaaab);
  CHECK(value("sqrt.rn.f32", {f(2.0f)}) == 0x3fb504f3);
  CHECK(value("sqrt.rn.f32", {f(-1.0f)}) == 0x7fffffff);
  CHECK(value("rcp.rn.f32", {f(-0.0f)}) == f(-INFINITY));
  // min and max: a number before NaN, -0 before +0
  CHECK(value("min.f32", {0x7fc00001, f(3.0f)}) == f(3.0f));
  CHECK(value("max.f32", {f(3.0f), 0x7fc00001}) == f(3.0f));
  CHECK(value("max.f32", {0x7fc00001, 0xffc00001}) == 0x7fffffff);
  CHECK(value("min.f32", {f(0.0f), f(-0.0f)}) == f(-0.0f));
  CHECK(value("max.f32", {f(-0.0f), f(0.0f)}) == f(0.0f));
  CHECK(value("neg.f32", {f(0.0f)}) == f(-0.0f));
  CHECK(value("abs.f32", {f(-2.0f)}) == f(2.0f));
  CHECK(value("copysign.f32", {f(-1.0f), f(2.0f)}) == f(-2.0f));
  CHECK(value("add.ftz.f32", {f(tiny), f(tiny)}) == 0);
  CHECK(value("mul.rn.ftz.f32", {f(-0x1p-100f), f(0x1p-30f)}) == f(-0.0f));
  CHECK(value("fma.rn.sat.f32", {f(2.0f), f(2.0f), f(0.0f)}) == f(1.0f));
  CHECK(value("add.sat.f32", {f(NAN), f(0.0f)}) == 0);
  CHECK(value("ex2.approx.ftz.f32", {f(3.0f)}) == f(8.0f));
  CHECK(value("lg2.approx.f32", {f(8.0f)}) == f(3.0f));
  CHECK(value("rsqrt.approx.f32", {f(4.0f)}) == f(0.5f));
}

TEST_CASE("double precision") {
  CHECK(value("add.rn.f64", {g(1.0), g(0x1p-53)}) == g(1.0));
  CHECK(value("sub.f64", {g(1.0), g(3.0)}) == g(-2.0));
  CHECK(value("mul.rn.f64", {g(0x1.0000001p0), g(0x1.0000001p0)}) ==
        g(0x1.0000002p0 + 0x1p-56 * 0));
  CHECK(value("fma.rn.f64", {g(0x1.0000001p0), g(0x1.0000001p0), g(-1.0)}) == g(0x1p-27 + 0x1p-56));
  CHECK(value("div.rn.f64", {g(1.0), g(3.0)}) == 0x3fd5555555555555);
  CHECK(value("rcp.rn.f64", {g(4.0)}) == g(0.25));
  CHECK(value("sqrt.rn.f64", {g(9.0)}) == g(3.0));
  CHECK(value("max.f64", {g(1.0), g(2.0)}) == g(2.0));
}

TEST_CASE("16-bit floats round once from the exact result") {
  CHECK(value("add.f16", {0x3c00, 0x3c00}) == 0x4000);     // 1 + 1
  CHECK(value("add.rn.f16", {0x3c00, 0x1000}) == 0x3c00);  // 1 + 2^-11: a tie, to even
  CHECK(value("add.rn.f16", {0x3c01, 0x1000}) == 0x3c02);  // a tie, to even, upwards
  CHECK(value("mul.rn.f16", {0x7bff, 0x4000}) == 0x7c00);  // 65504 * 2: infinity
  CHECK(value("mul.rn.f16", {0x0001, 0x3800}) == 0x0000);  // half of the least: to even
  CHECK(value("mul.rn.f16", {0x0003, 0x3800}) == 0x0002);  // 1.5 of the least
  // 2048 * 1 + 1.0009765625: above the tie at 2049 and therefore 2050; rounded twice it were 2048
  CHECK(value("fma.rn.f16", {0x6800, 0x3c00, 0x3c01}) == 0x6801);
  CHECK(value("fma.rn.bf16", {0x3f80, 0x3f80, 0x3b80}) == 0x3f80);  // 1 + 2^-8: a tie, to even
  CHECK(value("fma.rn.bf16", {0x3f80, 0x3f81, 0x3b80}) == 0x3f82);
  // 1 + 2^-8 + 2^-40: above the tie, which a sum rounded to float first would not be
  CHECK(value("fma.rn.bf16", {0x2b80, 0x3f80, 0x3f80}) == 0x3f80);
  CHECK(value("fma.rn.bf16", {0x3f81, 0x3b81, 0x3f80}) == 0x3f81);
  CHECK(value("add.rn.bf16", {0x7f7f, 0x7f7f}) == 0x7f80);
  CHECK(value("add.f16", {0x7e00, 0x3c00}) == 0x7fff);
  CHECK(value("fma.rn.f16x2", {0x40003c00, 0x40003c00, 0x3c003c00}) == 0x45004000);
  CHECK(value("neg.bf16x2", {0x3f80bf80}) == 0xbf803f80);
  CHECK(value("max.bf16", {0x3f80, 0x7fc1}) == 0x3f80);
}

TEST_CASE("conversions") {
  CHECK(value("cvt.u64.u32", {0xdeadbeef80000000}) == 0x80000000);
  CHECK(value("cvt.s64.s32", {0x80000000}) == 0xffffffff80000000);
  CHECK(value("cvt.u64.s32", {0xffffffff}) == ~u64{0});
  CHECK(low(value("cvt.u32.u8", {0x1ff})) == 0xff);
  CHECK(low(value("cvt.s32.s8", {0x80})) == 0xffffff80);
  CHECK(value("cvt.sat.u8.s32", {0xffffffff}) == 0);
  CHECK(value("cvt.sat.u8.s32", {300}) == 255);
  CHECK(value("cvt.rn.f32.u64", {~u64{0}}) == f(0x1p64f));
  CHECK(value("cvt.rn.f32.s32", {0x01000001}) == f(16777216.0f));
  CHECK(value("cvt.rn.f64.s64", {~u64{0}}) == g(-1.0));
  CHECK(value("cvt.rzi.s32.f32", {f(-2.7f)}) == 0xfffffffffffffffe);
  CHECK(value("cvt.rni.s32.f32", {f(2.5f)}) == 2);
  CHECK(value("cvt.rni.s32.f32", {f(3.5f)}) == 4);
  CHECK(value("cvt.rmi.s32.f32", {f(-2.1f)}) == 0xfffffffffffffffd);
  CHECK(value("cvt.rpi.s32.f32", {f(2.1f)}) == 3);
  CHECK(value("cvt.rzi.u32.f32", {f(-5.0f)}) == 0);  // clamped
  CHECK(low(value("cvt.rzi.s32.f32", {f(3e9f)})) == 0x7fffffff);
  CHECK(value("cvt.rzi.s32.f32", {f(NAN)}) == 0);
  CHECK(value("cvt.rzi.s64.f64", {g(NAN)}) == 0x8000000000000000);
  CHECK(value("cvt.rni.f32.f32", {f(-2.5f)}) == f(-2.0f));
  CHECK(value("cvt.f64.f32", {f(0.1f)}) == g(static_cast<double>(0.1f)));
  CHECK(value("cvt.rn.f32.f64", {g(0.1)}) == f(0.1f));
  CHECK(value("cvt.sat.f32.f32", {f(1.5f)}) == f(1.0f));
  CHECK(value("cvt.f32.f16", {0x0001}) == f(0x1p-24f));
  CHECK(value("cvt.f32.bf16", {0xbf80}) == f(-1.0f));
  CHECK(value("cvt.rn.f16.f32", {f(65520.0f)}) == 0x7c00);
  CHECK(value("cvt.rn.f16.f32", {f(65519.0f)}) == 0x7bff);
  CHECK(value("cvt.rn.bf16.f32", {f(1.00390625f)}) == 0x3f80);  // a tie, to even
  CHECK(value("cvt.rn.bf16x2.f32", {f(2.0f), f(1.0f)}) == 0x40003f80);
  CHECK(value("cvt.rn.f16x2.f32", {f(2.0f), f(1.0f)}) == 0x40003c00);
}

namespace {

/// setp of two values and a third predicate; bit 0 is p, bit 1 its complement q.
u64 compared(const std::string& opcode, u64 a, u64 b, const std::string& third = "") {
  const auto out = opcodes::run(
      opcodes::module_of("ld.global.v2.u64 {%a, %b}, [%in];\nsetp.eq.u32 %r, 1, 1;\n" + opcode +
                         " %p|%q, %a, %b" + third +
                         ";\nselp.u64 %d, 1, 0, %p;\nselp.u64 %e, 2, 0, %q;\nor.b64 %d, %d, %e;\n"
                         "st.global.u64 [%out], %d;"),
      {a, b}, 1);
  return out[0];
}

}  // namespace

TEST_CASE("comparisons") {
  CHECK(compared("setp.lt.s32", 0xffffffff, 0) == 1);
  CHECK(compared("setp.lt.u32", 0xffffffff, 0) == 2);
  CHECK(compared("setp.eq.s16", 0x10001, 1) == 1);
  CHECK(compared("setp.ge.s64", u64{1} << 63, 0) == 2);
  const u64 nan = f(NAN), one = f(1.0f);
  for (const std::string c : {"eq", "ne", "lt", "le", "gt", "ge", "num"})
    CHECK(compared("setp." + c + ".f32", nan, one) == 2);
  for (const std::string c : {"equ", "neu", "ltu", "leu", "gtu", "geu", "nan"})
    CHECK(compared("setp." + c + ".f32", nan, one) == 1);
  CHECK(compared("setp.eq.f32", f(0.0f), f(-0.0f)) == 1);
  CHECK(compared("setp.neu.f64", g(2.0), g(1.0)) == 1);
  CHECK(compared("setp.gt.f16", 0x4000, 0x3c00) == 1);
  // p = (a < b) and r, q = !(a < b) and r
  CHECK(compared("setp.lt.and.u32", 1, 2, ", %r") == 1);
  CHECK(compared("setp.lt.or.u32", 2, 1, ", %r") == 3);
  CHECK(compared("setp.lt.xor.u32", 1, 2, ", %r") == 2);
}

namespace {

/// Every comparison of a type, on every pair of some values.
template <class T> void comparisons(const std::string& type, const std::vector<T>& values) {
  const auto bits = [](T x) {
    if constexpr (std::is_same_v<T, float>)
      return f(x);
    else if constexpr (std::is_same_v<T, double>)
      return g(x);
    else
      return static_cast<u64>(x);
  };
  for (const T a : values)
    for (const T b : values) {
      const bool less = a < b, equal = a == b, greater = a > b, number = less || equal || greater;
      const auto expect = [&](const std::string& op, bool wanted) {
        INFO(op << "." << type << " of " << a << " and " << b);
        CHECK(compared("setp." + op + "." + type, bits(a), bits(b)) == (wanted ? 1 : 2));
      };
      expect("eq", equal), expect("ne", less || greater), expect("lt", less);
      expect("le", less || equal), expect("gt", greater), expect("ge", greater || equal);
      if constexpr (std::is_floating_point_v<T>) {
        expect("equ", !number || equal), expect("neu", !equal), expect("ltu", !number || less);
        expect("leu", !greater), expect("gtu", !number || greater), expect("geu", !less);
        expect("num", number), expect("nan", !number);
      } else {
        const std::string width = "b" + type.substr(1);
        CHECK(compared("setp.eq." + width, bits(a), bits(b)) == (equal ? 1 : 2));
        CHECK(compared("setp.ne." + width, bits(a), bits(b)) == (equal ? 2 : 1));
      }
    }
}

}  // namespace

TEST_CASE("every comparison of every type") {
  comparisons<std::uint16_t>("u16", {0, 1, 0x8000});
  comparisons<std::int16_t>("s16", {0, 1, -1});
  comparisons<std::uint32_t>("u32", {0, 1, 0x80000000});
  comparisons<std::int32_t>("s32", {0, 1, -1});
  comparisons<std::uint64_t>("u64", {0, 1, u64{1} << 63});
  comparisons<std::int64_t>("s64", {0, 1, -1});
  comparisons<float>("f32", {0.0f, -0.0f, 1.0f, -2.0f, NAN, INFINITY});
  comparisons<double>("f64", {0.0, -0.0, 1.0, -2.0, static_cast<double>(NAN)});
}

TEST_CASE("moves and selections keep the bits; logic of predicates") {
  const u64 x = 0x8877665544332211;
  for (const std::string type : {"u16", "s16", "u32", "s32", "f32", "u64", "s64", "f64"}) {
    const u64 kept = type.ends_with("16") ? 0xffff : type.ends_with("32") ? 0xffffffff : ~u64{0};
    CHECK((value("mov." + type, {x}) & kept) == (x & kept));
  }
  for (const std::string type :
       {"b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"}) {
    const u64 kept = type.ends_with("16") ? 0xffff : type.ends_with("32") ? 0xffffffff : ~u64{0};
    for (const u64 third : {u64{0}, u64{1}}) {
      const auto out = opcodes::run(
          opcodes::module_of("ld.global.v2.u64 {%a, %b}, [%in];\nld.global.u64 %c, [%in+16];\n"
                             "setp.ne.u64 %p, %c, 0;\nselp." +
                             type +
                             " %d, %a, %b, %p;\n"
                             "st.global.u64 [%out], %d;"),
          {x, ~x, third}, 1);
      CHECK((out[0] & kept) == ((third != 0 ? x : ~x) & kept));
    }
  }
  const auto logic = [](const std::string& op, u64 a, u64 b) {
    return opcodes::run(
        opcodes::module_of("ld.global.v2.u64 {%a, %b}, [%in];\nsetp.ne.u64 %p, %a, 0;\n"
                           "setp.ne.u64 %q, %b, 0;\nmov.pred %r, %q;\n" +
                           op + "\nselp.u64 %d, 1, 0, %r;\nst.global.u64 [%out], %d;"),
        {a, b}, 1)[0];
  };
  for (const u64 a : {u64{0}, u64{1}})
    for (const u64 b : {u64{0}, u64{1}}) {
      CHECK(logic("and.pred %r, %p, %q;", a, b) == (a & b));
      CHECK(logic("or.pred %r, %p, %q;", a, b) == (a | b));
      CHECK(logic("xor.pred %r, %p, %q;", a, b) == (a ^ b));
      CHECK(logic("not.pred %r, %p;", a, b) == 1 - a);
      CHECK(logic("", a, b) == b);
    }
  pairs("and.b64", 64, [](u64 a, u64 b) { return a & b; });
  pairs("and.b16", 16, [](u64 a, u64 b) { return a & b; });
  pairs("or.b16", 16, [](u64 a, u64 b) { return a | b; });
  pairs("or.b32", 32, [](u64 a, u64 b) { return a | b; });
  pairs("xor.b32", 32, [](u64 a, u64 b) { return a ^ b; });
  pairs("xor.b64", 64, [](u64 a, u64 b) { return a ^ b; });
  pairs("shl.b64", 64, [](u64 a, u64 b) { return low(b) > 63 ? 0 : a << low(b); });
  pairs("shr.b32", 32, [](u64 a, u64 b) { return low(b) > 31 ? 0 : low(a) >> low(b); });
  CHECK(value("not.b64", {x}) == ~x);
  CHECK(value("neg.f64", {g(0.0)}) == g(-0.0));
  CHECK(value("add.f64", {g(1.5), g(2.0)}) == g(3.5));
  CHECK(value("sub.rn.f64", {g(1.5), g(2.0)}) == g(-0.5));
  CHECK(low(value("cvt.u32.u16", {0x12345})) == 0x2345);
  CHECK(low(value("cvt.u32.u64", {x})) == low(x));
}
