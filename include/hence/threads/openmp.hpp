/// \file
/// OpenMP as a pool for `hence::cpu`, for programs that already run on it.
#pragma once

#include <hence/core/config.hpp>

#include <cstdint>

namespace hence::inline v0 {

/// `parallel_for` as an OpenMP loop. f must not throw: OpenMP ends the program if it does.
/// Needs -fopenmp in the including translation unit.
/// \tparam OpenMP keeps translation units with and without OpenMP apart.
template <int OpenMP =
#if defined(_OPENMP)
              _OPENMP
#else
              0
#endif
          >
struct basic_openmp_pool {
  /// Calls f(0) ... f(n - 1) on OpenMP's threads.
  template <class F> void parallel_for([[maybe_unused]] std::int64_t n, [[maybe_unused]] F&& f) {
    static_assert(OpenMP != 0, "hence: openmp_pool needs -fopenmp in this translation unit");
#if defined(_OPENMP)
#  pragma omp parallel for schedule(dynamic)
    for (std::int64_t i = 0; i < n; ++i) f(i);
#endif
  }
};

/// The one for this translation unit.
using openmp_pool = basic_openmp_pool<>;

}  // namespace hence::inline v0
