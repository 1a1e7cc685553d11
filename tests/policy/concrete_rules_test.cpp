#include "compositions.hpp"

#include <doctest/doctest.h>
#include <variant>

namespace {

using fixture::run;
using fixture::same_bits;
namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;

using any_ratio = std::variant<ratio::token<>, ratio::sequence<>>;
using any_surrogate = std::variant<clip::two_sided<float>, clip::cispo<float>>;
using any_kl = std::variant<kl::none, kl::k1<float>, kl::k3<float, kl::as_k2>>;

fixture::description batch() {
  fixture::dice random(8);
  return fixture::random_batch(random, {19, 0, 7, 33}, {.live = 0.8, .roles = true});
}

}  // namespace

TEST_CASE("a variant of rules is a rule: the concrete one's bits, on every executor") {
  const auto d = batch();
  const hence::aggregate::sequence_mean_token_mean mean;
  const any_ratio ratios[] = {ratio::token{}, ratio::sequence{}};
  const any_surrogate rules[] = {clip::two_sided{0.75f, 1.25f}, clip::cispo{0.75f, 1.25f}};
  const any_kl kls[] = {kl::none{}, kl::k1{0.0625f}, kl::k3{0.0625f, kl::as_k2{}}};
  int compositions = 0;
  for (const auto& r : ratios)
    for (const auto& s : rules)
      for (const auto& k : kls) {
        const hence::policy_loss late{r, s, k, mean};
        const auto of_variant = run(hence::reference<float>{}, late, d);
        const auto of_packs = run(hence::cpu{}, late, d);
        CHECK(same_bits(of_variant, of_packs));
        std::visit(
            [&](const auto& a, const auto& b, const auto& c) {
              const hence::policy_loss early{a, b, c, mean};
              CHECK(same_bits(of_variant, run(hence::reference<float>{}, early, d)));
            },
            r, s, k);
        ++compositions;
      }
  CHECK(compositions == 12);
}

TEST_CASE("one axis as a variant, the others concrete") {
  const auto d = batch();
  const hence::aggregate::token_mean mean;
  const hence::policy_loss plain{ratio::token{}, clip::cispo{0.75f, 1.25f}, kl::k1{0.25f}, mean};
  const auto expected = run(hence::cpu{}, plain, d);
  CHECK(same_bits(
      expected,
      run(hence::cpu{}, hence::policy_loss{any_ratio(plain.ratio), plain.surrogate, plain.kl, mean},
          d)));
  CHECK(same_bits(
      expected,
      run(hence::cpu{},
          hence::policy_loss{plain.ratio, any_surrogate(plain.surrogate), plain.kl, mean}, d)));
  CHECK(same_bits(
      expected, run(hence::cpu{},
                    hence::policy_loss{plain.ratio, plain.surrogate, any_kl(plain.kl), mean}, d)));
}

TEST_CASE("the row-range form and a parallel pool take variants too") {
  const auto d = batch();
  const hence::policy_loss loss{any_ratio(ratio::sequence{}),
                                any_surrogate(clip::cispo{0.75f, 1.25f}), any_kl(kl::k1{0.5f}),
                                hence::aggregate::token_mean{}};
  fixture::threads_of pool{3};
  const auto expected = run(hence::cpu{}, loss, d);
  CHECK(same_bits(expected, run(hence::cpu{pool}, loss, d)));
  fixture::arrays<float> a(d, fixture::form::ragged);
  const auto by = hence::over_window(loss.aggregation, hence::count(a.ragged()));
  const auto r = hence::loss_and_gradient_rows(hence::cpu{}, loss, a.ragged(), a.inputs(), by,
                                               a.output(), 0, 4);
  CHECK(r.loss() == expected.loss);
}

TEST_CASE("every part may be a variant, and one call visits each once") {
  using hence::detail::with_concrete_rules;
  using any_correction = std::variant<hence::correction::none>;
  using any_gate = std::variant<hence::gate::none>;
  using any_entropy = std::variant<hence::entropy::none>;
  const hence::policy_loss late{any_ratio{ratio::sequence{}},
                                any_surrogate{clip::cispo{0.75f, 1.25f}},
                                any_kl{kl::k1{0.0625f}},
                                hence::aggregate::token_mean{},
                                any_correction{},
                                any_gate{},
                                any_entropy{}};
  int calls = 0;
  with_concrete_rules(late, [&](const auto& concrete) {
    using loss = std::remove_cvref_t<decltype(concrete)>;
    ++calls;
    CHECK(std::is_same_v<decltype(loss::ratio), ratio::sequence<>>);
    CHECK(std::is_same_v<decltype(loss::surrogate), clip::cispo<float>>);
    CHECK(std::is_same_v<decltype(loss::kl), kl::k1<float>>);
    CHECK(std::is_same_v<decltype(loss::gate), hence::gate::none>);
  });
  CHECK(calls == 1);
}
