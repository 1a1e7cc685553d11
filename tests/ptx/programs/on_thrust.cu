// hence on Thrust under CUDA's policies, on device_vectors, against the CPU executor bit by bit;
// the same under a host policy in a .cu file; and the CPU's refusals, before anything is written.
#include "check.hpp"
#include "on_thrust.hpp"

#include <hence/interop/thrust.hpp>

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>

#include <stdexcept>

namespace {

using namespace hence;
using namespace thrust_case;

template <class T> std::vector<T> to_host(const thrust::device_vector<T>& x) {
  std::vector<T> out(x.size());
  thrust::copy(x.begin(), x.end(), out.begin());
  return out;
}
template <class T> std::vector<T> to_host(const thrust::host_vector<T>& x) {
  return {x.begin(), x.end()};
}

/// One step under a policy, in that policy's vectors.
template <template <class...> class vector, class Executor>
outcome step(const Executor& on, const batch& b, const outcome& wanted) {
  const vector<std::int64_t> cu_groups(b.cu_groups);
  const vector<std::int32_t> cu_seqlens(b.cu_seqlens);
  const vector<std::uint8_t> response(b.response);
  const vector<float> rewards(b.rewards), logp(b.logp), old(b.old), ref(b.ref), logits(b.logits),
      bias(b.bias);
  vector<float> advantage(12, -7.0f), gradient(logp.size(), -7.0f), weights(tokens * k, -7.0f);
  vector<std::int32_t> ids(tokens * k, -7);
  vector<std::int64_t> load(experts, -7), offsets(experts + 1, -7), order(tokens * k, -7),
      position(tokens * k, -7), aligned_offsets(experts + 1, -7), aligned_position(tokens * k, -7);
  outcome out;
  out.found = advantages(on, rule(), {on(cu_groups)}, on(rewards), on(advantage));
  ragged rows{.cu_seqlens = on(cu_seqlens)};
  rows.mask.response = on(response);
  const auto result = loss_and_gradient(on, loss(), rows,
                                        {.logp = {on(logp), {.temperature = 1.0}},
                                         .old = {on(old), {.temperature = 1.0}},
                                         .ref = {on(ref), {.temperature = 1.0}},
                                         .advantages = on(advantage)},
                                        over_this_call, on(gradient), with_metrics);
  out.loss = result.loss(), out.counts = result.counts();
  out.ratio_mean = result.metrics().ratio_mean();
  if constexpr (Executor::is_cuda) {
    out.rows =
        moe::route(on, thrust_case::gate(), {.logits = on(logits, experts), .bias = on(bias)},
                   {.ids = on(ids, k), .weights = on(weights, k), .load = on(load)})
            .rows;
  } else {  // nvcc refuses moe::route on the host: what the CPU wrote is permuted
    out.rows = wanted.rows;
    ids = wanted.ids, weights = wanted.weights, load = wanted.load;
  }
  out.filled = moe::permute(on, on(ids, k), experts, align,
                            {.offsets = on(offsets),
                             .order = on(order),
                             .position = on(position, k),
                             .aligned_offsets = on(aligned_offsets),
                             .aligned_position = on(aligned_position, k)});
  out.advantages = to_host(advantage), out.gradient = to_host(gradient);
  out.weights = to_host(weights), out.ids = to_host(ids), out.load = to_host(load);
  out.offsets = to_host(offsets), out.order = to_host(order), out.position = to_host(position);
  out.aligned_offsets = to_host(aligned_offsets);
  out.aligned_position = to_host(aligned_position);
  return out;
}

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}
void compare(const std::string& policy, const outcome& a, const outcome& b) {
  const auto check = [&](bool ok, const char* what) { test::check(ok, policy + ": " + what); };
  check(a.found == b.found && same_bits(a.advantages, b.advantages), "advantages");
  check(a.loss == b.loss && a.counts == b.counts && a.ratio_mean == b.ratio_mean, "loss");
  check(same_bits(a.gradient, b.gradient), "gradient");
  check(a.rows == b.rows && same_bits(a.ids, b.ids) && same_bits(a.weights, b.weights) &&
            same_bits(a.load, b.load),
        "routing");
  check(a.filled == b.filled && same_bits(a.offsets, b.offsets) && same_bits(a.order, b.order) &&
            same_bits(a.position, b.position) && same_bits(a.aligned_offsets, b.aligned_offsets) &&
            same_bits(a.aligned_position, b.aligned_position),
        "permutation");
}

template <class F> void refused(const std::string& expected, F&& f) {
  std::string said = "nothing";
  try {
    f();
  } catch (const std::invalid_argument& e) {
    said = e.what();
  }
  test::check(said == expected, "\"" + said + "\" instead of \"" + expected + "\"");
}

void refusals() {
  const on_thrust on(thrust::device);
  const thrust::device_vector<std::int64_t> cu(std::vector<std::int64_t>{0, 3, 2, 4});
  const thrust::device_vector<float> x(4), one(1), nan(3, NAN);
  thrust::device_vector<float> out(4, -7.0f), weights(1, -7.0f);
  thrust::device_vector<std::int32_t> ids(2, 5), id(1);
  thrust::device_vector<std::int64_t> offsets(4, -7), order(2, -7);
  refused("hence: cu_groups[2] is 2, expected at least its predecessor 3",
          [&] { advantages(on, rule(), {on(cu)}, on(x), on(out)); });
  refused("hence: cu_seqlens[2] is 2, expected at least its predecessor 3", [&] {
    loss_and_gradient(on, recipe::dapo(), ragged{.cu_seqlens = on(cu)},
                      {.logp = {on(x), {.temperature = 1.0}},
                       .old = {on(x), {.temperature = 1.0}},
                       .advantages = on(one)},
                      over_this_call, on(out));
  });
  refused("hence: bias[0] is nan, expected a number or -inf", [&] {
    const auto one_of_all =
        moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0};
    moe::route(on, one_of_all, {.logits = on(nan, 3), .bias = on(nan)},
               {.ids = on(id, 1), .weights = on(weights, 1)});
  });
  refused("hence: ids[0, 0] is 5, expected -1 to 2", [&] {
    moe::permute(on, on(ids, 1), 3, 1, {.offsets = on(offsets), .order = on(order)});
  });
  test::check(to_host(out) == std::vector<float>(4, -7.0f), "a refused call has written");
  test::check(to_host(offsets) == std::vector<std::int64_t>(4, -7), "a refused call has written");
}

}  // namespace

int main() {
  const batch b;
  const outcome wanted = on_cpu(b);
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  const on_thrust device(thrust::device);
  const on_thrust on_stream(thrust::cuda::par.on(stream));
  const on_thrust host(thrust::host);
  compare("device", step<thrust::device_vector>(device, b, wanted), wanted);
  compare("a stream", step<thrust::device_vector>(on_stream, b, wanted), wanted);
  compare("host", step<thrust::host_vector>(host, b, wanted), wanted);
  refusals();
  return test::result();
}
