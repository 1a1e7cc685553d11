/// \file
/// Executors: who runs a formula. `reference<S>` is the scalar loop in S, `cpu` uses packs and, if
/// given one, a thread pool. `cuda` (hence/cuda/) runs the same formulas in kernels.
#pragma once

#include <hence/core/pack.hpp>

namespace hence::inline v0 {

/// Scalar loops in S. `reference<float>` has the same bits as `cpu` and the kernels;
/// `reference<double>` computes in float64 throughout and tells how accurate they are, given rules
/// whose numbers are double: `clip::two_sided{0.8, 1.2}`, `recipe::dapo<double>()`.
template <class S, class Isa = native_isa> struct reference {
  using scalar = S;
  static constexpr bool is_parallel = false;
};

/// Runs the caller's loops in the caller's thread.
struct serial {
  /// Calls f(0) ... f(n - 1), in this order.
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = 0; i < n; ++i) f(i);
  }
};

/// Anything with `parallel_for(n, f)`: calls f(0) ... f(n - 1), in any order and on any threads,
/// and returns when all are done.
template <class Pool>
concept parallel =
    requires(Pool& pool, void (*f)(std::int64_t)) { pool.parallel_for(std::int64_t{}, f); };

/// Packs of fp32, split over rows in chunks of at least 8192 tokens: a batch of fewer than 16384
/// runs in the caller's thread. Results do not depend on the pool or its size.
/// \tparam Pool satisfies `parallel`. \tparam Isa as in `pack`.
template <class Pool = serial, class Isa = native_isa> struct cpu {
#if defined(__CUDACC__)  // its front end has no vectors in functions that the device may call
  static_assert(detail::always_false<Pool>::value,
                "hence: nvcc knows no vector registers, so hence::cpu is absent in a .cu file; use "
                "reference<float>, whose bits are the same, or call hence::cpu from a .cpp file");
#endif
  /// Whether `Pool` is one; of a concept the compiler would list every part.
  static constexpr bool has_loop = parallel<Pool>;  // of a concept the compiler lists every part
  static_assert(has_loop, "hence: a pool for hence::cpu has parallel_for(n, f)");
  using scalar = float;
  static constexpr bool is_parallel = !std::same_as<Pool, serial>;
  Pool* pool = nullptr;

  cpu()
    requires std::same_as<Pool, serial>
  = default;
  explicit cpu(Pool& p) : pool(&p) {}
};
cpu() -> cpu<serial>;

namespace detail {

/// The instruction set that an executor's functions are compiled for.
template <class Executor> struct executor_isa_of;
template <class S, class Isa> struct executor_isa_of<reference<S, Isa>> {
  using type = Isa;
};
template <class Pool, class Isa> struct executor_isa_of<cpu<Pool, Isa>> {
  using type = Isa;
};
template <class Executor> using executor_isa = typename executor_isa_of<Executor>::type;

}  // namespace detail

}  // namespace hence::inline v0
