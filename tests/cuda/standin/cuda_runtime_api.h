// A stand-in for CUDA on the host, for tests only: kernels run as written, one fiber a thread, one
// block after the other. A collective that not all of its threads reach ends the program. It knows
// no more of CUDA than the kernels use, and judges the source, not what nvcc makes of it.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

using cudaError_t = int;
using cudaStream_t = void*;
constexpr cudaError_t cudaSuccess = 0;
inline const char* cudaGetErrorName(cudaError_t e) {
  return e == 1 ? "cudaErrorInvalidValue" : "cudaErrorUnknown";
}
inline const char* cudaGetErrorString(cudaError_t e) {
  return e == 1 ? "invalid argument" : "unknown error";
}

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct uchar4 {
  unsigned char x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline void __stwb(float4* to, float4 x) { *to = x; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

namespace standin {

/// How a launch goes: the order of blocks and threads, and what it counted.
struct settings {
  bool backwards = false;
  int fail_after = -1;  // calls that succeed before one fails; negative: none fails
  int kernels = 0, memsets = 0;
};
inline settings& now() {
  static settings s;
  return s;
}
inline cudaError_t answer() {
  return now().fail_after >= 0 && now().fail_after-- == 0 ? 1 : cudaSuccess;
}

/// A rendezvous of some threads, each with a value; everyone sees all values of the round.
struct rendezvous {
  std::vector<std::uint64_t> given, seen;
  std::size_t arrived = 0;
  unsigned round = 0;
  explicit rendezvous(std::size_t n = 0) : given(n), seen(n) {}
};

struct fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  bool done = false;
};

inline dim3 thread_index, block_index, block_size, grid_size;
inline std::vector<fiber> fibers;
inline std::vector<rendezvous> warps;
inline rendezvous block;
inline ucontext_t scheduler;
inline void (*body)(void*);
inline void* body_data;
inline bool progress;

inline void enter() {
  body(body_data);
  progress = true;
  fibers[thread_index.x].done = true;
  swapcontext(&fibers[thread_index.x].context, &scheduler);
}

inline const std::vector<std::uint64_t>& meet(rendezvous& r, std::size_t who, std::uint64_t value) {
  r.given[who] = value;
  const unsigned round = r.round;
  if (++r.arrived == r.given.size()) {
    r.seen = r.given;
    r.arrived = 0;
    ++r.round;
    progress = true;
  }
  const unsigned self = thread_index.x;
  while (r.round == round) swapcontext(&fibers[self].context, &scheduler);
  return r.seen;
}
/// Meets twice, so that nobody overwrites what another has not read.
template <class F> auto among_warp(std::uint64_t value, F&& use) {
  rendezvous& w = warps[thread_index.x / 32];
  const auto result = use(meet(w, thread_index.x % 32, value));
  meet(w, thread_index.x % 32, 0);
  return result;
}

inline void run_block() {
  const std::size_t n = block_size.x;
  fibers = std::vector<fiber>(n);
  warps.assign(n / 32, rendezvous(32));
  block = rendezvous(n);
  for (auto& f : fibers) {
    constexpr std::size_t size = 256 * 1024;
    f.stack.reset(new char[size]);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = size;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
  }
  for (bool left = true; left;) {
    left = progress = false;
    for (std::size_t k = 0; k < n; ++k) {
      const std::size_t i = now().backwards ? n - 1 - k : k;
      if (fibers[i].done) continue;
      left = true;
      thread_index.x = static_cast<unsigned>(i);
      swapcontext(&scheduler, &fibers[i].context);
    }
    if (left && !progress)
      std::fprintf(stderr, "stand-in: threads wait for one another for ever\n"), std::abort();
  }
}

}  // namespace standin

inline const dim3 &threadIdx = standin::thread_index, &blockIdx = standin::block_index,
                  &gridDim = standin::grid_size;

inline void __syncthreads() { standin::meet(standin::block, threadIdx.x, 0); }
inline void __syncwarp() {
  standin::among_warp(0, [](const auto&) { return 0; });
}
inline unsigned __ballot_sync(unsigned, bool p) {
  return standin::among_warp(p, [](const auto& all) {
    unsigned bits = 0;
    for (unsigned i = 0; i < 32; ++i) bits |= static_cast<unsigned>(all[i]) << i;
    return bits;
  });
}
inline int __any_sync(unsigned mask, bool p) { return __ballot_sync(mask, p) != 0; }
template <class T> T __shfl_sync(unsigned, T x, int lane) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof(T));
  const std::uint64_t got =
      standin::among_warp(bits, [&](const auto& all) { return all[static_cast<unsigned>(lane)]; });
  std::memcpy(&x, &got, sizeof(T));
  return x;
}
template <class T> T __shfl_up_sync(unsigned mask, T x, unsigned by) {
  const unsigned lane = threadIdx.x % 32;
  return __shfl_sync(mask, x, static_cast<int>(lane >= by ? lane - by : lane));
}
template <class T> T __reduce_max_sync(unsigned, T x) {
  return standin::among_warp(static_cast<std::uint32_t>(x), [](const auto& all) {
    T most = static_cast<T>(all[0]);
    for (const auto v : all) most = std::max(most, static_cast<T>(v));
    return most;
  });
}
inline int __reduce_add_sync(unsigned, int x) {
  return standin::among_warp(static_cast<std::uint32_t>(x), [](const auto& all) {
    std::uint32_t total = 0;
    for (const auto v : all) total += static_cast<std::uint32_t>(v);
    return static_cast<int>(total);
  });
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
template <class T> T max(T a, T b) { return a > b ? a : b; }
template <class T> T atomicAdd(T* p, T x) { return std::exchange(*p, *p + x); }
template <class T> T atomicOr(T* p, T x) { return std::exchange(*p, *p | x); }
template <class T> T atomicMax(T* p, T x) { return std::exchange(*p, std::max(*p, x)); }

inline cudaError_t cudaMemsetAsync(void* p, int value, std::size_t n, cudaStream_t) {
  ++standin::now().memsets;
  if (const auto e = standin::answer()) return e;
  std::memset(p, value, n);
  return cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  ++standin::now().kernels;
  if (const auto e = standin::answer()) return e;
  auto call = [&] { kernel(arguments...); };
  standin::body = [](void* f) { (*static_cast<decltype(call)*>(f))(); };
  standin::body_data = &call;
  standin::block_size = config->blockDim;
  standin::grid_size = config->gridDim;
  for (unsigned i = 0; i < config->gridDim.x; ++i) {
    standin::block_index.x = standin::now().backwards ? config->gridDim.x - 1 - i : i;
    standin::run_block();
  }
  standin::body_data = nullptr;
  return cudaSuccess;
}
