#include <hence/version.hpp>

#if __has_include(<hence/cuda/policy_loss.cuh>)
#  include <hence/cuda/policy_loss.cuh>
#endif

#include <cstdio>
#include <span>  // C++20: hence::cuda passes the dialect on to nvcc

int main() {
  std::printf("hence %d.%d.%d\n", hence::version_major, hence::version_minor, hence::version_patch);
}
