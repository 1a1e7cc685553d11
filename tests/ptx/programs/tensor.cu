// cp.async, ldmatrix and mma in device code of NVIDIA's headers and by their PTX names: a product
// of whole numbers, tile by tile through two buffers, whose sums are exact in every order.
#include "check.hpp"

#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>

namespace {

constexpr int rows = 16, columns = 8, depth = 64, step = 16;

__device__ void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], __half) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, "
      "%9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ void multiply(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                         __nv_bfloat16) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// C = A B by one warp, A [rows, depth], B [depth, columns], both row after row.
template <class T> __global__ void product(const T* a, const T* b, float* c) {
  __shared__ __align__(16) T left[2][rows][step], right[2][step][columns];
  const int lane = static_cast<int>(threadIdx.x);
  const auto fetch = [&](int k) {  // lane: half a row of A, lanes 0 to 15: a row of B
    T(&x)[rows][step] = left[k / step % 2];
    T(&y)[step][columns] = right[k / step % 2];
    __pipeline_memcpy_async(&x[lane / 2][lane % 2 * 8], a + lane / 2 * depth + k + lane % 2 * 8,
                            16);
    if (lane < step) __pipeline_memcpy_async(&y[lane][0], b + (k + lane) * columns, 16);
    __pipeline_commit();
  };
  float sum[4] = {};
  fetch(0);
  for (int k = 0; k < depth; k += step) {
    if (k + step < depth) {
      fetch(k + step);
      __pipeline_wait_prior(1);
    } else {
      __pipeline_wait_prior(0);
    }
    __syncwarp();
    const auto at = [](const void* p) {
      return static_cast<unsigned>(__cvta_generic_to_shared(p));
    };
    unsigned x[4], y[2];
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at(&left[k / step % 2][lane % 16][lane / 16 * 8])));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(y[0]), "=r"(y[1])
                 : "r"(at(&right[k / step % 2][lane % 16][0])));
    multiply(sum, x, y, T());
    __syncwarp();  // before the buffer is filled again
  }
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * columns + lane % 4 * 2 + i % 2] = sum[i];
}

/// A block's copy by cooperative groups, reversed.
__global__ void reverse(const int* in, int* out) {
  __shared__ __align__(16) int held[256];
  const auto block = cooperative_groups::this_thread_block();
  cooperative_groups::memcpy_async(block, held, in, sizeof(held));
  cooperative_groups::wait(block);
  out[threadIdx.x] = held[255 - threadIdx.x];
}

template <class T> void run_product() {
  std::vector<T> a, b;
  std::vector<float> x, y, wanted(rows * columns);
  for (int i = 0; i < rows * depth; ++i) x.push_back(static_cast<float>(i * 7 % 13 - 6));
  for (int i = 0; i < depth * columns; ++i) y.push_back(static_cast<float>(i * 5 % 11 - 5));
  for (const float v : x) a.push_back(T(v));
  for (const float v : y) b.push_back(T(v));
  for (int r = 0; r < rows; ++r)
    for (int k = 0; k < depth; ++k)
      for (int c = 0; c < columns; ++c)
        wanted[static_cast<std::size_t>(r * columns + c)] +=
            x[static_cast<std::size_t>(r * depth + k)] *
            y[static_cast<std::size_t>(k * columns + c)];
  const test::input<T> left(a), right(b);
  const test::output<float> out(rows * columns);
  product<<<1, 32>>>(left.get(), right.get(), out.get());
  test::check(cudaGetLastError());
  test::check(out.read() == wanted, "product");
}

}  // namespace

int main() {
  run_product<__half>();
  run_product<__nv_bfloat16>();
  std::vector<int> values;
  for (int i = 0; i < 256; ++i) values.push_back(i * i);
  const test::input<int> in(values);
  const test::output<int> out(256);
  reverse<<<1, 256>>>(in.get(), out.get());
  test::check(cudaGetLastError());
  test::check(out.read() == std::vector<int>(values.rbegin(), values.rend()), "reversed");
  return test::result();
}
