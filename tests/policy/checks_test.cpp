#include "compositions.hpp"

#include <doctest/doctest.h>
#include <variant>

namespace {

namespace clip = hence::clip;
namespace kl = hence::kl;
namespace ratio = hence::ratio;
using hence::detail::check_composition;
using hence::detail::kl_rule;
using hence::detail::ratio_rule;
using hence::detail::variant_like;

using any_ratio = std::variant<ratio::token<>, ratio::sequence<>>;
using any_surrogate = std::variant<clip::two_sided<float>, clip::cispo<float>>;
using any_kl = std::variant<kl::none, kl::k1<float>, kl::k3<float, kl::as_k2>>;

}  // namespace

TEST_CASE("what counts as a variant, a ratio, a KL term") {
  CHECK(variant_like<any_ratio>);
  CHECK(!variant_like<ratio::token<>>);
  CHECK(!variant_like<std::vector<float>>);
  CHECK(ratio_rule<ratio::token<>>);
  CHECK(ratio_rule<ratio::sequence<ratio::log_clamp<double>>>);
  CHECK(!ratio_rule<clip::two_sided<float>>);
  CHECK(kl_rule<kl::none>);
  CHECK(kl_rule<kl::k2<double, kl::as_k2>>);
  CHECK(!kl_rule<float>);
  CHECK(!kl_rule<hence::aggregate::token_mean>);
}

TEST_CASE("sound compositions pass the check in both arithmetics") {
  using mean = hence::aggregate::token_mean;
  using window = hence::denominator<mean, hence::scope::window>;
  using loss = hence::policy_loss<ratio::token<>, clip::two_sided<float>, kl::none, mean>;
  CHECK(check_composition<loss, float, window>());
  CHECK(check_composition<loss, double, hence::over_this_call_t>());
  using late = hence::policy_loss<any_ratio, any_surrogate, any_kl, mean>;
  CHECK(check_composition<late, float, hence::denominator<mean, hence::scope::ranks>>());
  using own = hence::policy_loss<ratio::sequence<>, decltype(fixture::token_rule), kl::none, mean>;
  CHECK(check_composition<own, float, window>());
  using pair = hence::policy_loss<ratio::sequence<>, decltype(fixture::pair_rule), kl::none, mean>;
  CHECK(check_composition<pair, double, window>());
}
