// Known answers from NVIDIA's own device code: cooperative groups, CUB's block and device
// algorithms, Thrust. Independent evidence that the emulator runs PTX as it is meant.
#include "check.hpp"

#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <thrust/device_vector.h>
#include <thrust/scan.h>
#include <cub/cub.cuh>

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace {

namespace cg = cooperative_groups;

std::vector<int> numbers(std::size_t n) {
  std::vector<int> out(n);
  std::uint32_t x = 1;
  for (int& v : out) x = x * 1664525u + 1013904223u, v = static_cast<int>(x >> 8) - (1 << 23);
  return out;
}

__global__ void block_sort(const int* in, int* out) {
  using sort = cub::BlockRadixSort<int, 128, 4>;
  __shared__ typename sort::TempStorage storage;
  int x[4];
  for (int k = 0; k < 4; ++k) x[k] = in[threadIdx.x * 4 + k];
  sort(storage).Sort(x);
  for (int k = 0; k < 4; ++k) out[threadIdx.x * 4 + k] = x[k];
}
__global__ void block_scan(const int* in, int* out) {
  using scan = cub::BlockScan<int, 128>;
  __shared__ typename scan::TempStorage storage;
  int x;
  scan(storage).ExclusiveSum(in[threadIdx.x], x);
  out[threadIdx.x] = x;
}
__global__ void block_reduce(const float* in, float* out) {
  using reduce = cub::BlockReduce<float, 128>;
  __shared__ typename reduce::TempStorage storage;
  const float sum = reduce(storage).Sum(in[threadIdx.x]);
  if (threadIdx.x == 0) *out = sum;
}
/// Sums of tiles of 16, and how many threads take each branch.
__global__ void groups(const int* in, int* sums, int* sizes) {
  const auto block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<16>(block);
  const int sum = cg::reduce(tile, in[block.thread_rank()], cg::plus<int>());
  if (tile.thread_rank() == 0) sums[tile.meta_group_rank()] = sum;
  if (in[block.thread_rank()] % 3 == 0)
    sizes[block.thread_rank()] = static_cast<int>(cg::coalesced_threads().size());
  else
    sizes[block.thread_rank()] = -static_cast<int>(cg::coalesced_threads().size());
}

void blocks() {
  const std::vector<int> values = numbers(512);
  const test::input<int> in(values);
  {
    const test::output<int> out(512);
    block_sort<<<1, 128>>>(in.get(), out.get());
    auto wanted = values;
    std::sort(wanted.begin(), wanted.end());
    test::check(out.read() == wanted, "BlockRadixSort");
  }
  {
    const test::output<int> out(128);
    block_scan<<<1, 128>>>(in.get(), out.get());
    std::vector<int> wanted(128);
    std::exclusive_scan(values.begin(), values.begin() + 128, wanted.begin(), 0);
    test::check(out.read() == wanted, "BlockScan");
  }
  std::vector<float> ramp(128);
  std::iota(ramp.begin(), ramp.end(), 1.0f);
  const test::input<float> floats(ramp);
  const test::output<float> sum(1);
  block_reduce<<<1, 128>>>(floats.get(), sum.get());
  test::check(sum.read()[0] == 8256.0f, "BlockReduce");
}

void cooperative() {
  std::vector<int> values(128);
  std::iota(values.begin(), values.end(), 0);
  const test::input<int> in(values);
  const test::output<int> sums(8), sizes(128);
  groups<<<1, 128>>>(in.get(), sums.get(), sizes.get());
  for (int k = 0; k < 8; ++k) test::check(sums.read()[k] == 256 * k + 120, "cg::reduce");
  const auto got = sizes.read();
  for (int k = 0; k < 128; ++k) {
    int same = 0;
    for (int j = k / 32 * 32; j < k / 32 * 32 + 32; ++j) same += (j % 3 == 0) == (k % 3 == 0);
    // A group may be parted further; it never holds a thread of the other branch.
    test::check((got[k] > 0) == (k % 3 == 0) && std::abs(got[k]) <= same, "coalesced_threads");
  }
}

/// Decoupled look-back: blocks wait for flags of the blocks before them.
void device_scan() {
  const std::vector<int> values = numbers(9000);
  const test::input<int> in(values);
  const test::output<int> out(values.size());
  std::size_t bytes = 0;
  const int n = static_cast<int>(values.size());
  test::check(cub::DeviceScan::ExclusiveSum(nullptr, bytes, in.get(), out.get(), n));
  const test::output<char> storage(bytes);
  test::check(cub::DeviceScan::ExclusiveSum(storage.get(), bytes, in.get(), out.get(), n));
  std::vector<int> wanted(values.size());
  std::exclusive_scan(values.begin(), values.end(), wanted.begin(), 0);
  test::check(out.read() == wanted, "DeviceScan");
}

void thrust_scan() {
  std::vector<int> ids(5000);
  const std::vector<int> values = numbers(ids.size());
  for (std::size_t k = 0; k < ids.size(); ++k) ids[k] = (values[k] & 0xffff) % 8;
  const thrust::device_vector<int> keys(ids.begin(), ids.end());
  thrust::device_vector<int> sums(ids.size());
  thrust::inclusive_scan(keys.begin(), keys.end(), sums.begin());
  std::vector<int> got(ids.size()), wanted(ids.size());
  thrust::copy(sums.begin(), sums.end(), got.begin());
  std::partial_sum(ids.begin(), ids.end(), wanted.begin());
  test::check(got == wanted, "thrust::inclusive_scan");
}

}  // namespace

int main() {
  blocks(), cooperative(), device_scan(), thrust_scan();
  test::check(cudaDeviceSynchronize());
  return test::result();
}
