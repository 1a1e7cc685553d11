// What lanes, warps and blocks do together, against semantics written from the PTX manual (9.0).
#include "opcodes.hpp"

#include <doctest/doctest.h>

#include <string>

using opcodes::complaint;
using opcodes::module_of;
using opcodes::run;
using opcodes::u32;
using opcodes::u64;

namespace {

/// A body that leaves %d, run by threads whose %a is 10 * thread; the results.
std::vector<u64> each(const std::string& body, std::size_t threads = 32, u64 seed = 0) {
  std::vector<u64> in(threads * 4);
  for (std::size_t k = 0; k < threads; ++k) in[4 * k] = 10 * k;
  const auto out = run(module_of("ld.global.u64 %a, [%in];\nmov.u64 %d, 0;\n" + body +
                                 "\nst.global.u64 [%out], %d;"),
                       in, threads, 1, seed);
  std::vector<u64> first;
  for (std::size_t k = 0; k < threads; ++k) first.push_back(out[2 * k] & 0xffffffff);
  return first;
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

const u32 full = 0xffffffff;

}  // namespace

TEST_CASE("shuffles, with clamp and segments") {
  // up: lane - b while it is not below the segment, else its own
  auto up = each("shfl.sync.up.b32 %d|%p, %a, 3, 0, -1;");
  // segments of 8: the mask in bits 8 to 12 of c is 24, the clamp of `down` 7
  auto down = each("shfl.sync.down.b32 %d, %a, 2, 0x1807, -1;");
  auto bfly = each("shfl.sync.bfly.b32 %d, %a, 5, 31, -1;");
  auto idx = each("shfl.sync.idx.b32 %d, %a, 9, 0x181f, -1;");
  auto predicate = each("shfl.sync.up.b32 %e|%p, %a, 3, 0, -1;\nselp.u64 %d, 1, 0, %p;");
  for (u64 k = 0; k < 32; ++k) {
    CHECK(up[k] == 10 * (k < 3 ? k : k - 3));
    CHECK(down[k] == 10 * (k % 8 + 2 > 7 ? k : k + 2));
    CHECK(bfly[k] == 10 * (k ^ 5));
    CHECK(idx[k] == 10 * (k / 8 * 8 + 1));
    CHECK(predicate[k] == (k >= 3 ? 1 : 0));
  }
}

TEST_CASE("votes, matches and reductions over a mask") {
  const std::string odd = "and.b32 %b, %x0, 1;\nsetp.eq.u32 %p, %b, 1;\n";
  for (const u64 d : each(odd + "vote.sync.ballot.b32 %d, %p, -1;")) CHECK(d == 0xaaaaaaaa);
  const std::string as_number = "\nselp.u64 %d, 1, 0, %q;";
  for (const u64 d : each(odd + "vote.sync.any.pred %q, %p, -1;" + as_number)) CHECK(d == 1);
  for (const u64 d : each(odd + "vote.sync.all.pred %q, %p, -1;" + as_number)) CHECK(d == 0);
  for (const u64 d : each(odd + "vote.sync.uni.pred %q, %p, -1;" + as_number)) CHECK(d == 0);
  // two halves with masks of their own at one instruction
  const std::string half =
      "shr.u32 %b, %x0, 4;\nsetp.eq.u32 %p, %b, 0;\nselp.b32 %c, 0xffff, "
      "0xffff0000, %p;\n";
  const auto sums = each(half + "redux.sync.add.u32 %d, %a, %c;");
  for (u64 k = 0; k < 32; ++k) CHECK(sums[k] == (k < 16 ? 1200 : 3760));
  for (const u64 d : each("sub.s32 %b, 5, %x0;\nredux.sync.min.s32 %d, %b, -1;"))
    CHECK(static_cast<std::int32_t>(d) == -26);
  for (const u64 d : each("sub.s32 %b, 5, %x0;\nredux.sync.max.u32 %d, %b, -1;"))
    CHECK(d == 0xffffffff);
  for (const u64 d : each("redux.sync.or.b32 %d, %x0, -1;")) CHECK(d == 31);
  for (const u64 d : each("redux.sync.and.b32 %d, %x0, -1;")) CHECK(d == 0);
  for (const u64 d : each("redux.sync.xor.b32 %d, %x0, -1;")) CHECK(d == 0);
  for (const u64 d : each("redux.sync.add.s32 %d, %x0, -1;")) CHECK(d == 496);
  for (const u64 d : each("sub.s32 %b, 5, %x0;\nredux.sync.max.s32 %d, %b, -1;")) CHECK(d == 5);
  for (const u64 d : each("add.u32 %b, %x0, 3;\nredux.sync.min.u32 %d, %b, -1;")) CHECK(d == 3);
  for (const u64 d : each("activemask.b32 %d;")) CHECK(d == full);
  for (const u64 d : each("elect.sync %d|%p, -1;")) CHECK(d == 0);
  const auto same = each("and.b32 %b, %x0, 3;\nmatch.any.sync.b32 %d, %b, -1;");
  for (u64 k = 0; k < 32; ++k) CHECK(same[k] == u64{0x11111111} << (k % 4));
  for (const u64 d : each("match.all.sync.b32 %d|%p, 7, -1;")) CHECK(d == full);
  for (const u64 d : each("match.all.sync.b32 %d|%p, %x0, -1;")) CHECK(d == 0);
}

TEST_CASE("branches part lanes and join them again, under any schedule") {
  // each lane loops as often as its number; then all meet in a vote
  const std::string loop =
      "mov.u32 %b, 0;\nAGAIN:\nsetp.ge.u32 %p, %b, %x0;\n@%p bra DONE;\nadd.u32 %b, %b, 1;\n"
      "add.u32 %d, %d, 2;\nbra AGAIN;\nDONE:\nsetp.eq.u32 %q, %b, %x0;\n"
      "vote.sync.ballot.b32 %c, %q, -1;\nand.b32 %c, %c, 0x100;\nadd.u32 %d, %d, %c;";
  for (u64 seed = 0; seed < 6; ++seed) {
    const auto out = each(loop, 32, seed);
    for (u64 k = 0; k < 32; ++k) CHECK(out[k] == 2 * k + 0x100);
  }
  const auto table = each(
      "and.b32 %b, %x0, 3;\nTS: .branchtargets T0, T1, T2, T1;\nbrx.idx %b, TS;\n"
      "T0: mov.u32 %d, 5; bra E;\nT1: mov.u32 %d, 6; bra E;\nT2: mov.u32 %d, 7;\nE:");
  for (u64 k = 0; k < 32; ++k) CHECK(table[k] == (k % 4 == 0 ? 5 : k % 4 == 2 ? 7 : 6));
}

TEST_CASE("barriers with and without a reduction, atomics, shared memory") {
  const std::string shared = ".shared .align 16 .b8 s[1024];\n";
  const std::string reverse =
      "shl.b32 %b, %x0, 3;\nmov.u32 %c, s;\nadd.u32 %b, %b, %c;\nst.shared.u64 [%b], %a;\n"
      "bar.sync 0;\nsub.u32 %e, 1016, %b;\nld.shared.u64 %d, [%e];";
  std::vector<u64> in(512);
  for (std::size_t k = 0; k < 128; ++k) in[4 * k] = 10 * k;
  for (u64 seed = 0; seed < 4; ++seed) {
    const auto out = run(
        module_of(shared + "ld.global.u64 %a, [%in];\n" + reverse + "\nst.global.u64 [%out], %d;"),
        in, 128, 1, seed);
    for (u64 k = 0; k < 128; ++k) CHECK(out[2 * k] == 10 * (127 - k));
  }
  const std::string odd = "and.b32 %b, %x0, 1;\nsetp.eq.u32 %p, %b, 1;\n";
  for (const u64 d : each(odd + "bar.red.popc.u32 %d, 0, %p;", 96)) CHECK(d == 48);
  for (const u64 d : each(odd + "bar.red.or.pred %q, 0, %p;\nselp.u64 %d, 1, 0, %q;", 96))
    CHECK(d == 1);
  for (const u64 d : each(odd + "bar.red.and.pred %q, 0, %p;\nselp.u64 %d, 1, 0, %q;", 96))
    CHECK(d == 0);
  // a ticket for every thread of every warp
  const std::string tickets = shared +
                              "setp.eq.u32 %p, %x0, 0;\n@%p st.shared.u32 [s], 0;\nbar.sync 0;\n"
                              "atom.shared.add.u32 %d, [s], 1;";
  u64 seen = 0;
  for (const u64 d : each(tickets, 64, 2)) seen |= u64{1} << d;
  CHECK(seen == ~u64{0});
}

TEST_CASE("atomics") {
  const std::string global = ".global .align 8 .u64 g = 100;\n";
  const auto atom = [&](const std::string& body) {
    return run(module_of("mov.u64 %a, g;\n" + body +
                             "\nld.global.u64 %e, [%a];\n"
                             "st.global.v2.u64 [%out], {%d, %e};",
                         global),
               {}, 1);
  };
  using pair = std::vector<u64>;
  CHECK(atom("atom.global.add.u64 %d, [%a], 5;") == pair{100, 105});
  CHECK(atom("atom.global.add.u32 %d, [%a], -1;") == pair{100, 99});
  CHECK(atom("atom.global.max.s32 %d, [%a], -7;") == pair{100, 100});
  CHECK(atom("atom.global.max.u32 %d, [%a], 700;") == pair{100, 700});
  CHECK(atom("atom.global.min.s64 %d, [%a], -7;") == pair{100, ~u64{6}});
  CHECK(atom("atom.global.or.b32 %d, [%a], 3;") == pair{100, 103});
  CHECK(atom("atom.global.and.b32 %d, [%a], 4;") == pair{100, 4});
  CHECK(atom("atom.global.xor.b64 %d, [%a], 1;") == pair{100, 101});
  CHECK(atom("atom.global.exch.b64 %d, [%a], 9;") == pair{100, 9});
  CHECK(atom("atom.global.cas.b64 %d, [%a], 100, 8;") == pair{100, 8});
  CHECK(atom("atom.global.cas.b64 %d, [%a], 99, 8;") == pair{100, 100});
  CHECK(atom("atom.global.inc.u32 %d, [%a], 100;") == pair{100, 0});
  CHECK(atom("atom.global.dec.u32 %d, [%a], 50;") == pair{100, 50});
  CHECK(atom("mov.u64 %d, 0;\nred.global.add.u64 [%a], 5;") == pair{0, 105});
  CHECK(atom("atom.add.release.gpu.u64 %d, [%a], 5;") == pair{100, 105});
}

TEST_CASE("loads and stores of every width, and generic addresses") {
  const auto loaded = [](const std::string& body) {
    return run(module_of(body + "\nst.global.v2.u64 [%out], {%d, %e};"),
               {0x8899aabbccddeeff, 0x0011223344556677}, 1);
  };
  using pair = std::vector<u64>;
  CHECK(loaded("ld.global.u8 %d, [%in+1];\nld.global.s8 %e, [%in];") == pair{0xee, ~u64{0}});
  CHECK(loaded("ld.global.u16 %d, [%in+2];\nld.global.s16 %e, [%in+6];") ==
        pair{0xccdd, 0xffffffffffff8899});
  CHECK(loaded("ld.global.nc.u32 %d, [%in];\nld.global.s32 %e, [%in+4];") ==
        pair{0xccddeeff, 0xffffffff8899aabb});
  CHECK(loaded("ld.global.L1::no_allocate.v2.u64 {%d, %e}, [%in];") ==
        pair{0x8899aabbccddeeff, 0x0011223344556677});
  CHECK(loaded("ld.global.v4.u8 {%d, %e, %a, %b}, [%in];") == pair{0xff, 0xee});
  CHECK(loaded(".shared .align 8 .u64 s;\nmov.u64 %a, s;\ncvta.shared.u64 %a, %a;\n"
               "st.u64 [%a], 77;\nld.shared.u64 %d, [s];\nisspacep.shared %p, %a;\n"
               "selp.u64 %e, 1, 0, %p;") == pair{77, 1});
  CHECK(loaded(".local .align 8 .b8 l[16];\nmov.u64 %a, l;\nst.local.u32 [%a+4], 5;\n"
               "cvta.local.u64 %a, %a;\nld.u32 %d, [%a+4];\nmov.u64 %e, 1;") == pair{5, 1});
  CHECK(loaded("mov.b64 %a, {%in, 7};\nmov.b64 {%b, %d}, %a;\nmov.b32 {%e, _}, 0x50003;") ==
        pair{7, 3});
}

TEST_CASE("each width through each memory, alone and in vectors, whatever the order asked for") {
  const u64 words[4] = {0x8899aabbccddeeff, 0x0011223344556677, 0x123456789abcdef0, 0xfedcba98};
  for (const std::string where : {"global", "shared", "local"})
    for (const std::string type : {"u8", "u16", "u32", "f32", "u64", "f64"})
      for (const int n : {1, 2, 4}) {
        const int size = type.ends_with("8")    ? 1
                         : type.ends_with("16") ? 2
                         : type.ends_with("32") ? 4
                                                : 8;
        if (size * n > 16) continue;
        const std::string names[] = {"%a", "%b", "%c", "%d"};
        std::string vector;
        for (int k = 0; k < n; ++k) vector += (k == 0 ? "" : ", ") + names[k];
        const std::string form = (n > 1 ? ".v" + std::to_string(n) : "") + "." + type;
        if (n > 1) vector = "{" + vector + "}";
        // in global memory the bytes go to the result themselves, else by way of the other memory
        std::string body =
            ".shared .align 16 .b8 s[64];\n.local .align 16 .b8 l[64];\n"
            "ld.global" +
            form + " " + vector + ", [%in];\n";
        if (where != "global") {
          const std::string at = where == "shared" ? "[s+16]" : "[l+16]";
          body += "st." + where + form + " " + at + ", " + vector + ";\n";
          for (int k = 0; k < n; ++k) body += "mov.u64 " + names[k] + ", 0;\n";
          body += "ld." + where + form + " " + vector + ", " + at + ";\n";
        }
        body += "st.global.v2.u64 [%out], {0, 0};\nst.global" + form + " [%out], " + vector + ";";
        const auto out = run(module_of(body), {words[0], words[1], words[2], words[3]}, 1);
        u64 wanted[2] = {};
        std::memcpy(wanted, words, static_cast<std::size_t>(size * n));
        INFO(where << form);
        CHECK(out == std::vector<u64>{wanted[0], wanted[1]});
      }
  for (const std::string order : {"relaxed.gpu", "acquire.gpu", "volatile", "weak"}) {
    const std::string write = order == "acquire.gpu" ? "release.gpu" : order;
    const auto out = run(module_of("mov.u64 %a, g;\nst." + write +
                                       ".global.v2.u32 [%a], {7, 9};\n"
                                       "membar.gl;\nfence.acq_rel.gpu;\nnanosleep.u32 5;\n"
                                       "ld." +
                                       order +
                                       ".global.v2.u32 {%b, %c}, [%a];\n"
                                       "st.global.v2.u64 [%out], {%b, %c};",
                                   ".global .align 8 .b8 g[8] = {1, 2};\n"),
                         {}, 1);
    CHECK(out == std::vector<u64>{7, 9});
  }
}

TEST_CASE("faults are found, and end the launch") {
  const std::string shared = ".shared .align 16 .b8 s[128];\n";
  CHECK(says(complaint(module_of("ld.global.u32 %a, [%in+1024];")), "out of bounds: a read"));
  CHECK(says(complaint(module_of("st.global.u32 [%out+1024], %x0;")), "out of bounds: a write"));
  CHECK(says(complaint(module_of("ld.global.u32 %a, [64];")), "no device address"));
  CHECK(
      says(complaint(module_of("ld.global.v4.u32 {%a, %b, %c, %d}, [%in+4];")), "misaligned: 16"));
  CHECK(says(complaint(module_of("ld.global.u32 %a, [%out];")), "uninitialised"));
  CHECK(says(complaint(module_of(shared + "ld.shared.u32 %a, [s];")), "uninitialised"));
  CHECK(says(complaint(module_of(shared + "st.shared.u32 [s+128], 1;")), "shared memory"));
  CHECK(says(complaint(module_of(shared + "st.shared.u32 [s], %x0;")), "race"));
  CHECK(complaint(module_of(shared + "st.shared.u32 [s], 1;")) == "");  // all write the same
  CHECK(says(complaint(module_of("setp.lt.u32 %p, %x0, 7;\n@%p bar.sync 0;\nbar.sync 0;")),
             "divergent barrier"));
  CHECK(
      says(complaint(module_of("setp.lt.u32 %p, %x0, 7;\n@%p bar.warp.sync -1;")), "member mask"));
  CHECK(says(complaint(module_of("HERE: bra HERE;")), "no end"));
  CHECK(says(complaint(module_of("trap;")), "trap"));
  const std::string constant = ".const .align 8 .u64 c = 1;\n";
  CHECK(says(complaint(module_of("mov.u64 %a, c;\nst.global.u64 [%a], 1;", constant)),
             "a write to constant memory"));
  // blocks: a plain write that another block reads
  const std::string global = ".global .align 8 .u64 g = 0;\n";
  const std::string add =
      "setp.eq.u32 %p, %x0, 0;\n@!%p bra E;\nmov.u64 %a, g;\n"
      "ld.global.u64 %b, [%a];\nst.global.u64 [%a], %b;\nE:";
  CHECK(says(complaint(module_of(add, global), 32, 2), "in block"));
  CHECK(complaint(module_of(add, global), 32, 1) == "");
}

TEST_CASE("what is unknown is refused by name, before anything runs") {
  CHECK(says(complaint(module_of("wgmma.fence.sync.aligned;")), "wgmma.fence.sync.aligned"));
  CHECK(says(complaint(module_of("add.rz.f32 %a, %b, %c;")), "add.rz.f32"));
  CHECK(says(complaint(module_of("mov.u32 %a, %clusterid.x;")), "%clusterid.x"));
  CHECK(says(complaint(module_of("bra NOWHERE;")), "NOWHERE"));
  CHECK(says(complaint(module_of("call.uni f, (%a);")), "call.uni"));
  CHECK(says(complaint(".version 9.0\n.target sm_80\n.surprise\n"), ".surprise"));
}
