/// \file
/// Operands of `gemm::ordered` as its inner loop reads them: a panel [k][Width] holds `Width` rows
/// of a matrix turned, so that one k is one piece of memory.
///
/// Rows that lie one after another in memory are turned a cache line at a time, by loads of four
/// numbers and shuffles within sixteen bytes, which every register width has.
#pragma once

#include <hence/core/gemm/fetch.hpp>
#include <hence/core/load.hpp>

#include <utility>

namespace hence::inline v0::detail {

/// Numbers side by side.
template <int Lanes> using float_lanes = typename vector_of<float, 4 * Lanes>::type;

/// Rows i, 4 + i, 8 + i ... of a matrix, four columns of each, one after another.
template <int Rows> HENCE_FN float_lanes<Rows> four_columns(const float* from, std::int64_t along) {
  float_lanes<Rows> r;
  if constexpr (Rows == 4) {
    __builtin_memcpy(&r, from, sizeof(r));
    return r;
  } else {
    const auto low = four_columns<Rows / 2>(from, along);
    const auto high = four_columns<Rows / 2>(from + Rows / 2 * along, along);
    return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
      return __builtin_shufflevector(low, high, I...);
    }(std::make_integer_sequence<int, Rows>());
  }
}

/// a0 b0 a1 b1 of every four lanes, or a2 b2 a3 b3 from First = 2 on; pairs of lanes for Pair = 2.
template <int First, int Pair, int Lanes, class V> HENCE_FN V woven(V a, V b) {
  return [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(
        a, b, (I / 4 * 4 + First + I % 4 / (2 * Pair) + I % Pair + I / Pair % 2 * Lanes)...);
  }(std::make_integer_sequence<int, Lanes>());
}

/// to[k stride + i] = from[i along + k] for i < Rows, k < 4.
template <int Rows>
HENCE_FN void turn(const float* from, std::int64_t along, float* to, int stride) {
  using V = float_lanes<Rows>;
  const V r0 = four_columns<Rows>(from, along), r1 = four_columns<Rows>(from + along, along),
          r2 = four_columns<Rows>(from + 2 * along, along),
          r3 = four_columns<Rows>(from + 3 * along, along);
  const V a = woven<0, 1, Rows>(r0, r1), b = woven<0, 1, Rows>(r2, r3);
  const V c = woven<2, 1, Rows>(r0, r1), d = woven<2, 1, Rows>(r2, r3);
  const V t[4] = {woven<0, 2, Rows>(a, b), woven<2, 2, Rows>(a, b), woven<0, 2, Rows>(c, d),
                  woven<2, 2, Rows>(c, d)};
  for (int k = 0; k < 4; ++k) __builtin_memcpy(to + k * stride, &t[k], sizeof(V));
}

/// Copies `width` rows of a matrix, [i, k], into a panel [k][Width], zeros where rows of the last
/// register are missing; of what lies behind it nothing is written.
/// \param along the stride from row to row. \param deep the stride along k. \param ahead what to
/// ask for on the way.
template <int Width, class Isa, class T>
void pack_panel(const T* from, std::int64_t along, std::int64_t deep, int width, std::int64_t depth,
                float* to, fetches_of_panel& ahead) {
  constexpr int lanes = register_bytes<Isa> / 4 < Width ? register_bytes<Isa> / 4 : Width;
  constexpr int rows = Width % 8 == 0 && register_bytes<Isa> >= 32 ? 8 : 4;
  const int filled = (width + lanes - 1) / lanes * lanes;
  std::int64_t done = 0;
  if constexpr (std::same_as<std::remove_const_t<T>, float>) {
    const auto copy = [&](auto bytes) __attribute__((always_inline)) {
      for (; done < depth; ++done) {
        if (done % ahead.columns == 0) ahead.step();
        __builtin_memcpy(to + done * Width, from + done * deep, bytes);
      }
    };
    constexpr auto whole = std::integral_constant<std::size_t, sizeof(float) * Width>();
    if (along == 1 && width == Width)
      copy(whole);
    else if (along == 1 && width == filled)
      copy(sizeof(float) * static_cast<std::size_t>(width));
    if (deep == 1) {
      constexpr int piece = 16;
      const int full = width / rows * rows;
      alignas(64) float last[static_cast<unsigned>(rows * piece)] =
          {};  // rows that are too few for a turn
      for (; done + piece <= depth; done += piece) {
        ahead.step();
        for (int i = 0; i < full; i += rows)
          for (int k = 0; k < piece; k += 4)
            turn<rows>(from + i * along + done + k, along, to + (done + k) * Width + i, Width);
        if (full == filled) continue;
        for (int i = full; i < width; ++i)
          __builtin_memcpy(last + (i - full) * piece, from + i * along + done,
                           sizeof(float) * piece);
        for (int k = 0; k < piece; k += 4)
          turn<rows>(last + k, piece, to + (done + k) * Width + full, Width);
        for (int k = 0; k < piece; ++k)
          for (int i = full + rows; i < filled; ++i) to[(done + k) * Width + i] = 0.0f;
      }
    }
  }
  for (std::int64_t k = done; k < depth; ++k)
    for (int i = 0; i < filled; ++i)
      to[k * Width + i] = i < width ? static_cast<float>(from[i * along + k * deep]) : 0.0f;
}

/// All `rows` rows in panels, one after another. \param then what is read after them.
template <int Width, class Isa, class T>
void pack_rows(const T* from, std::int64_t along, std::int64_t deep, int rows, std::int64_t depth,
               float* to, const line_walk& then) {
  const auto height = [&](int r) { return rows - r < Width ? rows - r : Width; };
  const std::int64_t steps = fetches_of_panel::steps(depth);
  fetches_of_panel ahead{{then, steps * (rows / Width)}, {}};
  for (int r = 0; r < rows; r += Width) {
    ahead.second = {line_walk(from, (r + Width) * along, along, deep, height(r + Width), depth),
                    steps};
    pack_panel<Width, Isa>(from + r * along, along, deep, height(r), depth, to + r * depth, ahead);
  }
}

}  // namespace hence::inline v0::detail
