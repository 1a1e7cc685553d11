// Log-probs of responses against sums in __float128, and the way back to the tokens.
#include <doctest/doctest.h>
#include <hence/logits/per_response.hpp>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace {
using namespace hence;
const float dead = std::numeric_limits<float>::signaling_NaN();
}  // namespace

TEST_CASE("sums and means of live tokens; dead ones are not read") {
  const std::vector<std::int64_t> cu{0, 3, 3, 7};
  const std::vector<std::uint8_t> mask{1, 0, 1, 0, 1, 1, 1};
  const std::vector<float> logp{-1.0f, dead, -0.25f, dead, -3.0e7f, -1.0f, 3.0e7f};
  const ragged batch{cu, {.response = view<const std::uint8_t>(mask)}};
  std::vector<float> out(3, dead);
  CHECK(response_logps(cpu{}, per_response::sum{}, batch, view<const float>(logp), out) ==
        status::ok);
  CHECK(out == std::vector<float>{-1.25f, 0.0f, -1.0f});  // a float sum would lose the 1
  CHECK(response_logps(cpu{}, per_response::mean{}, batch, view<const float>(logp), out) ==
        status::ok);
  CHECK(out == std::vector<float>{-0.625f, 0.0f, static_cast<float>(-1.0 / 3)});
}

TEST_CASE("the gradient is the transpose") {
  const std::vector<std::uint8_t> mask{1, 0, 1, 0, 0, 0, 1, 1, 1};
  const padded batch{3, 3, {.response = view<const std::uint8_t, 2>(mask.data(), 3, 3)}};
  const std::vector<double> g{2.0, 5.0, -3.0};
  std::vector<double> out(9, 77.0);
  response_gradient(reference<double>{}, per_response::mean{}, batch, g,
                    view<double, 2>(out.data(), 3, 3));
  CHECK(out == std::vector<double>{1, 0, 1, 0, 0, 0, -1, -1, -1});
  response_gradient(reference<double>{}, per_response::sum{}, batch, g,
                    view<double, 2>(out.data(), 3, 3));
  CHECK(out == std::vector<double>{2, 0, 2, 0, 0, 0, -3, -3, -3});
}

TEST_CASE("a NaN shows in its row alone, and wrong shapes are refused") {
  const std::vector<float> logp{-1.0f, -2.0f, std::nanf(""), -3.0f};
  const padded batch{2, 2, {}};
  const view<const float, 2> tokens(logp.data(), 2, 2);
  std::vector<float> out(2), three(3);
  CHECK(response_logps(reference<float>{}, per_response::sum{}, batch, tokens, out) ==
        status::non_finite);
  CHECK(out[0] == -3.0f);
  CHECK(std::isnan(out[1]));
  // no rows are no error
  CHECK(response_logps(cpu{}, per_response::sum{}, padded{0, 2, {}},
                       view<const float, 2>(nullptr, 0, 2), view<float>()) == status::ok);
  const auto message_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(message_of([&] { response_logps(cpu{}, per_response::sum{}, batch, tokens, three); }) ==
        "hence: out has 3 entries, the batch has 2 rows");
  CHECK(message_of([&] {
          response_logps(cpu{}, per_response::sum{}, batch, tokens, view<float>(nullptr, 2));
        }) == "hence: out has 2 entries, the batch has 2 rows");
  CHECK(message_of([&] {
          response_gradient(cpu{}, per_response::sum{}, batch, three,
                            view<float, 2>(out.data(), 1, 2));
        }) == "hence: g has 3 entries, the batch has 2 rows");
  std::vector<float> room(5, -1.0f);
  CHECK(message_of([&] {
          response_logps(cpu{}, per_response::sum{}, batch, view<float, 2>(room.data(), 2, 2),
                         view<float>(room.data() + 3, 2));
        }) == "hence: out overlaps logp, expected separate arrays");
  CHECK(message_of([&] {
          response_gradient(cpu{}, per_response::sum{}, batch, view<float>(room.data() + 3, 2),
                            view<float, 2>(room.data(), 2, 2));
        }) == "hence: out overlaps g, expected separate arrays");
  CHECK(room == std::vector<float>(5, -1.0f));
}
