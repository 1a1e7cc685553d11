#include <hence/core/execute.hpp>

#include <doctest/doctest.h>
#include <type_traits>
#include <vector>

namespace {

struct pool {
  template <class F> void parallel_for(std::int64_t n, F&& f) {
    for (std::int64_t i = n; i > 0; --i) f(i - 1);
  }
};
struct without_loop {};
struct wrong_order {
  template <class F> void parallel_for(F&&, std::int64_t) {}
};

}  // namespace

TEST_CASE("the scalars of executors") {
  CHECK(std::is_same_v<hence::reference<double>::scalar, double>);
  CHECK(std::is_same_v<hence::cpu<>::scalar, float>);
  CHECK(!hence::reference<float>::is_parallel);
  CHECK(!hence::cpu<>::is_parallel);
  CHECK(hence::cpu<pool>::is_parallel);
}

TEST_CASE("cpu{} runs in the caller's thread, cpu{pool} holds the caller's pool") {
  const hence::cpu alone{};
  CHECK(std::is_same_v<decltype(alone), const hence::cpu<hence::serial>>);
  pool p;
  const hence::cpu many{p};
  CHECK(std::is_same_v<decltype(many), const hence::cpu<pool>>);
  CHECK(many.pool == &p);
  CHECK(!std::is_default_constructible_v<hence::cpu<pool>>);
}

TEST_CASE("what a pool is") {
  CHECK(hence::parallel<pool>);
  CHECK(hence::parallel<hence::serial>);
  CHECK(!hence::parallel<without_loop>);
  CHECK(!hence::parallel<wrong_order>);
}

TEST_CASE("the serial loop calls each index once, in order") {
  std::vector<std::int64_t> seen;
  hence::serial s;
  s.parallel_for(4, [&](std::int64_t i) { seen.push_back(i); });
  s.parallel_for(0, [&](std::int64_t) { seen.push_back(-1); });
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3});
}
