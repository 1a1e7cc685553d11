// The permutation kernels against the CPU, to the bit.
#include "permute.hpp"

#include "check.hpp"

#include <hence/cuda/permute.cuh>

#include <span>

namespace {

using integers = std::vector<std::int64_t>;

void run(const permute_case::batch& b, cudaStream_t stream) {
  const test::input<std::int32_t> ids(b.given);
  const auto experts = static_cast<std::size_t>(b.experts);
  const test::output<std::int64_t> offsets(experts + 1), aligned_offsets(experts + 1),
      order(b.ids.size()), position(b.ids.size()), aligned_position(b.ids.size());
  const test::output<hence::status> conditions(1);
  // entries of the order beyond the last slot are left as they were
  test::check(cudaMemcpy(order.get(), integers(b.ids.size(), -7).data(), b.ids.size() * 8,
                         cudaMemcpyHostToDevice));
  const std::int64_t bytes = hence::cuda::permute_workspace_bytes(b.tokens, b.k, b.experts);
  const test::output<std::byte> workspace(static_cast<std::size_t>(bytes));
  const auto rows = static_cast<std::int64_t>(b.ids.size());
  const hence::moe::permutation out{{offsets.get(), b.experts + 1},
                                    {order.get(), rows},
                                    {position.get(), b.tokens, b.k},
                                    {aligned_offsets.get(), b.experts + 1},
                                    {aligned_position.get(), b.tokens, b.k}};
  const int kernels = test::captured(stream, [&] {
    hence::cuda::permute(stream, hence::view<const std::int32_t, 2>(ids.get(), b.tokens, b.k),
                         b.experts, b.align, out,
                         {workspace.get(), static_cast<std::size_t>(bytes)}, conditions.get());
  });
  test::check(kernels == 3, "kernels of a call");
  const auto wanted = permute_case::on_cpu(b);
  test::check(offsets.read() == wanted.offsets, "offsets");
  test::check(order.read() == wanted.order, "order");
  test::check(position.read() == wanted.position, "position");
  test::check(aligned_offsets.read() == wanted.aligned_offsets, "aligned_offsets");
  test::check(aligned_position.read() == wanted.aligned_position, "aligned_position");
  test::check(
      conditions.read()[0] == (b.given == b.ids ? hence::status::ok : hence::status::malformed),
      "status");
}

/// Only what is asked for; an id out of range is told and counts as empty; no tokens, no kernels.
void run_odd(cudaStream_t stream) {
  const test::input<std::int32_t> ids({1, 7, 0, -2, 1, 1});
  const test::output<std::int64_t> offsets(3), order(6);
  const test::output<hence::status> conditions(1);
  const test::output<std::byte> workspace(64);
  test::check(cudaMemset(order.get(), 0, 48));
  const hence::moe::permutation out{{offsets.get(), 3}, {order.get(), 6}};
  const auto permute = [&](std::int64_t tokens) {
    hence::cuda::permute(stream, hence::view<const std::int32_t, 2>(ids.get(), tokens, 2), 2, 1,
                         out, {workspace.get(), 16}, conditions.get());
  };
  permute(3);
  test::check(cudaStreamSynchronize(stream));
  test::check(conditions.read()[0] == hence::status::malformed, "status of ids out of range");
  test::check(offsets.read() == integers{0, 1, 4}, "offsets beside ids out of range");
  test::check(order.read() == integers{2, 0, 4, 5, 0, 0}, "order beside ids out of range");
  test::check(test::captured(stream, [&] { permute(0); }) == 0, "no tokens launch nothing");
  test::check(offsets.read() == integers{0, 0, 0}, "offsets of no tokens");
  test::check(conditions.read()[0] == hence::status::ok, "status of no tokens");
  const auto call = [&](std::span<std::byte> memory, hence::status* s) {
    hence::cuda::permute(stream, hence::view<const std::int32_t, 2>(ids.get(), 3, 2), 2, 1, out,
                         memory, s);
  };
  const std::span<std::byte> space(workspace.get(), 64);
  test::refused([&] { call(space, nullptr); }, "hence: conditions is null");
  test::refused([&] { call(space, reinterpret_cast<hence::status*>(offsets.get())); },
                "hence: an output overlaps conditions");
  test::refused([&] { call(space.first(15), conditions.get()); },
                "hence: workspace has 15 bytes, expected at least 16");
  test::refused([&] { call(space.subspan(8), conditions.get()); },
                "hence: workspace is not aligned to 16 bytes");
  test::refused([&] { call(space, reinterpret_cast<hence::status*>(workspace.get() + 16)); },
                "hence: workspace overlaps conditions");
  test::refused([&] { call({reinterpret_cast<std::byte*>(order.get()), 48}, conditions.get()); },
                "hence: workspace overlaps another array");
}

}  // namespace

int main() {
  cudaStream_t stream;
  test::check(cudaStreamCreate(&stream));
  for (const auto& b : permute_case::batches()) run(b, stream);
  run_odd(stream);
  test::check(cudaStreamDestroy(stream));
  return test::result();
}
