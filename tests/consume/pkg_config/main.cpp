#include <hence/version.hpp>

#if __has_include(<hence/policy.hpp>)
#  include <hence/policy.hpp>
#endif

#include <cstdio>

int main() {
  std::printf("hence %d.%d.%d\n", hence::version_major, hence::version_minor, hence::version_patch);
}
