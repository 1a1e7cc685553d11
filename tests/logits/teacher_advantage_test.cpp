// On-policy distillation as an advantage: known numbers, its mean against the divergence, refusals.
#include <doctest/doctest.h>
#include <hence/logits/distill.hpp>
#include <hence/logits/teacher_advantage.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
constexpr float inf = std::numeric_limits<float>::infinity();

TEST_CASE("known numbers, masks, limit and accumulation") {
  const std::vector<std::int64_t> cu{0, 3, 4};
  const std::vector<std::uint8_t> mask{1, 0, 1, 1};
  const ragged batch{cu, {.response = mask}};
  const std::vector<float> teacher{-1, NAN, -5, -inf}, student{-2, 0, -0.5f, -1};
  std::vector<float> out(4, 7.0f);
  CHECK(teacher_advantages(cpu{}, {.coef = 0.5f}, batch, teacher, student, out) ==
        status::non_finite);
  CHECK(out == std::vector<float>{0.5f, 0, -2.25f, -inf});
  CHECK(teacher_advantages(cpu{}, {.coef = 0.5f, .limit = 4.0f}, batch, teacher, student, out) ==
        status::ok);
  CHECK(out == std::vector<float>{0.5f, 0, -2, -2});
  CHECK(teacher_advantages(cpu{}, {.coef = 0.5f, .limit = 0.75f}, batch, teacher, student, out) ==
        status::ok);
  CHECK(out == std::vector<float>{0.375f, 0, -0.375f, -0.375f});
  out = {10, 11, 12, 13};
  teacher_advantages(reference<float>{}, {.coef = 0.5f, .limit = 4.0f}, batch, teacher, student,
                     out, update::accumulate);
  CHECK(out == std::vector<float>{10.5f, 11, 10, 11});
}

TEST_CASE("its mean over the student is minus the reverse divergence, and so is its REINFORCE") {
  const std::vector<float> s{0.3f, -1, 2, 0.5f}, q{1, -0.5f, 0.25f, 0};
  const auto log_softmax = [](const std::vector<float>& x) {
    double sum = 0;
    std::vector<float> r;
    for (const float v : x) sum += std::exp(double(v));
    for (const float v : x) r.push_back(static_cast<float>(double(v) - std::log(sum)));
    return r;
  };
  const std::vector<float> log_s = log_softmax(s), log_q = log_softmax(q);
  const std::vector<std::int64_t> cu{0, 4};
  std::vector<float> a(4), value(1), gradient(4);
  teacher_advantages(cpu{}, {.coef = 1.0f}, ragged{cu}, log_q, log_s, a);
  distill(cpu{}, divergence::reverse_kl{}, {.temperature = 1.0},
          view<const float, 2>(s.data(), 1, 4), view<const float, 2>(q.data(), 1, 4), {},
          {.per_token = value, .gradient = view<float, 2>(gradient.data(), 1, 4)});
  double mean = 0;
  for (std::size_t i = 0; i < 4; ++i) mean += std::exp(double(log_s[i])) * double(a[i]);
  CHECK(mean == doctest::Approx(-double(value[0])).epsilon(1e-5));
  for (std::size_t i = 0; i < 4; ++i) {
    double slope = 0;  // E[-A d log S(y) / d x_i]
    for (std::size_t y = 0; y < 4; ++y)
      slope -= std::exp(double(log_s[y])) * double(a[y]) * ((i == y) - std::exp(double(log_s[i])));
    CHECK(double(gradient[i]) == doctest::Approx(slope).epsilon(1e-5));
  }
}

TEST_CASE("wrong arguments are refused before anything is written") {
  const std::vector<std::int64_t> cu{0, 2};
  const std::vector<float> x(2), few(1);
  std::vector<float> out(2, 7.0f);
  const auto refusal = [&](const teacher_rule<float>& rule, const std::vector<float>& teacher) {
    try {
      teacher_advantages(cpu{}, rule, ragged{cu}, teacher, x, out);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refusal({.coef = inf}, x) == "hence: teacher_rule.coef is inf, expected a finite number");
  CHECK(refusal({.coef = 1.0f, .limit = 0.0f}, x) ==
        "hence: teacher_rule.limit is 0, expected a number above 0 (infinity: off)");
  CHECK(refusal({.coef = 1.0f}, few).find("hence: teacher has") == 0);
  CHECK(out == std::vector<float>(2, 7.0f));
}

}  // namespace
