#include <hence/interop/eigen.hpp>
#include <hence/policy.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <type_traits>
#include <vector>

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

TEST_CASE("views of Eigen objects see their elements") {
  Eigen::VectorXf v(4);
  v << 1, 2, 3, 4;
  const hence::view<float> a = v;
  CHECK(a.extent[0] == 4);
  CHECK(a[2] == 3);
  a[2] = 9;
  CHECK(v(2) == 9);
  const Eigen::VectorXf& c = v;
  const hence::view<const float> b = c;
  CHECK(b[3] == 4);

  row_major m(2, 3);
  m << 1, 2, 3, 4, 5, 6;
  const hence::view<float, 2> w = m;
  CHECK(w.extent[0] == 2);
  CHECK(w.extent[1] == 3);
  CHECK(w(1, 2) == 6);
  CHECK(w.stride[1] == 1);

  Eigen::MatrixXf column_major(2, 3);
  column_major << 1, 2, 3, 4, 5, 6;
  const hence::view<float, 2> x = column_major;
  CHECK(x(1, 2) == 6);
  CHECK(x(0, 1) == 2);

  auto block = m.block(0, 1, 2, 2);
  const hence::view<float, 2> y = block;
  CHECK(y(1, 0) == 5);
  CHECK(y.stride[0] == 3);

  auto second = m.col(1);
  const hence::view<float> z = second;
  CHECK(z[1] == 5);
  CHECK(z.stride[0] == 3);
}

TEST_CASE("a matrix is no vector, a vector of constants is not writable") {
  static_assert(!std::is_constructible_v<hence::view<float>, row_major&>);
  static_assert(!std::is_constructible_v<hence::view<float>, const Eigen::VectorXf&>);
  static_assert(std::is_constructible_v<hence::view<float, 2>, row_major&>);
}

TEST_CASE("Eigen maps of views write through") {
  std::vector<float> data{1, 2, 3, 4, 5, 6};
  auto v = hence::as_eigen(hence::view<float>(data));
  v *= 2;
  CHECK(data[5] == 12);
  auto m = hence::as_eigen(hence::view<float, 2>(data.data(), 2, 2, 3));
  CHECK(m(1, 1) == 10);
  m(1, 1) = 0;
  CHECK(data[4] == 0);
  const auto c = hence::as_eigen(hence::view<const float, 2>(data.data(), 2, 3));
  CHECK(c.sum() == doctest::Approx(2 + 4 + 6 + 8 + 0 + 12));
  hence::view<float> strided(data.data(), 3);
  strided.stride[0] = 2;
  CHECK(hence::as_eigen(strided)(2) == data[4]);
}

TEST_CASE("a loss takes row-major Eigen matrices and refuses column-major ones") {
  row_major logp = row_major::Constant(3, 5, -1.0f), old_logp = row_major::Constant(3, 5, -1.25f),
            gradient(3, 5);
  Eigen::VectorXf advantages(3);
  advantages << 1, -1, 2;
  const auto loss = hence::recipe::dapo();
  const hence::padded batch{.rows = 3, .width = 5};
  const auto run = [&](auto& l, auto& g) {
    return hence::loss_and_gradient(hence::cpu{}, loss, batch,
                                    {.logp = {l, {.temperature = 1.0}},
                                     .old = {old_logp, {.temperature = 1.0}},
                                     .advantages = advantages},
                                    hence::over_this_call, g);
  };
  const double ratio = std::exp(0.25);  // above 1.28: clipped where the advantage is positive
  CHECK(run(logp, gradient).loss() == doctest::Approx((ratio - 3 * 1.28) / 3).epsilon(1e-6));
  CHECK(gradient(1, 2) == doctest::Approx(ratio / 15).epsilon(1e-6));
  Eigen::MatrixXf column_major = logp;
  CHECK_THROWS_WITH_AS(
      run(column_major, gradient),
      "hence: logp has a stride between tokens that is not 1, expected row-major [rows, "
      "width] or contiguous [tokens]",
      std::invalid_argument);
}
