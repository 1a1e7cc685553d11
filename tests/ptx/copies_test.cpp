// cp.async, ldmatrix and mma against semantics written from the PTX manual
// (9.0, 9.7.9.25, 9.7.14.5).
#include "opcodes.hpp"

#include <doctest/doctest.h>

#include <string>

using opcodes::complaint;
using opcodes::module_of;
using opcodes::run;
using opcodes::u32;
using opcodes::u64;

namespace {

const std::string shared = ".shared .align 16 .b8 s[4096];\n";

/// A body whose threads' 32 bytes of input hold 4 words each; what it leaves in %d and %e.
std::vector<u64> each(const std::string& body, std::size_t threads = 32) {
  std::vector<u64> in(threads * 4);
  for (std::size_t k = 0; k < in.size(); ++k) in[k] = 0x0101010101010101u * (k + 1);
  return run(module_of(body + "\nst.global.v2.u64 [%out], {%d, %e};", shared), in, threads);
}
bool says(const std::string& body, const std::string& words, std::size_t threads = 32) {
  std::string text;
  try {
    each(body, threads);
  } catch (const std::runtime_error& e) {
    text = e.what();
  }
  INFO(text);
  return text.find(words) != std::string::npos;
}

/// %a = the thread's 16 bytes of shared memory.
const std::string own =
    "shl.b64 %a, %x0, 4;\nmov.u64 %d, s;\nmov.u64 %d, 0;\nmov.u64 %e, 0;\n";  // s begins at 0
const std::string whole = own + "cp.async.cg.shared.global [%a+64], [%in+16], 16;\n";
const std::string load = "ld.shared.v2.u64 {%d, %e}, [%a+64];";

u64 word(u64 k) { return 0x0101010101010101u * (k + 1); }

}  // namespace

TEST_CASE("a copy is there once it was waited for") {
  const std::string commit = "cp.async.commit_group;\n";
  for (const std::string& wait :
       {commit + "cp.async.wait_group 0;\n", std::string("cp.async.wait_all;\n")}) {
    const auto out = each(whole + wait + load);
    for (u64 k = 0; k < 32; ++k) {
      CHECK(out[2 * k] == word(4 * k + 2));
      CHECK(out[2 * k + 1] == word(4 * k + 3));
    }
  }
  // 4 and 8 bytes; what lies behind the bytes that are read becomes 0
  auto out = each(own +
                  "cp.async.ca.shared.global [%a], [%in+4], 4;\n"
                  "cp.async.ca.shared.global.L2::128B [%a+8], [%in+8], 8;\n"
                  "cp.async.ca.shared::cta.global [%a+4], [%in], 4, 3;\n"
                  "cp.async.wait_all;\nld.shared.v2.u64 {%d, %e}, [%a];");
  for (u64 k = 0; k < 32; ++k) {
    CHECK(out[2 * k] == ((word(4 * k) & 0xffffffff) | (word(4 * k) & 0xffffff) << 32));
    CHECK(out[2 * k + 1] == word(4 * k + 1));
  }
  out = each(own +
             "mov.u32 %b, 0;\ncp.async.cg.shared.global [%a], [%in], 16, %b;\ncp.async.wait_all;\n"
             "ld.shared.v2.u64 {%d, %e}, [%a];");
  for (const u64 d : out) CHECK(d == 0);
}

TEST_CASE("groups end in their order, each lane's by themselves") {
  const std::string two = own +
                          "cp.async.ca.shared.global [%a], [%in], 8;\ncp.async.commit_group;\n"
                          "cp.async.ca.shared.global [%a+8], [%in+8], 8;\ncp.async.commit_group;\n";
  const auto out = each(two + "cp.async.wait_group 1;\nld.shared.u64 %d, [%a];");
  for (u64 k = 0; k < 32; ++k) CHECK(out[2 * k] == word(4 * k));
  CHECK(says(two + "cp.async.wait_group 1;\nld.shared.u64 %d, [%a+8];",
             "in flight: a read of byte 8"));
  CHECK(says(two + "cp.async.wait_group 2;\nld.shared.u64 %d, [%a];", "in flight"));
  // an empty group counts, a copy of no group is not waited for
  CHECK(says(two + "cp.async.commit_group;\ncp.async.wait_group 2;\nld.shared.u64 %d, [%a+8];",
             "in flight"));
  CHECK(says(whole + "cp.async.wait_group 0;\n" + load, "in flight"));
}

TEST_CASE("what touches a copy in flight, or what it wrote without a barrier, is found") {
  CHECK(says(whole + load, "in flight: a read"));
  CHECK(says(whole + "cp.async.commit_group;\n" + load, "in flight: a read"));
  CHECK(says(whole + "st.shared.u32 [%a+64], 1;", "in flight: a write"));
  CHECK(says(whole + whole.substr(own.size()), "in flight: a copy"));
  CHECK(says(
      own +
          "cp.async.ca.shared.global [%a], [%in], 8;\nst.global.u32 [%in], 9;\ncp.async.wait_all;",
      "source of a cp.async changed"));
  // the neighbour's: after a wait only, after a wait and a barrier, after a barrier and a wait
  const std::string neighbours = "xor.b64 %a, %a, 16;\n" + load;
  CHECK(says(whole + "cp.async.wait_all;\n" + neighbours, "race"));
  CHECK(!says(whole + "cp.async.wait_all;\nbar.sync 0;\n" + neighbours, ":"));
  CHECK(says(whole + "bar.sync 0;\ncp.async.wait_all;\n" + neighbours, "race"));
  // it may not overwrite what others still read
  CHECK(says(own + "st.shared.v2.u64 [%a+64], {7, 7};\nbar.sync 0;\n" + neighbours +
                 "\nxor.b64 %a, %a, 16;\ncp.async.cg.shared.global [%a+64], [%in+16], "
                 "16;\ncp.async.wait_all;",
             "race"));
  CHECK(says(own + "cp.async.cg.shared.global [%a+8], [%in], 16;", "misaligned"));
  CHECK(says(own + "cp.async.cg.shared.global [%a], [%in+8], 16;", "misaligned"));
  CHECK(says(own + "cp.async.ca.shared.global [%a], [%in], 2;", "cp.async of 2 bytes"));
  CHECK(says(own + "cp.async.cg.shared.global [%a], [%in], 8;", "cp.async of 8 bytes"));
  CHECK(says(own + "cp.async.ca.shared.global [%a], [%in], 4, 5;", "more bytes than it writes"));
  CHECK(says(own + "cp.async.cg.shared.global [%a+4096], [%in], 16;", "shared memory"));
  CHECK(says(own + "cp.async.cg.shared.global [%a], [%in+8192], 16;", "out of bounds"));
  CHECK(says(own + "cp.async.cg.shared.global [%a], [%out], 16;", "uninitialised"));
  CHECK(says(own + "setp.eq.u64 %p, %a, 0;\ncp.async.cg.shared.global [%a], [%in], 16, %p;",
             "ignore-src"));
  CHECK(says("cp.async.mbarrier.arrive.shared.b64 [%a];", "cp.async.mbarrier.arrive.shared.b64"));
  CHECK(says("cp.async.bulk.commit_group;", "cp.async.bulk.commit_group"));
}

namespace {

/// Element (r, c) of matrix j in shared memory is 100 j + 10 r + c; rows lie 32 bytes apart,
/// matrices 256.
const std::string filled =
    "mov.u64 %d, s;\nmov.u64 %d, 0;\nmov.u64 %e, 0;\nshr.u64 %a, %x0, 3;\nand.b64 %b, %x0, 7;\n"
    "mul.lo.u32 %c, %a, 100;\nmad.lo.u32 %c, %b, 10, %c;\nshl.b64 %a, %x0, 5;\n"
    "mov.u32 %b, 0;\nNEXT:\nst.shared.u16 [%a], %c;\nadd.u32 %c, %c, 1;\nadd.u64 %a, %a, 2;\n"
    "add.u32 %b, %b, 1;\nsetp.lt.u32 %p, %b, 8;\n@%p bra NEXT;\nsub.u64 %a, %a, 16;\nbar.warp.sync "
    "-1;\n";
u64 element(u64 j, u64 r, u64 c) { return 100 * j + 10 * r + c; }

}  // namespace

TEST_CASE("ldmatrix gives a lane two neighbours of a row, turned: of a column") {
  for (const bool turns : {false, true})
    for (const u64 n : {u64{1}, u64{2}, u64{4}}) {
      const std::string names[] = {"%x1", "%x2", "%x3", "%x4"};
      std::string to = "{%x1";
      for (u64 k = 1; k < n; ++k) to += ", " + names[k];
      const std::string matrix = "ldmatrix.sync.aligned.m8n8.x" + std::to_string(n) +
                                 (turns ? ".trans" : "") + ".shared.b16 " + to + "}, [%a];\n";
      for (u64 j = 0; j < n; ++j) {
        const auto out = each(filled + matrix + "mov.b64 %d, " + names[j] + ";");
        for (u64 lane = 0; lane < 32; ++lane) {
          const u64 group = lane / 4, pair = lane % 4 * 2;
          const u64 low = turns ? element(j, pair, group) : element(j, group, pair);
          const u64 high = turns ? element(j, pair + 1, group) : element(j, group, pair + 1);
          CHECK(out[2 * lane] == (low | high << 16));
        }
      }
    }
  const std::string one = "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%x1}, [%a];";
  CHECK(says(filled + "add.u64 %a, %a, 8;\n" + one, "misaligned"));
  CHECK(says(filled + "add.u64 %a, %a, 16;\n" + one, "uninitialised"));
  CHECK(says(filled + "add.u64 %a, %a, 4096;\n" + one, "shared memory"));
  CHECK(says(filled + "setp.lt.u64 %p, %x0, 8;\n@%p " + one, "bad member mask"));
  CHECK(says(filled + one, "bad member mask", 16));
  const std::string before = filled.substr(0, filled.find("bar.warp.sync"));
  CHECK(says(before + one, "race"));
  CHECK(says("mov.u64 %a, %in;\nldmatrix.sync.aligned.m8n8.x1.b16 {%x1}, [%a];",
             "not in shared memory"));
  CHECK(says("ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%x1, %x2}, [%a];",
             "ldmatrix.sync.aligned.m16n16"));
}

namespace {

// Whole numbers below 2^8 are numbers of both types, and their sums of products are exact in
// float32.
int of_a(u64 r, u64 k) { return static_cast<int>((7 * r + 3 * k + r * k) % 13) - 6; }
int of_b(u64 k, u64 c) { return static_cast<int>((5 * k + 11 * c + k * c) % 17) - 8; }
int of_c(u64 r, u64 c) { return static_cast<int>(100 * r + c) - 500; }
u64 float_bits(int x) { return std::bit_cast<u32>(static_cast<float>(x)); }
/// A small whole number as binary16 or bfloat16.
u64 small_bits(bool is_brain, int x) {
  if (is_brain) return float_bits(x) >> 16;
  if (x == 0) return 0;
  const unsigned a = static_cast<unsigned>(x < 0 ? -x : x);
  const unsigned exponent = static_cast<unsigned>(std::bit_width(a)) - 1;
  return (x < 0 ? 0x8000u : 0u) | (exponent + 15) << 10 | ((a << 10 >> exponent) & 0x3ff);
}

}  // namespace

TEST_CASE("mma of 16 x 16 by 16 x 8, of both types of 16 bits") {
  for (const bool is_brain : {false, true}) {
    const std::string type = is_brain ? "bf16" : "f16";
    const auto pair = [&](int low, int high) {
      return small_bits(is_brain, low) | small_bits(is_brain, high) << 16;
    };
    // the fragments of the manual's figures, two registers a word: a0 to a3, b0 and b1
    std::vector<u64> in(32 * 4);
    std::string body =
        "ld.global.v2.u32 {%a, %b}, [%in];\nld.global.v2.u32 {%c, %d}, [%in+8];\n"
        "ld.global.v2.u32 {%e, %f}, [%in+16];\nld.global.v2.f32 {%x1, %x2}, [%in+24];\n"
        "add.rn.f32 %x3, %x1, 0f44480000;\nadd.rn.f32 %x4, %x2, 0f44480000;\n";  // row + 8: 800
                                                                                 // more
    for (u64 lane = 0; lane < 32; ++lane) {
      const u64 g = lane / 4, p = lane % 4 * 2;
      in[4 * lane] = pair(of_a(g, p), of_a(g, p + 1)) | pair(of_a(g + 8, p), of_a(g + 8, p + 1))
                                                            << 32;
      in[4 * lane + 1] =
          pair(of_a(g, p + 8), of_a(g, p + 9)) | pair(of_a(g + 8, p + 8), of_a(g + 8, p + 9)) << 32;
      in[4 * lane + 2] = pair(of_b(p, g), of_b(p + 1, g)) | pair(of_b(p + 8, g), of_b(p + 9, g))
                                                                << 32;
      in[4 * lane + 3] = float_bits(of_c(g, p)) | float_bits(of_c(g, p + 1)) << 32;
    }
    body += "mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
            ".f32 {%x1, %x2, %x3, %x4}, {%a, %b, %c, %d}, {%e, %f}, {%x1, %x2, %x3, %x4};\n"
            "st.global.v4.u32 [%out], {%x1, %x2, %x3, %x4};";
    const auto out = run(module_of(body), in, 32);
    for (u64 lane = 0; lane < 32; ++lane)
      for (u64 k = 0; k < 4; ++k) {
        const u64 row = lane / 4 + k / 2 * 8, column = lane % 4 * 2 + k % 2;
        int sum = of_c(row, column);
        for (u64 n = 0; n < 16; ++n) sum += of_a(row, n) * of_b(n, column);
        CHECK((out[2 * lane + k / 2] >> (k % 2 * 32) & 0xffffffff) == float_bits(sum));
      }
    CHECK(says("setp.lt.u64 %p, %x0, 8;\n@%p mma.sync.aligned.m16n8k16.row.col.f32." + type + "." +
                   type + ".f32 {%a, %a, %a, %a}, {%a, %a, %a, %a}, {%a, %a}, {%a, %a, %a, %a};",
               "bad member mask"));
  }
  for (const char* other : {"m16n8k8.row.col.f32.f16.f16.f32", "m16n8k16.row.col.f16.f16.f16.f16",
                            "m16n8k8.row.col.f32.tf32.tf32.f32"}) {
    const std::string name = std::string("mma.sync.aligned.") + other;
    CHECK(says(name + " {%a}, {%a}, {%a}, {%a};", "the emulator lacks the instruction " + name));
  }
}
