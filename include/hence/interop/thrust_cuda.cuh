/// \file
/// What interop/thrust.hpp does under a policy of Thrust's CUDA system: checks as the CPU checks,
/// then hence's kernels on the policy's stream, then their result on the host.
///
/// Row boundaries, ids and the bias are copied to the host, where the CPU's own checks read them;
/// 8 bytes an entry. Temporary memory comes from the policy's allocator.
#pragma once

#include <hence/cuda/advantages.cuh>
#include <hence/cuda/gate.cuh>
#include <hence/cuda/permute.cuh>
#include <hence/cuda/policy_loss.cuh>
#include <hence/interop/thrust_executor.hpp>

#include <thrust/memory.h>
#include <thrust/transform.h>

#include <new>  // bad_alloc
#include <vector>

namespace hence::inline v0::detail {

/// Entry i of what lies on the device, in a wider type.
template <class Array, class T> struct device_entry {
  Array array;
  HENCE_FN T operator()(std::int64_t i) const {
    if constexpr (requires { array(i, i); })
      return static_cast<T>(array(i / array.extent[1], i % array.extent[1]));
    else
      return static_cast<T>(array[i]);
  }
};

template <class Policy> struct thrust_on_cuda {
  using source_location = std::source_location;

  static cudaStream_t stream_of(Policy policy) { return ::thrust::cuda_cub::stream(policy); }

  /// n elements of device memory for one call, unwritten.
  template <class T> class temporary {
   public:
    temporary(const Policy& policy, std::int64_t n)
        : policy_(policy), memory_(::thrust::get_temporary_buffer<T>(policy_, n > 0 ? n : 1)) {
      if (memory_.second >= n) return;
#if defined(__cpp_exceptions)
      ::thrust::return_temporary_buffer(policy_, memory_.first, memory_.second);
      throw std::bad_alloc();
#else
      refuse(message() << "hence: no device memory for " << n << " temporary elements of "
                       << static_cast<std::int64_t>(sizeof(T)) << " bytes");
#endif
    }
    temporary(const temporary&) = delete;
    temporary& operator=(const temporary&) = delete;
    ~temporary() { ::thrust::return_temporary_buffer(policy_, memory_.first, memory_.second); }
    T* get() const { return ::thrust::raw_pointer_cast(memory_.first); }

   private:
    Policy policy_;
    decltype(::thrust::get_temporary_buffer<T>(std::declval<Policy&>(), 1)) memory_;
  };

  /// Copies n elements to the host and waits for them.
  template <class T>
  static void copy(const Policy& policy, T* to, const T* from, std::int64_t n,
                   const source_location& where) {
    const cudaStream_t s = stream_of(policy);
    cuda::check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(n) * sizeof(T),
                                cudaMemcpyDeviceToHost, s),
                "cudaMemcpyAsync", where);
    cuda::check(cudaStreamSynchronize(s), "cudaStreamSynchronize", where);
  }
  /// The n entries of an array on the device, on the host.
  template <class T, class Array>
  static std::vector<T> entries(const Policy& policy, const Array& array, std::int64_t n,
                                const source_location& where) {
    std::vector<T> out(static_cast<std::size_t>(n));
    if (n == 0) return out;
    const temporary<T> packed(policy, n);
    const ::thrust::counting_iterator<std::int64_t> first(0);
    ::thrust::transform(policy, first, first + n, packed.get(), device_entry<Array, T>{array});
    copy(policy, out.data(), packed.get(), n, where);
    return out;
  }
  static std::vector<std::int64_t> entries(const Policy& policy, const offsets& cu,
                                           const source_location& where) {
    return entries<std::int64_t>(policy, cu, cu.present() ? cu.size() : 0, where);
  }

  template <class Loss, class Batch, class D, class Choice>
  static auto loss(const Policy& policy, const Loss& loss, const Batch& batch,
                   const policy_inputs<float>& in, const D& d, policy_gradients<float> gradient,
                   Choice choice, const source_location& where) {
    using state_t = cuda::loss_state_for<Loss, D, Choice>;
    using result_t = decltype(state_t().result());
    if constexpr (check_composition<Loss, float, D>()) {
      if constexpr (requires { batch.cu_seqlens; }) {
        const std::vector<std::int64_t> cu = entries(policy, batch.cu_seqlens, where);
        Batch readable = batch;
        if (batch.cu_seqlens.present()) readable.cu_seqlens = cu;
        const layout b = readable;
        check_inputs(loss, b, in, gradient);
        const array_place boundaries{batch.cu_seqlens.bytes(), 0, 0};  // not those of the copy
        check_apart("gradient", place_of(gradient.logp, b), "cu_seqlens", boundaries);
        check_apart("gradient.entropy", place_of(gradient.entropy, b), "cu_seqlens", boundaries);
      }
      const temporary<state_t> state(policy, 1);
      cuda::loss_and_gradient(stream_of(policy), loss, batch, in, d, gradient, state.get(), choice,
                              where);
      state_t out;
      copy(policy, &out, state.get(), 1, where);
      return out.result();
    } else {
      return result_t();
    }
  }

  template <class Rule>
  static status advantages(const Policy& policy, const Rule& rule, const groups& batch,
                           view<const float> rewards, view<float> out,
                           const source_location& where) {
    status found = status::ok;
    if constexpr (check_advantage_rule<Rule, float>()) {
      const std::vector<std::int64_t> cu = entries(policy, batch.cu_groups, where);
      const offsets readable = cu;
      check_groups(readable);
      check_advantage_arrays(rule, readable, rewards, out);
      const temporary<status> conditions(policy, 1);
      cuda::advantages(stream_of(policy), rule, batch, rewards, out, conditions.get(), where);
      copy(policy, &found, conditions.get(), 1, where);
    }
    return found;
  }

  template <class Gate, class Z, class Id, class Out>
  static moe::route_counts route(const Policy& policy, const Gate& gate,
                                 const moe::gate_inputs<float, Z, Id>& in,
                                 const moe::gate_outputs<float, Out>& out,
                                 const source_location& where) {
    moe::route_counts found;
    if constexpr (check_gate_type<Gate, float>() && check_ids<Id, Out>()) {
      check_gate(gate, in.logits.extent[1]);
      check_gate_arrays(in, out, gate.k);
      const std::vector<float> bias =
          entries<float>(policy, in.bias, in.bias.present() ? in.bias.extent[0] : 0, where);
      check_bias(view<const float>(bias));
      const temporary<moe::route_counts> counts(policy, 1);
      cuda::route(stream_of(policy), gate, in, out, counts.get(), where);
      copy(policy, &found, counts.get(), 1, where);
    }
    return found;
  }

  template <class Id>
  static std::int64_t permute(const Policy& policy, view<const Id, 2> ids, std::int64_t experts,
                              std::int64_t align, const moe::permutation& out,
                              const source_location& where) {
    check_permutation_arrays(ids, experts, align, out);
    const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
    const std::vector<Id> read = entries<Id>(policy, ids, tokens * k, where);
    check_permutation(view<const Id, 2>(read.data(), tokens, k), experts, align, out);
    const std::int64_t bytes = cuda::permute_workspace_bytes(tokens, k, experts);
    const temporary<std::byte> workspace(policy, bytes);
    const temporary<status> conditions(policy, 1);
    cuda::permute(stream_of(policy), ids, experts, align, out,
                  {workspace.get(), static_cast<std::size_t>(bytes)}, conditions.get(), where);
    std::int64_t filled = 0;
    copy(policy, &filled, out.offsets.data + experts * out.offsets.stride[0], 1, where);
    return filled;
  }
};

}  // namespace hence::inline v0::detail
