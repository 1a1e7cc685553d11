// Groups that store their prompt once: maps by hand, gather and scatter against the unshared batch.
#include <doctest/doctest.h>
#include <hence/core/shared_prefix.hpp>

#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using ints = std::vector<std::int64_t>;

struct batch {
  ints groups, prompts, responses;
  shared_prefix layout() const { return {groups, prompts, responses}; }
};

/// P P P P | A A | B B B | Q Q | C C C C | (an empty response) | a group without rows: R | S | D
const batch example{{0, 2, 4, 4, 5}, {0, 4, 6, 7, 8}, {0, 2, 5, 9, 9, 10}};

}  // namespace

TEST_CASE("where tokens lie, and what predicts them") {
  const shared_prefix s = example.layout();
  CHECK(s.stored() == 18);
  CHECK(s.responses() == 10);
  ints position(18, -7), group(18, -7), row(18, -7), predictor(10, -7);
  write_maps(s, {position, group, row, predictor});
  CHECK(position == ints{0, 1, 2, 3, 4, 5, 4, 5, 6, 0, 1, 2, 3, 4, 5, 0, 0, 1});
  CHECK(group == ints{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3});
  CHECK(row == ints{-1, -1, -1, -1, 0, 0, 1, 1, 1, -1, -1, 2, 2, 2, 2, -1, -1, 4});
  CHECK(predictor == ints{3, 4, 3, 6, 7, 10, 11, 12, 13, 16});
}

TEST_CASE("a predictor is the token before, in the sequence of the row") {
  std::mt19937 random(4);
  batch b{{0}, {0}, {0}};
  for (int g = 0; g < 20; ++g) {
    const auto rows = static_cast<std::int64_t>(random() % 5);
    b.prompts.push_back(b.prompts.back() + 1 + static_cast<std::int64_t>(random() % 6));
    for (std::int64_t i = 0; i < rows; ++i)
      b.responses.push_back(b.responses.back() + static_cast<std::int64_t>(random() % 4));
    b.groups.push_back(b.groups.back() + rows);
  }
  const shared_prefix s = b.layout();
  const auto stored = static_cast<std::size_t>(s.stored());
  ints position(stored), group(stored), row(stored),
      predictor(static_cast<std::size_t>(s.responses()));
  write_maps(s, {position, group, row, predictor});
  std::size_t r = 0;
  for (std::size_t at = 0; at < stored; ++at) {
    if (row[at] < 0) continue;
    const auto p = static_cast<std::size_t>(predictor[r++]);
    CHECK(group[p] == group[at]);
    CHECK(position[p] == position[at] - 1);
    CHECK((row[p] == row[at] || (row[p] == -1 && (at == 0 || row[at - 1] != row[at]))));
  }
  CHECK(r == predictor.size());
}

TEST_CASE("scatter is the transpose of gather, its sums exact") {
  const shared_prefix s = example.layout();
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const std::int64_t width = 3;
  std::vector<float> hidden(18 * 3), states(10 * 3), gradient(10 * 3), back(18 * 3, 99.0f);
  for (float& x : hidden) x = uniform(random);
  for (float& x : gradient) x = uniform(random);
  gather_predictors(cpu{}, s, view<const float, 2>(hidden.data(), 18, width),
                    view<float, 2>(states.data(), 10, width));
  scatter_to_predictors(cpu{}, s, view<const float, 2>(gradient.data(), 10, width),
                        view<float, 2>(back.data(), 18, width));
  double forward = 0, backward = 0, size = 0;
  for (std::size_t i = 0; i < states.size(); ++i)
    forward += double(states[i]) * double(gradient[i]),
        size += std::abs(double(states[i]) * double(gradient[i]));
  for (std::size_t i = 0; i < hidden.size(); ++i) backward += double(hidden[i]) * double(back[i]);
  CHECK(std::abs(forward - backward) <= 1e-6 * size);
  gradient[0] = 3.0e7f, gradient[2 * 3] = 2.0f - 3.0e7f;
  scatter_to_predictors(cpu{}, s, view<const float, 2>(gradient.data(), 10, width),
                        view<float, 2>(back.data(), 18, width));
  CHECK(back[3 * 3] == 2.0f);  // of 3e7 and 2 - 3e7
  for (const std::size_t nothing : {0u, 1u, 2u, 5u, 8u, 9u, 14u, 15u, 17u})
    for (std::size_t d = 0; d < 3; ++d) CHECK(back[nothing * 3 + d] == 0.0f);
  for (std::size_t d = 0; d < 3; ++d) {
    CHECK(states[d] == hidden[3 * 3 + d]);          // A's first token: the prompt's last
    CHECK(states[2 * 3 + d] == hidden[3 * 3 + d]);  // B's too
    CHECK(states[9 * 3 + d] == hidden[16 * 3 + d]);
    CHECK(back[4 * 3 + d] == gradient[3 + d]);
    CHECK(back[10 * 3 + d] == gradient[5 * 3 + d]);  // the empty response adds nothing
  }
}

TEST_CASE("what is refused") {
  const auto message_of = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  const auto of = [&](const batch& b) { return message_of([&] { write_maps(b.layout(), {}); }); };
  CHECK(of(example) == "accepted");
  CHECK(of({{0, 1}, {0, 1, 2}, {0, 1}}) ==
        "hence: cu_prompts describes 2 prompts, cu_groups 1 groups");
  CHECK(of({{0, 2}, {0, 1}, {0, 1}}) ==
        "hence: cu_groups ends at 2, cu_responses describes 1 rows");
  CHECK(of({{0, 1}, {0, 0}, {0, 1}}).find("the prompt of group 0 is empty") != std::string::npos);
  CHECK(of({{0, 1}, {0, 0}, {0, 0}}) == "accepted");  // nothing to predict
  CHECK(of({{0, 1}, {0, 3}, {0, -1}}).find("cu_responses[1] is -1") != std::string::npos);
  CHECK(of({{1, 1}, {0, 3}, {0, 1}}).find("cu_groups[0] is 1") != std::string::npos);
  ints too_short(3);
  CHECK(message_of([&] { write_maps(example.layout(), {too_short}); }) ==
        "hence: out.position has 3 entries, expected 18");
  std::vector<float> x(18 * 2);
  CHECK(message_of([&] {
          gather_predictors(cpu{}, example.layout(), view<const float, 2>(x.data(), 18, 2),
                            view<float, 2>(x.data(), 9, 2));
        }) == "hence: out has shape [9, 2], expected [10, 2]");
  CHECK(message_of([&] {
          gather_predictors(cpu{}, example.layout(), view<const float, 2>(x.data(), 18, 2),
                            view<float, 2>(x.data(), 10, 1));
        }) == "hence: out has shape [10, 1], expected [10, 2]");
  CHECK(message_of([&] {
          gather_predictors(cpu{}, example.layout(), view<const float, 2>(x.data(), 18, 2),
                            view<float, 2>(nullptr, 10, 2));
        }) == "hence: out is null, expected shape [10, 2]");
  std::vector<float> y(20, 7.0f);
  CHECK(message_of([&] {
          gather_predictors(cpu{}, example.layout(), view<const float, 2>(x.data(), 18, 2),
                            view<float, 2>(y.data(), 10, 2, 1));
        }) == "hence: out has strides 1 and 1, expected at least its 2 columns and 1");
  CHECK(message_of([&] {
          gather_predictors(cpu{}, example.layout(), view<const float, 2>(x.data(), 18, -1),
                            view<float, 2>(y.data(), 10, -1));
        }) == "hence: hidden has shape [18, -1], expected a width of 0 or more");
  CHECK(y == std::vector<float>(20, 7.0f));
  ints one_entry(18);
  view<std::int64_t> same(one_entry.data(), 18);
  same.stride[0] = 0;
  CHECK(message_of([&] { write_maps(example.layout(), {.group = same}); }) ==
        "hence: out.group has stride 0, expected another: its 18 entries are one");
  CHECK(message_of([&] {
          write_maps(example.layout(), {.row = view<std::int64_t>(nullptr, 18)});
        }) == "hence: out.row is null, expected 18 entries");
  const view<float, 2> stored(x.data(), 18, 1), of_responses(x.data() + 17, 10, 1);
  CHECK(message_of([&] { gather_predictors(cpu{}, example.layout(), stored, of_responses); }) ==
        "hence: out overlaps hidden, expected separate arrays");
  CHECK(message_of([&] { scatter_to_predictors(cpu{}, example.layout(), of_responses, stored); }) ==
        "hence: out overlaps gradient, expected separate arrays");
  // the boundaries, and maps of one another
  auto of_own = example.layout();
  std::vector<std::int64_t> boundaries(40);
  for (std::int64_t i = 0; i <= of_own.rows(); ++i)
    boundaries[static_cast<std::size_t>(i)] = of_own.cu_responses[i];
  of_own.cu_responses = view<const std::int64_t>(boundaries.data(), of_own.rows() + 1);
  const std::vector<std::int64_t> before = boundaries;
  const view<std::int64_t> on_them(boundaries.data(), of_own.stored());
  CHECK(message_of([&] { write_maps(of_own, {.position = on_them}); }) ==
        "hence: out.position overlaps cu_responses, expected separate arrays");
  CHECK(message_of([&] {
          gather_predictors(
              cpu{}, of_own, stored,
              view<float, 2>(reinterpret_cast<float*>(boundaries.data()), of_own.responses(), 1));
        }) == "hence: out overlaps cu_responses, expected separate arrays");
  std::vector<std::int64_t> map(40, 7);
  const view<std::int64_t> one(map.data(), of_own.stored());
  CHECK(message_of([&] { write_maps(of_own, {.position = one, .group = one}); }) ==
        "hence: out.group overlaps out.position, expected separate arrays");
  CHECK(boundaries == before);
  CHECK(map == std::vector<std::int64_t>(40, 7));
}
