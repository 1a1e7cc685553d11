// expect: ^hence: a pool for hence::cpu has parallel_for
// Anything with parallel_for is a pool.
#include <hence/core/execute.hpp>

struct pool {
#ifdef FIXED
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = 0; i < n; ++i) f(i);
  }
#endif
};

int main() {
  pool p;
  const hence::cpu executor{p};
  return executor.pool == &p ? 0 : 1;
}
