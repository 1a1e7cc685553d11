/// \file
/// A call's memory cut into arrays, and its rows cut into parts.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/place.hpp>
#include <hence/core/workspace.hpp>
#include <hence/moe/score.hpp>

namespace hence::inline v0::detail {

/// The number type whose lanes are an executor's rows.
template <class Executor> struct row_number;
template <class S, class Isa> struct row_number<reference<S, Isa>> {
  using type = num<S, Isa>;
};
template <class Pool, class Isa> struct row_number<cpu<Pool, Isa>> {
  using type = pack<float, Isa>;
};
template <class Executor> using row_number_t = typename row_number<Executor>::type;

/// Hands out arrays of a piece of memory, each on a cache line of its own. Without memory it only
/// counts.
class carver {
 public:
  HENCE_FN explicit carver(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}
  template <class T> HENCE_FN T* take(std::int64_t n) {
    T* const at = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += (n * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
    return at;
  }
  HENCE_FN std::int64_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::int64_t used_ = 0;
};

/// Parts that a call on `rows` rows is cut into: by its shape alone, enough for any pool.
template <class Executor> HENCE_FN std::int64_t row_parts(std::int64_t rows) {
  if constexpr (Executor::is_parallel) {
    const std::int64_t n = rows / 128;
    return n < 1 ? 1 : (n < 64 ? n : 64);
  } else {
    return 1;
  }
}
HENCE_FN std::int64_t part_begin(std::int64_t rows, std::int64_t i, std::int64_t parts) {
  return rows / parts * i + rows % parts * i / parts;
}

/// Calls f(part, begin, end) for every part of the rows, on the executor's pool if it has one.
template <class Executor, class F>
HENCE_FN void for_row_parts(const Executor& executor, std::int64_t rows, F&& f) {
  const std::int64_t parts = row_parts<Executor>(rows);
  const auto run = [&](std::int64_t i) {
    f(i, part_begin(rows, i, parts), part_begin(rows, i + 1, parts));
  };
  if constexpr (Executor::is_parallel) {
    if (parts > 1) return executor.pool->parallel_for(parts, run);
  }
  run(0);
}

/// The bytes that a matrix spans; 0 if it has no element.
template <class T> HENCE_FN byte_range range_of(const view<T, 2>& a) {
  if (!a.present() || a.extent[0] < 1 || a.extent[1] < 1) return {a.data, 0};
  return {a.data,
          ((a.extent[0] - 1) * a.stride[0] + a.extent[1]) * static_cast<std::int64_t>(sizeof(T))};
}

/// Refuses a count below 0.
template <class Isa = native_isa> void check_count(const char* name, std::int64_t n) {
  if (n < 0) refuse(message() << "hence: " << name << " is " << n << ", expected 0 or more");
}

// Only a default view is absent: an array that may be is checked where it is `given`.

/// Refuses a matrix that is not `[rows, columns]` with contiguous rows one after the other.
template <class Isa = native_isa>
void check_row_major(const char* name, bool present, const std::int64_t (&extent)[2],
                     const std::int64_t (&stride)[2], std::int64_t rows, std::int64_t columns) {
  if (extent[0] != rows || extent[1] != columns)
    refuse(message() << "hence: " << name << " has shape [" << extent[0] << ", " << extent[1]
                     << "], expected [" << rows << ", " << columns << "]");
  if (rows < 0 || columns < 0)
    refuse(message() << "hence: " << name << " has shape [" << rows << ", " << columns
                     << "], expected no extent below 0");
  if (!present && rows > 0 && columns > 0)
    refuse(message() << "hence: " << name << " is null, expected [" << rows << ", " << columns
                     << "]");
  if (columns > 1 && stride[1] != 1)
    refuse(message() << "hence: " << name << " has stride " << stride[1]
                     << " within a row, expected 1");
  if (rows > 1 && stride[0] < columns)
    refuse(message() << "hence: " << name << " has row stride " << stride[0]
                     << ", expected at least its " << columns << " columns");
  if (rows > 1 && stride[0] > INT64_MAX / 16 / rows)
    refuse(message() << "hence: " << name << " has row stride " << stride[0] << ", which times "
                     << rows << " rows overflows");
}
template <class T>
[[gnu::always_inline]] inline void check_row_major(const char* name, const view<T, 2>& a,
                                                   std::int64_t rows, std::int64_t columns) {
  check_row_major(name, a.present(), a.extent, a.stride, rows, columns);
}
/// Refuses a vector that is not `[size]` and contiguous.
template <class Isa = native_isa>
void check_vector(const char* name, bool present, std::int64_t extent, std::int64_t stride,
                  std::int64_t size) {
  if (extent != size)
    refuse(message() << "hence: " << name << " has " << extent << " entries, expected " << size);
  if (size < 0)
    refuse(message() << "hence: " << name << " has " << size << " entries, expected 0 or more");
  if (!present && size > 0)
    refuse(message() << "hence: " << name << " is null, expected " << size << " entries");
  if (size > 1 && stride != 1)
    refuse(message() << "hence: " << name << " has stride " << stride << ", expected 1");
}
template <class T>
[[gnu::always_inline]] inline void check_vector(const char* name, const view<T>& a,
                                                std::int64_t size) {
  check_vector(name, a.present(), a.extent[0], a.stride[0], size);
}

}  // namespace hence::inline v0::detail
