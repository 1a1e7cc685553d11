// The routing kernels against the CPU executor, to the bit (a NaN is a NaN).
#include "gate.hpp"

#include "check.hpp"

#include <hence/cuda/gate.cuh>
#include <hence/cuda/gate_backward.cuh>

namespace {

using gate_case::batch, gate_case::outcome;
using hence::view;
namespace moe = hence::moe;

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    if (std::memcmp(&a[i], &b[i], 4) != 0 && !(a[i] != a[i] && b[i] != b[i])) {
      std::printf("entry %zu is %.9g, expected %.9g\n", i, double(a[i]), double(b[i]));
      return false;
    }
  return a.size() == b.size();
}
bool same(const moe::route_counts& a, const moe::route_counts& b) {
  return a.rows == b.rows && a.nan_rows == b.nan_rows && a.infinite_rows == b.infinite_rows &&
         a.range_rows == b.range_rows && a.repeated_rows == b.repeated_rows &&
         a.short_rows == b.short_rows && a.replayed_rows == b.replayed_rows &&
         a.empty_slots == b.empty_slots;
}

/// An output that holds -7, since what lies between rows stays.
template <class T> void fill(const test::output<T>& to, std::size_t n) {
  test::check(
      cudaMemcpy(to.get(), std::vector<T>(n, T(-7)).data(), n * sizeof(T), cudaMemcpyHostToDevice));
}

template <hence::cuda::gate_tuning Tuning, class Gate, class Z>
void run(const Gate& gate, const batch<Z>& b, const outcome& wanted, cudaStream_t stream) {
  const test::input<Z> logits(b.logits);
  const test::input<float> bias(b.bias), cotangent(b.cotangent);
  const test::input<std::uint8_t> valid(b.valid);
  const test::input<std::int32_t> replay(b.replay), given(ids_of(b, wanted));
  const test::output<std::int32_t> ids(wanted.ids.size());
  const test::output<float> weights(wanted.ids.size()), gradient(b.logits.size());
  const test::output<std::int64_t> load(b.bias.size());
  const test::output<std::uint8_t> faults(b.valid.size());
  const test::output<moe::route_counts> counts(2);
  if (!b.has_extras) fill(load, b.bias.size()), fill(faults, b.valid.size());
  fill(ids, wanted.ids.size()), fill(weights, wanted.ids.size()), fill(gradient, b.logits.size());
  const int kernels = test::captured(stream, [&] {
    hence::cuda::route<Tuning>(
        stream, gate, inputs_of(b, logits.get(), bias.get(), valid.get(), replay.get()),
        outputs_of(b, ids.get(), weights.get(), load.get(), faults.get()), counts.get());
    hence::cuda::route_backward<Tuning>(
        stream, gate, backward_of(b, logits.get(), given.get(), cotangent.get(), valid.get()),
        gradient_of(b, gradient.get()), counts.get() + 1);
  });
  test::check(kernels == 2, "kernels of both calls");
  test::check(ids.read() == wanted.ids, b.name + ": ids");
  test::check(same(weights.read(), wanted.weights), b.name + ": weights");
  test::check(load.read() == wanted.load, b.name + ": load");
  test::check(faults.read() == wanted.faults, b.name + ": faults");
  test::check(same(gradient.read(), wanted.gradient), b.name + ": gradient");
  const auto found = counts.read();
  test::check(same(found[0], wanted.counts), b.name + ": counts");
  test::check(same(found[1], wanted.backward), b.name + ": counts of the gradient");
}

/// Only what is asked for; a NaN in the bias is told; no rows launch nothing; what does not fit is
/// refused before a launch.
void run_odd(cudaStream_t stream) {
  const moe::gate gate{gate_case::either_score{true}, 2,
                       moe::grouped{1, 1, gate_case::one_or_two{true}},
                       moe::normalized{1e-20, moe::single_raw{}}, 1.0};
  const test::input<float> logits({0, 1, 2, 2, 1, 0}), bias({0, NAN, 0}),
      many(std::vector<float>(8000));
  const test::output<std::int32_t> ids(4);
  const test::output<float> weights(4), gradient(6);
  const test::output<std::int64_t> load(3);
  const test::output<moe::route_counts> counts(1);
  const auto outputs = [&](std::int64_t rows) {
    moe::gate_outputs<float> out;
    out.ids = {ids.get(), rows, 2}, out.weights = {weights.get(), rows, 2};
    return out;
  };
  const auto call = [&](std::int64_t rows, const float* b, moe::route_counts* to) {
    moe::gate_inputs<float> in;
    in.logits = {logits.get(), rows, 3};
    if (b != nullptr) in.bias = {b, 3};
    hence::cuda::route(stream, gate, in, outputs(rows), to);
  };
  call(2, nullptr, counts.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(ids.read() == std::vector<std::int32_t>{2, 1, 0, 1}, "ids alone");
  test::check(counts.read()[0].conditions() == hence::status::ok, "no load, no faults, no bias");
  call(2, bias.get(), counts.get());
  test::check(cudaStreamSynchronize(stream));
  test::check(ids.read() == std::vector<std::int32_t>{2, 0, 0, 2}, "beside a NaN in the bias");
  test::check(counts.read()[0].nan_rows == 2, "a NaN in the bias is told");
  test::check(test::captured(stream,
                             [&] {
                               call(0, nullptr, counts.get());
                               moe::gate_inputs<float> in;
                               in.logits = {logits.get(), 0, 3};
                               moe::gate_outputs<float> out = outputs(0);
                               out.load = {load.get(), 3};
                               hence::cuda::route(stream, gate, in, out, counts.get());
                               moe::gate_backward_inputs<float> back;
                               back.logits = in.logits, back.ids = out.ids;
                               back.grad_weights = out.weights;
                               hence::cuda::route_backward(stream, gate, back,
                                                           view<float, 2>(gradient.get(), 0, 3),
                                                           counts.get());
                             }) == 0,
              "no rows");
  test::check(load.read() == std::vector<std::int64_t>{0, 0, 0}, "load of no rows");
  test::check(counts.read()[0].conditions() == hence::status::empty, "status of no rows");
  test::refused([&] { call(2, nullptr, nullptr); }, "hence: counts is null");
  test::refused([&] { call(2, nullptr, reinterpret_cast<moe::route_counts*>(ids.get())); },
                "hence: an output overlaps counts");
  test::refused(
      [&] {
        moe::gate_inputs<float> in;
        in.logits = {many.get(), 1, 8000};
        hence::cuda::route(stream, gate, in, outputs(1), counts.get());
      },
      "hence: a row of 8000 experts and 2 slots needs 64256 bytes of shared memory");
}

/// A NaN in the bias is told wherever it is.
template <class Z, class Gate> void run_nan_bias(const Gate& gate, cudaStream_t stream) {
  constexpr std::int64_t experts = 300;
  const test::input<Z> logits(std::vector<Z>(experts, Z(0.5f)));
  const test::output<std::int32_t> ids(2);
  const test::output<float> weights(2);
  const test::output<moe::route_counts> counts(1);
  for (const std::size_t at : {31, 40, 70, 127, 130, 260, 299}) {
    std::vector<float> values(experts);
    values[at] = NAN;
    const test::input<float> bias(values);
    moe::gate_inputs<float, Z> in;
    in.logits = {logits.get(), 1, experts}, in.bias = {bias.get(), experts};
    moe::gate_outputs<float> out;
    out.ids = {ids.get(), 1, 2}, out.weights = {weights.get(), 1, 2};
    hence::cuda::route(stream, gate, in, out, counts.get());
    test::check(cudaStreamSynchronize(stream));
    test::check(counts.read()[0].nan_rows == 1,
                "a NaN in the bias of expert " + std::to_string(at));
  }
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  const auto wanted = gate_case::on_cpu();
  std::size_t n = 0;
  gate_case::for_each_case([&](const auto& gate, const auto& b) {
    constexpr hence::cuda::gate_tuning few{.max_blocks = 2, .warps = 1},
        wide{.max_blocks = 3, .warps = 8};
    const outcome& o = wanted[n++];
    if (n % 3 == 0) return run<few>(gate, b, o, stream);
    if (n % 3 == 1) return run<wide>(gate, b, o, stream);
    run<hence::cuda::gate_tuning{}>(gate, b, o, stream);
  });
  run_odd(stream);
  run_nan_bias<float>(gate_case::v3(2, 1, 1), stream);
  run_nan_bias<hence::bf16>(gate_case::softmax(2), stream);
  run_nan_bias<hence::f16>(gate_case::after(2), stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
