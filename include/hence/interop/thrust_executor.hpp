/// \file
/// `on_thrust`: a Thrust execution policy as an executor, which also makes views of Thrust's
/// iterators.
///
///     on = hence::on_thrust(thrust::device)
///     on(x)              [n], x a device_vector, host_vector or the like
///     on(first, last)    [n], two iterators
///     on(x, columns)     [n / columns, columns], row-major
///
/// A view is a pointer and extents; nothing is copied. Needs the headers of Thrust (CCCL), those of
/// CUDA 13 or newer.
#pragma once

#include <hence/core/execute.hpp>
#include <hence/core/view.hpp>

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/iterator_traits.h>
#include <thrust/type_traits/is_contiguous_iterator.h>
#include <thrust/type_traits/unwrap_contiguous_iterator.h>

#if defined(__CUDACC__)
#  include <source_location>
#endif

namespace hence::inline v0 {

namespace detail {

/// Whether a policy or an iterator's system is CUDA's.
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
template <class System>
constexpr bool is_thrust_cuda = std::convertible_to<System, ::thrust::system::cuda::tag>;
#else
template <class System> constexpr bool is_thrust_cuda = false;
#endif

/// A policy of a host system as a pool: one element of `for_each_n` a chunk.
/// \tparam Isa keeps translation units apart.
template <class Policy, class Isa = native_isa> struct thrust_pool {
  Policy policy;

  template <class F> void parallel_for(std::int64_t n, F&& f) {
    ::thrust::for_each_n(policy, ::thrust::counting_iterator<std::int64_t>(0), n,
                         [&f](std::int64_t i) { f(i); });
  }
};

}  // namespace detail

/// An execution policy as an executor: `thrust::seq`, `host`, `device`, `omp::par`,
/// `cuda::par.on(stream)`, or one derived from them. On a host system its threads run `hence::cpu`;
/// on CUDA hence's kernels run on its stream. The bits are the same.
template <class Policy, class Isa = native_isa> class on_thrust {
 public:
  /// Whether the policy is of Thrust's CUDA system.
  static constexpr bool is_cuda = detail::is_thrust_cuda<Policy>;
#if !defined(__CUDACC__)
  static_assert(
      !is_cuda,
      "hence: this policy is of Thrust's CUDA system; compile the file with nvcc, or with "
      "-DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP or _CPP for a host system");
#endif

  explicit on_thrust(const Policy& policy) : policy_(policy) {}

  /// `[last - first]`. The iterators are contiguous: of a vector of Thrust's or std's, device_ptr,
  /// raw pointers; and their memory is the policy's.
  template <class Iterator> auto operator()(Iterator first, Iterator last) const {
    constexpr bool is_contiguous = ::thrust::is_contiguous_iterator_v<Iterator>;
    static_assert(
        is_contiguous,
        "hence: this iterator computes its elements or picks them; thrust::copy them to a "
        "vector first, a view is of memory");
    if constexpr (is_contiguous) {
      static_assert(std::is_pointer_v<Iterator> ||
                        is_cuda == detail::is_thrust_cuda<::thrust::iterator_system_t<Iterator>>,
                    "hence: the iterator's memory and the policy are of different Thrust systems");
      const auto n = static_cast<std::int64_t>(last - first);
      if (n < 0)
        detail::refuse(detail::message()
                       << "hence: a range ends " << -n << " elements before it begins");
      auto* const data = ::thrust::unwrap_contiguous_iterator(first);
      return view<std::remove_pointer_t<decltype(data)>>(data, n);
    }
  }
  /// `[n]`, of anything with begin and end that is not a temporary.
  template <class Range>
    requires(std::is_lvalue_reference_v<Range>)
  auto operator()(Range&& range) const {
    return (*this)(range.begin(), range.end());
  }
  /// `[n / columns, columns]`, row-major. Refuses an n that is no multiple.
  template <class Range>
    requires(std::is_lvalue_reference_v<Range>)
  auto operator()(Range&& range, std::int64_t columns) const {
    const auto all = (*this)(range);
    const std::int64_t n = all.extent[0];
    if (columns < 1 || n % columns != 0)
      detail::refuse(detail::message() << "hence: a range of " << n << " elements has no rows of "
                                       << columns << ", expected a multiple");
    return view<std::remove_pointer_t<decltype(all.data)>, 2>(all.data, n / columns, columns);
  }

  /// The policy, as Thrust's algorithms take it.
  const Policy& policy() const { return policy_; }

 private:
  Policy policy_;
};
template <class Policy> on_thrust(const Policy&) -> on_thrust<Policy>;

namespace detail {

/// The caller, for errors of CUDA: clang 14 knows none and needs none.
#if defined(__CUDACC__)
using call_location = std::source_location;
#else
struct call_location {
  static constexpr call_location current() { return {}; }
};
#endif

/// What runs under a policy of CUDA's; defined in thrust_cuda.cuh, for nvcc alone.
template <class Policy> struct thrust_on_cuda;

/// Calls f(executor) with what runs on a host system.
template <class Policy, class Isa, class F>
auto on_host_threads([[maybe_unused]] const on_thrust<Policy, Isa>& on, F&& f) {
#if defined(__CUDACC__)  // its front end has no packs; the bits are the same
  return f(reference<float, Isa>{});
#else
  thrust_pool<Policy, Isa> pool{on.policy()};
  return f(cpu<thrust_pool<Policy, Isa>, Isa>(pool));
#endif
}

}  // namespace detail

}  // namespace hence::inline v0
