#include <hence/core/logprob.hpp>

#include <doctest/doctest.h>
#include <vector>

TEST_CASE("log-probs say how they were made") {
  const std::vector<float> x(5);
  const hence::logprobs<float> plain;
  CHECK(!plain.present());
  CHECK(plain.how == hence::sampled{1.0});
  const hence::logprobs<float> cooled(x, {0.6, 7});
  CHECK(cooled.present());
  CHECK(cooled.values.extent[0] == 5);
  CHECK(cooled.how.temperature == 0.6);
  CHECK(cooled.how.sampling_mask == 7);
  const hence::logprobs<float> matrix{hence::view<const float, 2>(x.data(), 1, 5), {1.0}};
  CHECK(matrix.values.is_padded);
}

TEST_CASE("only equal provenance is equal") {
  CHECK(hence::sampled{0.6} == hence::sampled{0.6, 0});
  CHECK(hence::sampled{0.6} != hence::sampled{1.0});
  CHECK(hence::sampled{0.6, 1} != hence::sampled{0.6, 2});
}
