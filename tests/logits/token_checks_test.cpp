// What the checks of rows, matrices and places accept and refuse, each at its ends.
#include <doctest/doctest.h>
#include <hence/logits/token_logprob.hpp>
#include <refusal.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;

TEST_CASE("entries of rows") {
  float one = 0;
  view<float> v(&one, 1);
  v.stride[0] = 0;
  const auto call = [](const view<float>& x, std::int64_t rows) {
    return refusal([&] { detail::check_rows("x", x, rows); });
  };
  CHECK(call(v, 1) == "accepted");
  v.extent[0] = 2;
  CHECK(call(v, 2) == "hence: x has stride 0, expected another: its 2 entries are one");
  CHECK(refusal([&] { detail::check_rows("x", view<const float>(v), 2); }) == "accepted");
  CHECK(call(view<float>(nullptr, 0), 0) == "accepted");
  CHECK(call(view<float>(nullptr, 2), 2) == "hence: x is null, expected 2 rows");
  CHECK(call(v, 3) == "hence: x has 2 entries, logits has 3 rows");
}

TEST_CASE("matrices") {
  float memory[12] = {};
  const auto call = [](const auto& m, std::int64_t rows, std::int64_t columns) {
    return refusal([&] { detail::check_matrix("m", m, rows, columns); });
  };
  using matrix = view<float, 2>;
  CHECK(call(matrix(nullptr, 2, 0), 2, 0) == "accepted");
  CHECK(call(matrix(nullptr, 2, 1), 2, 1) == "hence: m is null, expected shape [2, 1]");
  CHECK(call(matrix(memory, 2, 3), 2, 4) == "hence: m has shape [2, 3], expected [2, 4]");
  matrix column(memory, 4, 1);
  column.stride[1] = 7;  // of one column it says nothing
  CHECK(call(column, 4, 1) == "accepted");
  matrix apart(memory, 4, 2);
  apart.stride[1] = 2;
  CHECK(call(apart, 4, 2) ==
        "hence: m has column stride 2, expected 1 (the columns of a row are contiguous)");
  CHECK(call(matrix(memory + 8, 3, 4, -4), 3, 4) == "accepted");  // upside down
  const std::string overlapping = ", expected at least its 4 columns";
  CHECK(call(matrix(memory, 2, 4, 3), 2, 4) == "hence: m has row stride 3" + overlapping);
  CHECK(call(matrix(memory + 8, 2, 4, -3), 2, 4) == "hence: m has row stride -3" + overlapping);
  CHECK(call(matrix(memory, 1, 4, 3), 1, 4) == "accepted");
  CHECK(call(view<const float, 2>(memory, 2, 4, 0), 2, 4) == "accepted");  // one row read twice
}

TEST_CASE("columns of one table lie apart where no row reaches the next") {
  std::byte memory[256] = {};
  const auto at = [&](const char* name, std::int64_t begin, std::int64_t step, std::int64_t size) {
    return detail::named_place{name, {memory + begin, 3 * step + size}, step, size};
  };
  const auto call = [&](std::int64_t begin, std::int64_t step, std::int64_t size) {
    return refusal([&] { detail::check_apart(at("a", 64, 16, 4), at("b", begin, step, size)); });
  };
  const std::string overlaps = "hence: a overlaps b, expected separate arrays";
  CHECK(call(68, 16, 12) == "accepted");
  CHECK(call(68, 16, 13) == overlaps);
  CHECK(call(67, 16, 4) == overlaps);
  CHECK(call(72, 16, 8) == "accepted");
  CHECK(call(72, 16, 9) == overlaps);
  CHECK(call(52, 16, 12) == "accepted");
  CHECK(call(72, 8, 4) == overlaps);
  CHECK(call(128, 16, 40) == "accepted");
  CHECK(refusal([&] { detail::check_apart(at("a", 0, 0, 4), at("b", 2, 0, 4)); }) == overlaps);
  // rows of floats
  const auto* const floats = reinterpret_cast<const float*>(memory);
  const auto place = detail::place_of_rows("m", view<const float, 2>(floats, 3, 2, 5));
  CHECK(place.row_pitch == 20);
  CHECK(place.row_bytes == 8);
  CHECK(detail::place_of_rows("v", view<const float>(floats, 3)).row_pitch == 4);
}

TEST_CASE("in place") {
  std::vector<float> x(32, 1.0f);
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::ignored};
  const auto call = [&](std::int64_t rows, std::int64_t stride) {
    const std::vector<std::int64_t> labels(std::size_t(rows), 0);
    std::vector<softmax_state> states(labels.size());
    const view<const float, 2> logits(x.data(), rows, 3, 4);
    token_logprob(cpu{}, rule, logits, labels, {.states = states});
    return refusal([&] {
      token_logprob_gradient(cpu{}, rule, logits, labels, states, {},
                             view<float, 2>(x.data(), rows, 3, stride));
    });
  };
  const std::string refused = "hence: gradient overlaps logits";
  CHECK(call(1, 7) == "accepted");
  CHECK(call(2, 4) == "accepted");
  CHECK(call(2, 3).find(refused) == 0);
  CHECK(call(3, 3).find(refused) == 0);
  // no rows have no states
  const std::vector<std::int64_t> none;
  CHECK(refusal([&] {
          token_logprob_gradient(cpu{}, rule, view<const float, 2>(x.data(), 0, 3), none, {}, {},
                                 view<float, 2>(x.data(), 0, 3));
        }) == "accepted");
}

}  // namespace
