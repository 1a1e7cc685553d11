// Rows of distillation losses: which numbers a row reads and writes, against the sums of its own
// softmax in long double.
#include <doctest/doctest.h>
#include <hence/logits/distill.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace hence;
using real = long double;
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float guard = -77.0f;

/// log softmax of `columns` numbers.
std::vector<real> log_softmax(const float* x, std::int64_t columns) {
  real top = -HUGE_VALL, sum = 0;
  for (std::int64_t i = 0; i < columns; ++i) top = std::max(top, real(x[i]));
  for (std::int64_t i = 0; i < columns; ++i) sum += std::exp(real(x[i]) - top);
  std::vector<real> r;
  for (std::int64_t i = 0; i < columns; ++i) r.push_back(real(x[i]) - top - std::log(sum));
  return r;
}
real forward_kl(const float* x, const float* y, std::int64_t columns) {
  const auto s = log_softmax(x, columns), q = log_softmax(y, columns);
  real sum = 0;
  for (std::size_t i = 0; i < s.size(); ++i)
    if (std::exp(q[i]) > 0) sum += std::exp(q[i]) * (q[i] - s[i]);
  return sum;
}

struct rows {
  std::vector<float> student, teacher, gradient, per_token;
  std::int64_t count, columns, stride;
  status found = status::ok;

  rows(std::int64_t n, std::int64_t of, std::int64_t step)
      : student(std::size_t(n * step), inf),  // what is not a row's would spoil it
        teacher(std::size_t(n * step), -inf),
        gradient(std::size_t(n * step), guard),
        per_token(std::size_t(n), guard),
        count(n),
        columns(of),
        stride(step) {
    for (std::int64_t t = 0; t < n; ++t)
      for (std::int64_t i = 0; i < of; ++i) {
        student[std::size_t(t * step + i)] = float((7 * i + 3 * t) % 5);
        teacher[std::size_t(t * step + i)] = float((3 * i + 5 * t) % 4);
      }
  }
  template <class T> view<T, 2> matrix(std::vector<float>& of) const {
    view<T, 2> r(of.data(), count, columns);
    r.stride[0] = stride;
    return r;
  }
  void run(const std::vector<std::uint8_t>& mask = {}) {
    distill_inputs<float> in;
    if (!mask.empty()) in.mask = mask;
    found = distill(cpu{}, divergence::forward_kl{}, {.temperature = 1.0},
                    matrix<const float>(student), matrix<const float>(teacher), in,
                    {.per_token = per_token, .gradient = matrix<float>(gradient)});
  }
  void check_gaps() const {
    for (std::int64_t t = 0; t < count; ++t)
      for (std::int64_t i = columns; i < stride; ++i)
        CHECK(gradient[std::size_t(t * stride + i)] == guard);
  }
};

TEST_CASE("a row ends where it ends: one token, many, dead and bad ones") {
  for (const std::int64_t columns : {1, 2, 8, 17}) {
    rows r(3, columns, columns + 3);
    r.student[std::size_t(r.stride)] = std::numeric_limits<float>::quiet_NaN();  // row 1
    r.run({1, 1, 0});
    CHECK(r.found == status::non_finite);
    CHECK(std::abs(double(r.per_token[0]) -
                   double(forward_kl(r.student.data(), r.teacher.data(), columns))) < 2e-6);
    CHECK(std::isnan(r.per_token[1]));
    CHECK(r.per_token[2] == 0);
    for (std::int64_t i = 0; i < columns; ++i) {
      CHECK(std::isfinite(r.gradient[std::size_t(i)]));
      CHECK(std::isnan(r.gradient[std::size_t(r.stride + i)]));
      CHECK(r.gradient[std::size_t(2 * r.stride + i)] == 0);
    }
    r.check_gaps();
  }
}

TEST_CASE("a token that neither has is none; one that a single of them has is an error") {
  rows r(3, 9, 9);
  r.student[4] = r.teacher[4] = -inf;
  r.student[9 + 4] = -inf;
  r.teacher[18 + 4] = -inf;
  r.run();
  CHECK(std::abs(double(r.per_token[0]) -
                 double(forward_kl(r.student.data(), r.teacher.data(), 9))) < 2e-6);
  CHECK(r.gradient[4] == 0);
  CHECK(std::isnan(r.per_token[1]));
  CHECK(std::isnan(r.per_token[2]));
  CHECK(r.found == status::non_finite);
}

TEST_CASE("logits of any size: what counts is their differences") {
  for (const float offset : {0.0f, 1e7f, -1e7f}) {
    rows r(1, 12, 12);
    for (float& v : r.student) v += offset;
    r.run();
    CHECK(std::abs(double(r.per_token[0]) -
                   double(forward_kl(r.student.data(), r.teacher.data(), 12))) < 4e-6);
  }
}

TEST_CASE("the teacher's largest tokens: each row's gradient is its own") {
  rows r(3, 9, 12);
  const std::vector<std::int64_t> ids{1, 4, 0, 8, 7, 2};
  const std::vector<float> logp{-0.5f, -1.5f, -1.0f, -0.75f, -0.25f, -3.0f};
  const auto found = distill_top_k(
      cpu{}, {.temperature = 1.0}, r.matrix<const float>(r.student),
      view<const std::int64_t, 2>(ids.data(), 3, 2), view<const float, 2>(logp.data(), 3, 2), {},
      {.per_token = r.per_token, .gradient = r.matrix<float>(r.gradient)});
  CHECK(found == status::ok);
  for (std::size_t t = 0; t < 3; ++t) {
    const auto s = log_softmax(r.student.data() + t * 12, 9);
    real shown = 0, value = 0;
    for (std::size_t j = 0; j < 2; ++j) {
      const real q = std::exp(real(logp[2 * t + j]));
      shown += q, value += q * (real(logp[2 * t + j]) - s[std::size_t(ids[2 * t + j])]);
    }
    CHECK(std::abs(double(r.per_token[t]) - double(value)) < 2e-6);
    for (std::size_t i = 0; i < 9; ++i) {  // d / dx_i of -sum q_j log s_j
      real want = shown * std::exp(s[i]);
      for (std::size_t j = 0; j < 2; ++j)
        if (ids[2 * t + j] == std::int64_t(i)) want -= std::exp(real(logp[2 * t + j]));
      CHECK(std::abs(double(r.gradient[t * 12 + i]) - double(want)) < 1e-6);
    }
  }
  r.check_gaps();
}

}  // namespace
