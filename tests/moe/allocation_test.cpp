// What a call of the experts allocates, measured: nothing with a workspace, the bytes that it
// states without one. Every operator new of this program counts.

#include <hence/core/gemm/ordered.hpp>
#include <hence/moe/experts.hpp>
#include <hence/moe/gate.hpp>
#include <hence/moe/permute.hpp>

#include <doctest/doctest.h>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

namespace {

std::atomic<std::int64_t> allocated{0};

[[gnu::noinline]] void* counted(std::size_t size, std::size_t alignment) {
  allocated += static_cast<std::int64_t>(size);
  const std::size_t rounded = (size + alignment) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
  if (p == nullptr) std::abort();
  return p;
}
[[gnu::noinline]] void released(void* p) { std::free(p); }

}  // namespace

void* operator new(std::size_t size) { return counted(size, 16); }
void* operator new[](std::size_t size) { return counted(size, 16); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 16); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 16); }
void* operator new(std::size_t size, std::align_val_t a) {
  return counted(size, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { released(p); }
void operator delete[](void* p) noexcept { released(p); }
void operator delete(void* p, std::size_t) noexcept { released(p); }
void operator delete[](void* p, std::size_t) noexcept { released(p); }
void operator delete(void* p, std::align_val_t) noexcept { released(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { released(p); }

namespace {

namespace moe = hence::moe;
using hence::cpu;
using hence::view;

template <class F> std::int64_t bytes_of(F&& f) {
  const std::int64_t before = allocated;
  f();
  return allocated - before;
}

struct lines {
  alignas(64) std::byte bytes[64];
};

TEST_CASE("the experts allocate what they state, and nothing with a workspace") {
  constexpr std::int64_t tokens = 600, experts = 4, k = 2, width = 16, ff = 24, rows = tokens * k;
  std::vector<std::int32_t> ids(rows);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i % 4);
  std::vector<std::int64_t> first(experts + 1), order(rows), position(rows), count(experts, 300);
  moe::permute(view<const std::int32_t, 2>(ids.data(), tokens, k), experts, 1,
               {.offsets = first,
                .order = order,
                .position = view<std::int64_t, 2>(position.data(), tokens, k)});
  const std::vector<float> x(tokens * width, 0.5f), weights(rows, 0.5f),
      up(experts * ff * width, 0.1f), down(experts * width * ff, 0.1f);
  std::vector<float> y(x.size()), dx(x.size()), d_up(up.size());
  const moe::layer_inputs<float> in{
      .x = view<const float, 2>(x.data(), tokens, width),
      .weights = view<const float, 2>(weights.data(), tokens, k),
      .position = view<const std::int64_t, 2>(position.data(), tokens, k),
      .segments = {view<const std::int64_t>(first.data(), experts), count},
      .gate = view<const float, 3>(up.data(), experts, ff, width),
      .up = view<const float, 3>(up.data(), experts, ff, width),
      .down = view<const float, 3>(down.data(), experts, width, ff)};
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  const view<float, 2> out(y.data(), tokens, width);
  const view<const float, 2> cotangent(x.data(), tokens, width);
  const moe::layer_gradients<float> to{.x = view<float, 2>(dx.data(), tokens, width),
                                       .up = view<float, 3>(d_up.data(), experts, ff, width)};
  const std::int64_t stated = moe::experts_workspace_bytes<float>(cpu{}, mlp, rows, width, ff);
  // 8 ff bytes a row, the caller's arrays, are all that lies between the two passes
  std::vector<float> kept_gate(rows * ff, -7.0f), kept_up(rows * ff, -7.0f);
  const moe::saved_activations<float> saved{.gate = view<float, 2>(kept_gate.data(), rows, ff),
                                            .up = view<float, 2>(kept_up.data(), rows, ff)};
  std::vector<lines> memory(static_cast<std::size_t>(stated / 64 + 1));
  const view<std::byte> workspace(memory[0].bytes, stated);

  CHECK(bytes_of([&] { moe::experts(cpu{}, mlp, in, moe::recomputed{}, out); }) == stated);
  CHECK(bytes_of([&] {
          moe::experts_backward(cpu{}, mlp, in, moe::recomputed{}, cotangent, to);
        }) == stated);
  CHECK(bytes_of([&] { moe::experts(cpu{}, mlp, in, saved, out, workspace); }) == 0);
  CHECK(bytes_of([&] { moe::experts_backward(cpu{}, mlp, in, saved, cotangent, to, workspace); }) ==
        0);
  for (const auto* kept : {&kept_gate, &kept_up})
    for (const float v : *kept) CHECK(v != -7.0f);
  // tiles of 512 rows and one array of all rows: not several arrays of rows x ff
  const std::int64_t twice = moe::experts_workspace_bytes<float>(cpu{}, mlp, 2 * rows, width, ff);
  CHECK(twice - stated <= rows * (width * 4 + 64));
}

}  // namespace
