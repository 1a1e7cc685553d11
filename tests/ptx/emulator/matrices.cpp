// ldmatrix and mma: matrices spread over a warp. PTX ISA 9.7.14.5.8 and 9.7.14.5.15.
//
// The manual leaves open in which order mma adds and how it rounds between. Here the exact products
// are added in float64, in the order of k, the accumulator last, and rounded once: a device's bits
// differ unless every sum is exact.
#include "block.hpp"
#include "half.hpp"
#include "races.hpp"
#include "table.hpp"

namespace ptx {
namespace {

using u32 = std::uint32_t;

/// N matrices of 8 rows of 8 elements of 16 bits. Lane 8 j + r has the address of row r of matrix
/// j; lane l gets elements 2 (l % 4) and the next of row l / 4, turned: of column l / 4.
template <int N, bool Turns> void load_matrices(warp& w, const instruction& i, mask set) {
  const lanes addresses = w[i.s[0]];  // a copy: a destination may be the address
  for (int j = 0; j < N; ++j) {
    place rows[8]{};
    for (int r = 0; r < 8; ++r) {
      const int lane = 8 * j + r;
      std::uint64_t address = addresses.v[lane] + i.offset;
      if (i.where == space::shared) address = static_cast<u32>(address);
      rows[r] = w.find(i, lane, address, 16, false);
      if (rows[r].memory != &w.in().shared_memory)
        w.fail(i, lane, "ldmatrix of an address that is not in shared memory");
    }
    for_each(set, [&](int lane) {
      // Word by word: the other half of a turned word is another lane's of the same instruction.
      const auto word = [&](int row, int column) {
        const auto at = static_cast<std::size_t>(column / 2 * 4);
        place p = rows[row];
        p.data += at, p.offset += at;
        check_written(w, i, lane, p, 4);
        note_read(w, i, lane, p, 4, false);
        u32 x;
        std::memcpy(&x, p.data, 4);
        return x;
      };
      const int group = lane / 4, pair = lane % 4 * 2;
      u32 out = 0;
      if (Turns)
        out = (word(pair, group) >> (group % 2 * 16) & 0xffff) |
              (word(pair + 1, group) >> (group % 2 * 16)) << 16;
      else
        out = word(group, pair);
      w[i.d[static_cast<std::size_t>(j)]].v[lane] = out;
    });
  }
}

/// D = A B + C with A [16, 16], B [16, 8] in S and C, D [16, 8] in f32. Of lane l, with group = l /
/// 4 and pair = 2 (l % 4), the registers hold, two elements each,
///     A: rows group and group + 8 at columns pair, pair + 1; then both at columns pair + 8, pair +
///     9 B: rows pair, pair + 1 and pair + 8, pair + 9 of column group C: columns pair, pair + 1 of
///     rows group and group + 8, one element a register
template <class S> void multiply(warp& w, const instruction& i, mask set) {
  double a[16][16], b[16][8], c[16][8];
  const auto element = [&](std::size_t s, int lane, int half) {
    const auto bits = static_cast<std::uint16_t>(as<u32>(w[i.s[s]].v[lane]) >> (16 * half));
    return widened(S{bits});
  };
  for (int lane = 0; lane < warp_size; ++lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      for (int k = 0; k < 4; ++k)
        a[group + k % 2 * 8][pair + half + k / 2 * 8] =
            element(static_cast<std::size_t>(k), lane, half);
      for (int k = 0; k < 2; ++k)
        b[pair + half + k * 8][group] = element(static_cast<std::size_t>(4 + k), lane, half);
      for (int k = 0; k < 2; ++k)
        c[group + k * 8][pair + half] = static_cast<double>(
            as<float>(w[i.s[static_cast<std::size_t>(6 + 2 * k + half)]].v[lane]));
    }
  }
  for_each(set, [&](int lane) {
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int k = 0; k < 4; ++k) {
      const int row = group + k / 2 * 8, column = pair + k % 2;
      double sum = 0;
      for (int n = 0; n < 16; ++n) sum += a[row][n] * b[n][column];
      w[i.d[static_cast<std::size_t>(k)]].v[lane] =
          bits_of(canonical(static_cast<float>(sum + c[row][column])));
    }
  });
}

}  // namespace

void add_matrices(table& t) {
  const auto add = [&](const std::string& name, action run, space where = space::generic) {
    t.add(name, {run, flow::meet_warp, 1, false, where, 0, true});
  };
  for (const char* shared : {"", ".shared", ".shared::cta"}) {
    const auto load = [&](const std::string& form, action run) {
      add("ldmatrix.sync.aligned.m8n8" + form + shared + ".b16", run,
          *shared == '\0' ? space::generic : space::shared);
    };
    load(".x1", &load_matrices<1, false>), load(".x1.trans", &load_matrices<1, true>);
    load(".x2", &load_matrices<2, false>), load(".x2.trans", &load_matrices<2, true>);
    load(".x4", &load_matrices<4, false>), load(".x4.trans", &load_matrices<4, true>);
  }
  add("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", &multiply<half>);
  add("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", &multiply<brain>);
}

}  // namespace ptx
