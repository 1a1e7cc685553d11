// The bias update: its steps, once per optimizer step, never on replayed or frozen loads.

#include <hence/moe/balancer.hpp>

#include <doctest/doctest.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;

template <class F> std::string refusal(F f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

template <class Balancer>
void observe(Balancer& balancer, const moe::route_counts& counts,
             const std::vector<std::int64_t>& load) {
  balancer.observe(counts, load);
}

TEST_CASE("sign, proportional, centred") {
  const std::vector<std::int64_t> load{0, 2, 4, 2};
  const auto biases = [&](const auto& step) {
    std::vector<float> bias{0.5f, 0, 0, -__builtin_inff()};
    std::vector<std::int64_t> seen(4, 99);
    moe::balancer balancer(step, hence::view<float>(bias), hence::view<std::int64_t>(seen));
    balancer.observe({}, load);
    balancer.update(1);
    CHECK(seen == std::vector<std::int64_t>(4, 0));
    return bias;
  };
  const float never = -__builtin_inff();
  CHECK(biases(moe::sign_step{0.25}) == std::vector<float>{0.75f, 0, -0.25f, never});
  CHECK(biases(moe::proportional_step{0.25}) == std::vector<float>{0.75f, 0, -0.25f, never});
  const std::vector<std::int64_t> uneven{0, 0, 0, 8};
  std::vector<float> bias(4, 0.0f);
  std::vector<std::int64_t> seen(4);
  moe::balancer balancer(moe::centred{moe::sign_step{1.0}}, hence::view<float>(bias),
                         hence::view<std::int64_t>(seen));
  balancer.observe({}, uneven);
  balancer.update(1);
  CHECK(bias == std::vector<float>{0.5f, 0.5f, 0.5f, -1.5f});  // (1, 1, 1, -1) - 1/2
}

TEST_CASE("counts of micro-batches add up; one step each") {
  std::vector<float> bias(2, 0.0f);
  std::vector<std::int64_t> seen(2);
  moe::balancer balancer(moe::sign_step{1.0}, hence::view<float>(bias),
                         hence::view<std::int64_t>(seen));
  observe(balancer, {}, {3, 0});
  observe(balancer, {}, {0, 4});
  balancer.load()[0] += 2;  // another rank's
  balancer.update(7);
  CHECK(bias == std::vector<float>{-1, 1});
  observe(balancer, {}, {0, 4});
  CHECK(refusal([&] { balancer.update(7); }) ==
        "hence: step is 7, expected above 7: the bias moves once per optimizer step");
  CHECK(bias == std::vector<float>{-1, 1});
  balancer.update(8);
  CHECK(bias == std::vector<float>{0, 0});
  balancer.update(9);  // no load at all
  CHECK(bias == std::vector<float>{0, 0});
  moe::balancer other(moe::proportional_step{1.0}, hence::view<float>(bias),
                      hence::view<std::int64_t>(seen));
  other.update(1);
  CHECK(bias == std::vector<float>{0, 0});
  moe::balancer none(moe::centred{moe::sign_step{1.0}}, hence::view<float>(),
                     hence::view<std::int64_t>());
  none.update(1);  // no expert at all
}

TEST_CASE("no update while replaying or frozen") {
  std::vector<float> bias(2, 0.5f);
  std::vector<std::int64_t> seen(2);
  moe::balancer balancer(moe::sign_step{1.0}, hence::view<float>(bias),
                         hence::view<std::int64_t>(seen));
  moe::route_counts counts;
  counts.rows = counts.replayed_rows = 12;
  observe(balancer, counts, {3, 0});
  CHECK(balancer.is_replaying());
  CHECK(refusal([&] { balancer.update(1); }) ==
        "hence: 12 rows of this step were replayed, so their load says nothing of the bias; "
        "expected skip()");
  balancer.skip();
  CHECK(!balancer.is_replaying());
  observe(balancer, {}, {1, 1});
  balancer.freeze();
  CHECK(refusal([&] { balancer.update(1); }).starts_with("hence: the balancer is frozen"));
  CHECK(bias == std::vector<float>(2, 0.5f));
  balancer.thaw();
  balancer.update(1);
  CHECK(bias == std::vector<float>(2, 0.5f));
}

TEST_CASE("a speed that is no number is refused") {
  std::vector<float> bias(2, 0.5f);
  std::vector<std::int64_t> seen(2, 5);
  const auto with = [&](auto step) {
    return refusal(
        [&] { moe::balancer(step, hence::view<float>(bias), hence::view<std::int64_t>(seen)); });
  };
  CHECK(with(moe::sign_step{__builtin_nan("")}) == "hence: speed is nan, expected a finite number");
  CHECK(with(moe::centred{moe::proportional_step{__builtin_inf()}}) ==
        "hence: speed is inf, expected a finite number");
  CHECK(seen == std::vector<std::int64_t>(2, 5));
}

TEST_CASE("bad loads") {
  std::vector<float> bias(2, 0.5f);
  std::vector<std::int64_t> seen(2), three(3);
  CHECK(refusal([&] {
          moe::balancer(moe::sign_step{1.0}, hence::view<float>(bias),
                        hence::view<std::int64_t>(three));
        }) == "hence: load has 3 entries, expected 2");
  moe::balancer balancer(moe::sign_step{1.0}, hence::view<float>(bias),
                         hence::view<std::int64_t>(seen));
  CHECK(refusal([&] { balancer.observe({}, three); }) == "hence: load has 3 entries, expected 2");
  CHECK(refusal([&] { observe(balancer, {}, {1, -1}); }) ==
        "hence: load[1] is -1, expected 0 or more");
  CHECK(seen == std::vector<std::int64_t>(2, 0));
}

}  // namespace
