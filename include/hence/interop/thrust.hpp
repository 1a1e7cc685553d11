/// \file
/// hence on Thrust: `loss_and_gradient`, `advantages`, `moe::route` and `moe::permute` under any
/// execution policy, on memory of Thrust's vectors.
///
///     on     = hence::on_thrust(thrust::device)
///     result = hence::loss_and_gradient(on, recipe::dapo(), ragged{.cu_seqlens = on(cu)},
///                                            {.logp = {on(logp), {.temperature = 1.0}}, ...},
///                                            over_this_call, on(gradient))
///
/// Arguments, results and refusals are those of the same function with `cpu`; so are the bits, for
/// nothing is written a second time. A policy of a host system (`cpp`, `omp`, `tbb`) lends its
/// threads to `hence::cpu`; in a .cu file, where there are no packs, the caller's thread runs
/// `reference<float>` (and `moe::route` is absent). Under CUDA's policies the kernels of hence/cuda
/// run on the policy's stream.
///
/// Like Thrust's own algorithms with a result, a call waits for the stream. On CUDA it takes
/// temporary memory from the policy's allocator and copies row boundaries, ids and the bias to the
/// host to check them, before anything is written. The launchers of hence/cuda do neither.
///
/// Proof: docs/cuda.md. It has not run on a device yet.
#pragma once

#include <hence/interop/thrust_executor.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/permute.hpp>
#include <hence/policy/advantage.hpp>
#include <hence/policy/loss.hpp>

#if defined(__CUDACC__) && THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#  include <hence/interop/thrust_cuda.cuh>
#endif

namespace hence::inline v0 {

/// The loss of a batch and its gradient, as `loss_and_gradient` of `cpu`.
/// \param on the policy. \param loss, batch, in, d, gradient, choice as for `cpu`.
/// \param where the caller, for errors of CUDA.
template <class Policy, class Isa, class Loss, class Batch, class D,
          class Choice = without_metrics_t>
auto loss_and_gradient(
    const on_thrust<Policy, Isa>& on, const Loss& loss, const Batch& batch,
    const policy_inputs<float>& in, const D& d, policy_gradients<float> gradient,
    Choice choice = {},
    [[maybe_unused]] const detail::call_location& where = detail::call_location::current()) {
  if constexpr (on_thrust<Policy, Isa>::is_cuda)
    return detail::thrust_on_cuda<Policy>::loss(on.policy(), loss, batch, in, d, gradient, choice,
                                                where);
  else
    return detail::on_host_threads(on, [&](const auto& executor) {
      return loss_and_gradient(executor, loss, batch, in, d, gradient, choice);
    });
}

/// The advantages of all groups, as `advantages` of `cpu`; on CUDA for rules of one group at a
/// time, see cuda/advantages.cuh.
/// \param on the policy. \param rule, batch, rewards, out as for `cpu`. \param where the caller.
template <class Policy, class Isa, class Rule>
status advantages(
    const on_thrust<Policy, Isa>& on, const Rule& rule, const groups& batch,
    view<const float> rewards,  // [rows]
    view<float> out,            // [rows]
    [[maybe_unused]] const detail::call_location& where = detail::call_location::current()) {
  if constexpr (on_thrust<Policy, Isa>::is_cuda)
    return detail::thrust_on_cuda<Policy>::advantages(on.policy(), rule, batch, rewards, out,
                                                      where);
  else
    return detail::on_host_threads(
        on, [&](const auto& executor) { return advantages(executor, rule, batch, rewards, out); });
}

namespace moe {

/// Routes every token, as `route` of `cpu`.
/// \param on the policy. \param gate, in, out as for `cpu`. \param where the caller.
template <class Policy, class Isa, class Gate, class Z = float, class Id = std::int32_t,
          class Out = std::int32_t>
route_counts route(
    const on_thrust<Policy, Isa>& on, const Gate& gate, const gate_inputs<float, Z, Id>& in,
    const gate_outputs<float, Out>& out,
    [[maybe_unused]] const detail::call_location& where = detail::call_location::current()) {
#if defined(__CUDACC__)
  static_assert(on_thrust<Policy, Isa>::is_cuda,
                "hence: nvcc does not compile moe::route for the host; under a host policy call it "
                "from a .cpp file");
#endif
  if constexpr (on_thrust<Policy, Isa>::is_cuda)
    return detail::thrust_on_cuda<Policy>::route(on.policy(), gate, in, out, where);
  else
    return detail::on_host_threads(
        on, [&](const auto& executor) { return route(executor, gate, in, out); });
}

/// Sorts the slots, as `permute` does; on a host system in the caller's thread, as there.
/// \param on the policy. \param ids, experts, align, out as there; on CUDA experts is at most 4096.
/// \param where the caller. \return how many slots hold an expert.
template <class Policy, class Isa, class Id>
std::int64_t permute(
    [[maybe_unused]] const on_thrust<Policy, Isa>& on, view<Id, 2> ids, std::int64_t experts,
    std::int64_t align, const permutation& out,
    [[maybe_unused]] const detail::call_location& where = detail::call_location::current()) {
  const view<const Id, 2> given(ids);
  if constexpr (on_thrust<Policy, Isa>::is_cuda)
    return detail::thrust_on_cuda<Policy>::permute(on.policy(), given, experts, align, out, where);
  else
    return permute<std::remove_const_t<Id>, Isa>(given, experts, align, out);
}

}  // namespace moe

}  // namespace hence::inline v0
