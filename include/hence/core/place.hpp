/// \file
/// Where arrays lie in memory, and the refusal of an output that shares it with an input.
#pragma once

#include <hence/core/layout.hpp>

namespace hence::inline v0::detail {

/// Where an array lies; the row pitch is 0 unless its rows may lie apart.
struct array_place {
  byte_range range;
  std::int64_t row_pitch, row_bytes;
};
/// An argument and where it lies.
struct named_place {
  const char* name;
  byte_range range;
  std::int64_t row_pitch = 0, row_bytes = 0;
};
template <class T> HENCE_FN array_place place_of(const per_token<T>& a, const layout& b) {
  constexpr std::int64_t size = sizeof(T);
  if (!a.present() || b.tokens() == 0) return {{a.data, 0}, 0, 0};
  if (!b.is_padded) return {{a.data, b.tokens() * size}, 0, 0};
  return {{a.data, ((b.rows - 1) * a.row_stride + b.width) * size},
          a.is_padded ? a.row_stride * size : 0,
          b.width * size};
}
template <class T> HENCE_FN array_place place_of(const view<T>& a, const layout&) {
  return {range_of(a), 0, 0};
}
/// Whether rows of one pitch lie side by side, as columns of one table do.
template <class Isa = native_isa> bool side_by_side(const array_place& a, const array_place& b) {
  if (a.row_pitch <= 0 || a.row_pitch != b.row_pitch) return false;
  const auto bytes = reinterpret_cast<std::intptr_t>(b.range.first) -
                     reinterpret_cast<std::intptr_t>(a.range.first);
  const std::int64_t shift = (bytes % a.row_pitch + a.row_pitch) % a.row_pitch;
  return shift >= a.row_bytes && a.row_pitch - shift >= b.row_bytes;
}
template <class Isa = native_isa>
void check_apart(const char* written, const array_place& a, const char* read,
                 const array_place& b) {
  if (overlap(a.range, b.range) && !side_by_side(a, b))
    refuse(message() << "hence: " << written << " overlaps " << read
                     << ", expected separate arrays");
}
template <class Isa = native_isa>
void check_apart(const char* written, byte_range a, const char* read, byte_range b) {
  check_apart<Isa>(written, array_place{a, 0, 0}, read, array_place{b, 0, 0});
}
template <class Isa = native_isa> void check_apart(const named_place& a, const named_place& b) {
  check_apart<Isa>(a.name, array_place{a.range, a.row_pitch, a.row_bytes}, b.name,
                   array_place{b.range, b.row_pitch, b.row_bytes});
}
/// Refuses what is written on top of what is read or written beside it.
template <std::size_t N, std::size_t M, class Isa = native_isa>
void check_written_apart(const named_place (&written)[N], const named_place (&read)[M]) {
  for (std::size_t i = 0; i < N; ++i) {
    for (const named_place& r : read) check_apart<Isa>(written[i], r);
    for (std::size_t j = 0; j < i; ++j) check_apart<Isa>(written[i], written[j]);
  }
}
template <class T, class U>
[[gnu::always_inline]] inline void check_apart(const char* written, const T& a, const char* read,
                                               const U& b, const layout& l) {
  check_apart(written, place_of(a, l), read, place_of(b, l));
}

/// Refuses an output over the batch's masks or row boundaries.
template <class Isa = native_isa>
void check_apart_from_batch(const char* written, const array_place& a, const layout& b) {
  check_apart(written, a, "mask.response", place_of(b.response, b));
  check_apart(written, a, "mask.policy", place_of(b.policy, b));
  check_apart(written, a, "mask.kl", place_of(b.kl, b));
  check_apart(written, a, "mask.metric", place_of(b.metric, b));
  check_apart(written, a, "cu_seqlens", {b.boundaries(), 0, 0});
}

/// Refuses an output mask over the batch's masks or row boundaries. It may be the response mask
/// itself, from the same first element with the same row stride, and then no other mask.
template <class Isa = native_isa>
void check_kept(const per_token<std::uint8_t>& kept, const layout& b) {
  const array_place a = place_of(kept, b), response = place_of(b.response, b);
  const bool is_response =
      a.range.first == response.range.first && (a.row_pitch == response.row_pitch || b.rows < 2);
  if (!is_response && overlap(a.range, response.range) && !side_by_side(a, response))
    refuse(
        message() << "hence: kept overlaps mask.response, expected that very array or a separate "
                     "one");
  check_apart("kept", a, "mask.policy", place_of(b.policy, b));
  check_apart("kept", a, "mask.kl", place_of(b.kl, b));
  check_apart("kept", a, "mask.metric", place_of(b.metric, b));
  check_apart("kept", a, "cu_seqlens", {b.boundaries(), 0, 0});
}

}  // namespace hence::inline v0::detail
