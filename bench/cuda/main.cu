// The benchmarks of the kernels: which device, then the rows. A peer's published figure stands at
// the end of its row, from the peer's own machine; where there is none, nothing was found.
#include "device.cuh"

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  cudaDeviceProp device{};
  if (const cudaError_t e = cudaGetDeviceProperties(&device, 0); e != cudaSuccess) {
    std::fprintf(stderr, "no device to measure: %s\n", cudaGetErrorString(e));
    return 1;
  }
  benchmark::AddCustomContext("device", device.name);
  benchmark::AddCustomContext("peak_GB/s", std::to_string(1e-9 * bench::peak()));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
