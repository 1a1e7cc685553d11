// Faults that the emulator has to find in what nvcc makes of them, each beside its right twin.
//
//   faults NAME        runs the faulty kernel
//   faults NAME right  runs the twin, which must pass
#include "check.hpp"

#include <cuda_pipeline.h>
#include <cuda_runtime.h>

#include <functional>
#include <map>

namespace {

/// Reverses 64 values by shared memory; the barrier between is what may be missing.
template <bool Right> __global__ void barrier(const int* in, int* out) {
  __shared__ int shared[64];
  shared[threadIdx.x] = in[threadIdx.x];
  if (Right) __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}
/// Two rounds through one array: the second write may come before the first read.
template <bool Right> __global__ void second_barrier(const int* in, int* out) {
  __shared__ int shared[64];
  int sum = 0;
  for (int round = 0; round < 2; ++round) {
    shared[threadIdx.x] = in[threadIdx.x] + round;
    __syncthreads();
    sum += shared[63 - threadIdx.x];
    if (Right) __syncthreads();
  }
  out[threadIdx.x] = sum;
}
template <bool Right> __global__ void syncwarp(const int* in, int* out) {
  __shared__ int shared[32];
  shared[threadIdx.x] = in[threadIdx.x];
  if (Right) __syncwarp();
  out[threadIdx.x] = shared[31 - threadIdx.x];
}
/// Half a warp comes to a barrier of all.
template <bool Right> __global__ void divergent_barrier(const int* in, int* out) {
  __shared__ int shared[64];
  shared[threadIdx.x] = in[threadIdx.x];
  if (Right || threadIdx.x % 32 < 16) __syncthreads();
  if (Right || threadIdx.x % 32 < 16) out[threadIdx.x] = shared[threadIdx.x];
}
/// One warp of two comes to it.
template <bool Right> __global__ void lonely_barrier(const int* in, int* out) {
  if (Right || threadIdx.x < 32) __syncthreads();
  out[threadIdx.x] = in[threadIdx.x];
}
/// Some threads leave before the others meet.
template <bool Right> __global__ void early_exit(const int* in, int* out) {
  if (!Right && threadIdx.x >= 48) return;
  __syncthreads();
  out[threadIdx.x] = in[threadIdx.x];
}
template <bool Right> __global__ void read_over_end(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x + (Right ? 0 : 1)];
}
template <bool Right> __global__ void write_over_end(const int* in, int* out) {
  out[threadIdx.x + (Right ? 0 : 1000)] = in[threadIdx.x];
}
template <bool Right> __global__ void shared_over_end(const int* in, int* out) {
  __shared__ int shared[64];
  shared[threadIdx.x + (Right ? 0 : in[1] - in[0])] = in[threadIdx.x];
  out[threadIdx.x] = shared[threadIdx.x + (Right ? 0 : in[1] - in[0])];
}
template <bool Right> __global__ void misaligned(const int* in, int* out) {
  const int4 x = *reinterpret_cast<const int4*>(in + (Right ? 4 : 1));
  out[threadIdx.x] = x.x + x.y + x.z + x.w;
}
template <bool Right> __global__ void uninitialised_shared(const int* in, int* out) {
  __shared__ int shared[64];
  if (Right || threadIdx.x != 5) shared[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}
template <bool Right> __global__ void uninitialised_global(const int* in, int* out) {
  out[threadIdx.x] = Right ? in[threadIdx.x] : out[threadIdx.x] + in[threadIdx.x];
}
/// Every block adds to one word.
template <bool Right> __global__ void across_blocks(const int* in, int* out) {
  out[threadIdx.x] = 1;  // the same from every block
  if (threadIdx.x != 0) return;
  if (Right)
    atomicAdd(const_cast<int*>(in) + 64, 1);
  else
    const_cast<int*>(in)[64] += 1;
}
/// Lanes 0 to 15 shuffle, and name all 32.
template <bool Right> __global__ void bad_mask(const int* in, int* out) {
  int x = in[threadIdx.x];
  if (threadIdx.x % 32 < 16) x = __shfl_xor_sync(Right ? 0xffffu : 0xffffffffu, x, 1);
  out[threadIdx.x] = x;
}
/// A lane that doesn't name itself.
template <bool Right> __global__ void not_in_mask(const int* in, int* out) {
  out[threadIdx.x] = __shfl_sync(Right ? 0xffffffffu : 0xfffffffeu, in[threadIdx.x], 1);
}
/// The lane that is read takes no part.
template <bool Right> __global__ void absent_lane(const int* in, int* out) {
  int x = in[threadIdx.x];
  if (threadIdx.x % 32 < 16) x = __shfl_sync(0xffffu, x, Right ? 3 : 20);
  out[threadIdx.x] = x;
}
template <bool Right> __global__ void unwritten(const int* in, int* out) {
  if (Right || threadIdx.x != 63) out[threadIdx.x] = in[threadIdx.x];
}
/// One element before the output.
template <bool Right> __global__ void guard(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x];
  if (!Right && threadIdx.x == 0) out[-1] = 0;
}
template <bool Right> __global__ void input_write(const int* in, int* out) {
  out[threadIdx.x] = in[threadIdx.x];
  if (!Right) const_cast<int*>(in)[threadIdx.x] = 7;
}
/// Waits for what nobody writes.
template <bool Right> __global__ void endless(const int* in, int* out) {
  while (!Right && *static_cast<const volatile int*>(in + 64) == 0) {
  }
  out[threadIdx.x] = in[threadIdx.x];
}
__device__ __noinline__ int far_away(int x) { return x * x; }
template <bool Right> __global__ void call(const int* in, int* out) {
  out[threadIdx.x] = Right ? in[threadIdx.x] : far_away(in[threadIdx.x]);
}
/// Block 0 hands a value to block 1 by a flag; the fence is what may be missing.
template <bool Right> __global__ void fence(const int* in, int* out) {
  int* const value = const_cast<int*>(in) + 65;
  volatile int* const flag = const_cast<int*>(in) + 64;
  if (threadIdx.x != 0 || blockIdx.x > 1) {
    if (blockIdx.x == 0) out[threadIdx.x] = 1;
    return;
  }
  if (blockIdx.x == 0) {
    *value = 41;
    if (Right) __threadfence();
    *flag = 1;
  } else {
    while (*flag == 0) {
    }
    __threadfence();
    out[0] = *value + 1;
  }
}

/// Each thread copies a word and reads it back; the wait is what may be missing.
template <bool Right> __global__ void copy_wait(const int* in, int* out) {
  __shared__ int shared[64];
  __pipeline_memcpy_async(&shared[threadIdx.x], in + threadIdx.x, sizeof(int));
  __pipeline_commit();
  if (Right) __pipeline_wait_prior(0);
  out[threadIdx.x] = shared[threadIdx.x];
}
/// It waits for its own copy and reads another's; the barrier is what may be missing.
template <bool Right> __global__ void copy_barrier(const int* in, int* out) {
  __shared__ int shared[64];
  __pipeline_memcpy_async(&shared[threadIdx.x], in + threadIdx.x, sizeof(int));
  __pipeline_commit();
  __pipeline_wait_prior(0);
  if (Right) __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}
/// Two groups, and a wait that lets the second be under way still.
template <bool Right> __global__ void copy_group(const int* in, int* out) {
  __shared__ int shared[2][64];
  for (int k = 0; k < 2; ++k) {
    __pipeline_memcpy_async(&shared[k][threadIdx.x], in + threadIdx.x, sizeof(int));
    __pipeline_commit();
  }
  __pipeline_wait_prior(1);
  out[threadIdx.x] = shared[Right ? 0 : 1][threadIdx.x];
}

using kernel = void (*)(const int*, int*);
struct fault {
  kernel wrong, right;
  int blocks = 1;
  bool by_input = false;  // it writes to its input on purpose
};

}  // namespace

int main(int count, char** words) {
  std::map<std::string, fault> faults{
      {"barrier", {barrier<false>, barrier<true>}},
      {"second_barrier", {second_barrier<false>, second_barrier<true>}},
      {"syncwarp", {syncwarp<false>, syncwarp<true>}},
      {"lonely_barrier", {lonely_barrier<false>, lonely_barrier<true>}},
      {"divergent_barrier", {divergent_barrier<false>, divergent_barrier<true>}},
      {"early_exit", {early_exit<false>, early_exit<true>}},
      {"read_over_end", {read_over_end<false>, read_over_end<true>}},
      {"write_over_end", {write_over_end<false>, write_over_end<true>}},
      {"shared_over_end", {shared_over_end<false>, shared_over_end<true>}},
      {"misaligned", {misaligned<false>, misaligned<true>}},
      {"uninitialised_shared", {uninitialised_shared<false>, uninitialised_shared<true>}},
      {"uninitialised_global", {uninitialised_global<false>, uninitialised_global<true>}},
      {"across_blocks", {across_blocks<false>, across_blocks<true>}},
      {"bad_mask", {bad_mask<false>, bad_mask<true>}},
      {"not_in_mask", {not_in_mask<false>, not_in_mask<true>}},
      {"absent_lane", {absent_lane<false>, absent_lane<true>}},
      {"unwritten", {unwritten<false>, unwritten<true>}},
      {"guard", {guard<false>, guard<true>}},
      {"input_write", {input_write<false>, input_write<true>}},
      {"endless", {endless<false>, endless<true>}},
      {"call", {call<false>, call<true>}},
      {"fence", {fence<false>, fence<true>}},
      {"copy_wait", {copy_wait<false>, copy_wait<true>}},
      {"copy_barrier", {copy_barrier<false>, copy_barrier<true>}},
      {"copy_group", {copy_group<false>, copy_group<true>}}};
  for (const char* name : {"across_blocks", "fence"})
    faults[name].blocks = 2, faults[name].by_input = true;
  const auto found = count < 2 ? faults.end() : faults.find(words[1]);
  if (found == faults.end()) return 2;
  const fault& f = found->second;
  const std::string name = found->first;
  const int threads = name == "syncwarp" ? 32 : 64;
  std::vector<int> values(name == "read_over_end" ? 64 : 66, 0);
  for (int k = 0; k < 64; ++k) values[static_cast<std::size_t>(k)] = 100 + k;
  int* data = nullptr;  // when the kernel may write to it
  if (f.by_input) {
    test::check(cudaMalloc(&data, values.size() * sizeof(int)));
    test::check(
        cudaMemcpy(data, values.data(), values.size() * sizeof(int), cudaMemcpyHostToDevice));
  }
  {
    const test::input<int> in(values);
    const test::output<int> out(static_cast<std::size_t>(threads));
    (count > 2 ? f.right : f.wrong)<<<f.blocks, threads>>>(f.by_input ? data : in.get(), out.get());
    test::check(cudaGetLastError());
    test::check(cudaDeviceSynchronize());
    out.read();
  }
  return test::result();
}
