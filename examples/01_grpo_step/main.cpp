#include <hence/version.hpp>

#include <cstdio>

int main() {
  std::printf("hence %d.%d.%d\n", hence::version_major, hence::version_minor, hence::version_patch);
}
