#include "compositions.hpp"

#include <doctest/doctest.h>

namespace {

namespace aggregate = hence::aggregate;
using fixture::form;

const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.75f, 1.25f},
                              hence::kl::k3{0.0625f}, aggregate::sequence_mean_token_mean{}};

fixture::description batch() {
  fixture::dice random(1);
  return fixture::random_batch(random, {9, 40, 0, 23, 5, 60, 1}, {.live = 0.9});
}
auto call(const fixture::description& d, std::size_t begin, std::size_t end) {
  fixture::description part = d;
  part.rows.assign(d.rows.begin() + static_cast<std::ptrdiff_t>(begin),
                   d.rows.begin() + static_cast<std::ptrdiff_t>(end));
  fixture::arrays<float> whole(d, form::ragged), a(part, form::ragged);
  const auto by = hence::over_all_ranks(loss.aggregation, hence::count(whole.ragged()));
  return hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), a.inputs(), by, a.output(),
                                  hence::with_metrics);
}

}  // namespace

TEST_CASE("a result that nothing was added to: loss 0, empty") {
  const decltype(call(batch(), 0, 1)) r;
  CHECK(r.loss() == 0);
  CHECK(r.conditions() == hence::status::empty);
  CHECK(r.counts() == hence::counts{});
}

TEST_CASE("results add up in any order and any grouping, to the bit") {
  const auto d = batch();
  const auto whole = call(d, 0, 7);
  const auto a = call(d, 0, 2), b = call(d, 2, 3), c = call(d, 3, 5), e = call(d, 5, 7);
  CHECK(has(b.conditions(), hence::status::empty));
  auto left = a;
  ((left += b) += c) += e;
  auto right = e;
  right += c;
  auto inner = b;
  inner += a;
  right += inner;
  decltype(left) from_nothing;
  from_nothing += left;
  for (const auto& r : {left, right, from_nothing}) {
    CHECK(r.loss() == whole.loss());
    CHECK(r.counts() == whole.counts());
    CHECK(r.conditions() == hence::status::ok);
    CHECK(r.metrics().ratio_mean() == whole.metrics().ratio_mean());
    CHECK(r.metrics().kl_mean() == whole.metrics().kl_mean());
    CHECK(r.metrics().max_ratio == whole.metrics().max_ratio);
    CHECK(r.metrics().tokens == whole.metrics().tokens);
  }
}

TEST_CASE("ranks merge by an integer all-reduce over the words of the state") {
  const auto d = batch();
  const auto whole = call(d, 0, 7);
  decltype(call(d, 0, 7)) ranks[] = {call(d, 0, 3), call(d, 3, 4), call(d, 4, 7)};
  auto merged = ranks[0];
  merged.state().numerator.normalise();
  for (std::size_t k = 1; k < 3; ++k) {
    ranks[k].state().numerator.normalise();
    for (int w = 0; w < hence::exact_sum::words_count; ++w)
      merged.state().numerator.words()[w] += ranks[k].state().numerator.words()[w];
    merged.state().counts += ranks[k].state().counts;
  }
  CHECK(merged.loss() == whole.loss());
  CHECK(merged.counts() == whole.counts());
}

TEST_CASE("a condition of one micro-batch is a condition of the window") {
  auto d = batch();
  d.rows[3].at[2].logp = std::nan("");
  d.rows[3].at[2].live = true;
  auto total = call(d, 0, 3);
  CHECK(total.conditions() == hence::status::ok);
  total += call(d, 3, 7);
  CHECK(total.conditions() == hence::status::non_finite);
  CHECK(total.loss() != total.loss());
}
