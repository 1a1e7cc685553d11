// The least shapes that a distillation loss takes, and a gradient in the student's place.
#include <doctest/doctest.h>
#include <hence/logits/distill.hpp>

#include <cmath>
#include <vector>

#include "refusal.hpp"

namespace {

using namespace hence;

TEST_CASE("no tokens, and a vocabulary of one, are shapes like others") {
  std::vector<float> x(4, 2.0f), q(4, 3.0f), out(4, 7.0f);
  const auto call = [&](std::int64_t rows, std::int64_t columns) {
    return refusal([&] {
      distill(cpu{}, divergence::forward_kl{}, {.temperature = 1.0},
              view<const float, 2>(x.data(), rows, columns),
              view<const float, 2>(q.data(), rows, columns), {},
              {.per_token = view<float>(out.data(), rows)});
    });
  };
  CHECK(call(0, 2) == "accepted");
  CHECK(out == std::vector<float>(4, 7.0f));
  CHECK(call(3, 1) == "accepted");
  for (int i = 0; i < 3; ++i) CHECK(std::abs(out[std::size_t(i)]) < 1e-6f);  // a token for certain
  CHECK(out[3] == 7);
  CHECK(call(3, 0).find("hence: student has shape [3, 0]") == 0);
}

TEST_CASE("the gradient may take the student's place, row by row") {
  std::vector<float> room(16, 1.0f), q(4, 3.0f);
  const auto call = [&](std::int64_t rows, std::int64_t stride, std::int64_t of_gradient) {
    view<float, 2> student(room.data(), rows, 2), gradient(room.data(), rows, 2);
    student.stride[0] = stride, gradient.stride[0] = of_gradient;
    return refusal([&] {
      distill(cpu{}, divergence::forward_kl{}, {.temperature = 1.0}, student,
              view<const float, 2>(q.data(), rows, 2), {}, {.gradient = gradient});
    });
  };
  CHECK(call(2, 3, 3) == "accepted");
  CHECK(call(1, 3, 5) == "accepted");  // one row has no next one
  CHECK(call(2, 3, 5) ==
        "hence: out.gradient overlaps student, expected the same array or one apart from it");
}

}  // namespace
