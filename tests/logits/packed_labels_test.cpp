// Labels of packed and padded sequences and their weights, against those written by hand.
#include <doctest/doctest.h>
#include <hence/logits/packed_labels.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;

TEST_CASE("no sequence predicts the next one, and only answers are learned") {
  const std::vector<std::int64_t> cu{0, 4, 4, 5, 8}, ids{11, 12, 13, 14, 21, 31, 32, 33};
  std::vector<std::int64_t> labels(8, 7);
  label_counts n = packed_labels(cpu{}, ragged{cu}, ids, labels);
  CHECK(labels == std::vector<std::int64_t>{12, 13, 14, -100, -100, 32, 33, -100});
  CHECK(n.tokens == 5);
  CHECK(n.sequences == 2);
  const std::vector<std::uint8_t> answers{1, 0, 1, 1, 1, 1, 0, 0};
  const ragged batch{cu, {.response = answers}};
  n += packed_labels(cpu{}, batch, ids, labels);
  CHECK(labels == std::vector<std::int64_t>{-100, 13, 14, -100, -100, -100, -100, -100});
  CHECK(n.tokens == 7);
  CHECK(n.sequences == 3);
  // padded: the same rows, dead positions anything
  const std::vector<std::int64_t> wide{11, 12, 13, 14, 31, 32, 33, -5};
  const std::vector<std::uint8_t> live{1, 0, 1, 1, 1, 1, 1, 0};
  const padded rows{2, 4, {.response = view<const std::uint8_t, 2>(live.data(), 2, 4)}};
  packed_labels(cpu{}, rows,
                per_token<const std::int64_t>(view<const std::int64_t, 2>(wide.data(), 2, 4)),
                per_token<std::int64_t>(view<std::int64_t, 2>(labels.data(), 2, 4)));
  CHECK(labels == std::vector<std::int64_t>{-100, 13, 14, -100, 32, 33, -100, -100});
}

TEST_CASE("token 0 is a label") {
  const std::vector<std::int64_t> cu{0, 3}, ids{5, 0, 0};
  std::vector<std::int64_t> labels(3, 7);
  std::vector<float> w(3, 7.0f);
  CHECK(packed_labels(cpu{}, ragged{cu}, ids, labels).tokens == 2);
  CHECK(labels == std::vector<std::int64_t>{0, 0, -100});
  label_weights(cpu{}, label_mean::sequences{1}, ragged{cu}, labels, w);
  CHECK(w == std::vector<float>{0.5f, 0.5f, 0});
}

TEST_CASE("weights sum to one over the step") {
  const std::vector<std::int64_t> cu{0, 4, 5, 8}, labels{12, 13, -100, 14, -100, 32, -100, -100};
  std::vector<float> w(8, 7.0f);
  const ragged batch{cu};
  label_weights(cpu{}, label_mean::tokens{8}, batch, labels, w);
  CHECK(w == std::vector<float>{0.125f, 0.125f, 0, 0.125f, 0, 0.125f, 0, 0});
  label_weights(cpu{}, label_mean::sequences{2}, batch, labels, w, -1);
  const float sixth = 1.0f / 6;
  CHECK(w == std::vector<float>{-sixth, -sixth, 0, -sixth, 0, -0.5f, 0, 0});
}

TEST_CASE("wrong arguments are refused before anything is written") {
  const std::vector<std::int64_t> cu{0, 2, 3}, ids{1, 2, 3}, few{1, 2};
  std::vector<std::int64_t> labels(3, 7);
  std::vector<float> w(3, 7.0f);
  const ragged batch{cu};
  const auto refusal = [](auto&& f) {
    try {
      f();
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refusal([&] { packed_labels(cpu{}, batch, few, labels); }).find("hence: ids has") == 0);
  CHECK(refusal([&] { packed_labels(cpu{}, batch, labels, labels); }) ==
        "hence: labels overlaps ids, expected separate arrays");
  CHECK(refusal([&] { label_weights(cpu{}, label_mean::tokens{0}, batch, ids, w); }) ==
        "hence: label_mean's count is 0, expected that of the whole step, at least 1");
  CHECK(refusal([&] { label_weights(cpu{}, label_mean::tokens{1}, batch, ids, w, 2); }) ==
        "hence: sign is 2, expected 1 or -1");
  CHECK(labels == std::vector<std::int64_t>(3, 7));
  CHECK(w == std::vector<float>(3, 7.0f));
}

}  // namespace
