// Views of Thrust's iterators, and a policy's threads as a pool.
#include <hence/interop/thrust_executor.hpp>

#include <doctest/doctest.h>
#include <thrust/device_vector.h>
#include <refusal.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace {}  // namespace

TEST_CASE("views of Thrust's iterators keep address, size and constness") {
  const hence::on_thrust on(thrust::device);
  thrust::device_vector<float> x(12);
  const thrust::device_vector<float> fixed(4);
  static_assert(std::is_same_v<decltype(on(x)), hence::view<float>>);
  static_assert(std::is_same_v<decltype(on(fixed)), hence::view<const float>>);
  static_assert(std::is_same_v<decltype(on(x, 4)), hence::view<float, 2>>);
  static_assert(!std::is_invocable_v<decltype(on), thrust::device_vector<float>>);  // a temporary
  const auto part = on(x.begin() + 3, x.end());
  CHECK(part.data == thrust::raw_pointer_cast(x.data()) + 3);
  CHECK(part.extent[0] == 9);
  CHECK(part.stride[0] == 1);
  const auto matrix = on(x, 4);
  CHECK(matrix.data == thrust::raw_pointer_cast(x.data()));
  CHECK(matrix.extent[0] == 3);
  CHECK(matrix.extent[1] == 4);
  CHECK(matrix.stride[0] == 4);
  CHECK(on(x.begin(), x.begin()).extent[0] == 0);
  std::vector<float> of_std(5);
  const hence::on_thrust here(thrust::host);
  CHECK(here(of_std).data == of_std.data());
  CHECK(here(of_std.data() + 1, of_std.data() + 5).extent[0] == 4);
}

TEST_CASE("ranges that are none are refused") {
  const hence::on_thrust on(thrust::device);
  const thrust::device_vector<float> x(4);
  CHECK(refusal([&] { on(x, 3); }) ==
        "hence: a range of 4 elements has no rows of 3, expected a multiple");
  CHECK(refusal([&] { on(x, 0); }) ==
        "hence: a range of 4 elements has no rows of 0, expected a multiple");
  CHECK(refusal([&] { on(x.end(), x.begin()); }) ==
        "hence: a range ends 4 elements before it begins");
}

TEST_CASE("a policy's threads take every chunk once") {
  hence::detail::thrust_pool<std::remove_cvref_t<decltype(thrust::device)>> pool{thrust::device};
  std::vector<std::atomic<int>> taken(1000);
  pool.parallel_for(1000, [&](std::int64_t i) { ++taken[static_cast<std::size_t>(i)]; });
  for (const auto& n : taken) CHECK(n == 1);
  pool.parallel_for(0, [&](std::int64_t) { FAIL("no chunk"); });
}
