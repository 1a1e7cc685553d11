#include "arrays.hpp"

#include <doctest/doctest.h>
#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>

namespace {

using hence::per_token;
using hence::view;
using bytes_view = view<std::byte>;
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr float sentinel = -12345.678f;

/// A sound call on two rows of 5 tokens or on a [2, 3] matrix; a case spoils one thing.
struct request {
  std::vector<std::int64_t> cu{0, 2, 5};
  std::vector<float> logp, old, ref, advantages, token_advantages, scores, gradient, shared;
  std::vector<std::uint8_t> response, mask;
  alignas(64) std::byte room[64 * 1024];
  hence::ragged ragged;
  hence::padded padded;
  hence::policy_inputs<float> in;
  per_token<float> out;
  hence::denominator<hence::aggregate::token_mean, hence::scope::window> by{6};
  bytes_view workspace;
  std::int64_t begin = 0, end = 2;
  bool is_padded;

  explicit request(bool pad) : is_padded(pad) {
    const std::size_t n = pad ? 6 : 5;
    for (auto* a : {&logp, &old, &ref, &token_advantages}) a->assign(n, -0.5f);
    gradient.assign(n, sentinel);
    shared.assign(64, sentinel);
    response.assign(n, 1);
    mask.assign(64, 1);
    advantages = {1, -1};
    scores = {1, 0};
    in.logp = {pad ? matrix(logp) : per_token<const float>(logp), {1.0}};
    in.old = {pad ? matrix(old) : per_token<const float>(old), {1.0}};
    in.ref = {pad ? matrix(ref) : per_token<const float>(ref), {1.0}};
    in.advantages = advantages;
    in.scores = scores;
    out =
        pad ? per_token<float>(view<float, 2>(gradient.data(), 2, 3)) : per_token<float>(gradient);
    ragged.cu_seqlens = cu;
    ragged.mask.response = response;
    padded.rows = 2, padded.width = 3;
    padded.mask.response = view<const std::uint8_t, 2>(response.data(), 2, 3);
  }
  request(const request&) = delete;
  static per_token<const float> matrix(const std::vector<float>& a) {
    return view<const float, 2>(a.data(), 2, 3);
  }
};

template <class F> std::string refusal_of(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.75f, 1.25f},
                              hence::kl::k3{0.0625f}, hence::aggregate::token_mean{}};

template <class Executor> std::string call(const Executor& executor, request& r) {
  return refusal_of([&] {
    if (r.is_padded)
      hence::loss_and_gradient(executor, loss, r.padded, r.in, r.by, r.out, hence::with_metrics,
                               r.workspace);
    else
      hence::loss_and_gradient(executor, loss, r.ragged, r.in, r.by, r.out, hence::with_metrics,
                               r.workspace);
  });
}
template <class Executor> std::string call_rows(const Executor& executor, request& r) {
  return refusal_of([&] {
    if (r.is_padded)
      hence::loss_and_gradient_rows(executor, loss, r.padded, r.in, r.by, r.out, r.begin, r.end);
    else
      hence::loss_and_gradient_rows(executor, loss, r.ragged, r.in, r.by, r.out, r.begin, r.end);
  });
}

bool untouched(const request& r) {
  const auto same = [](const std::vector<float>& a) {
    return std::all_of(a.begin(), a.end(),
                       [](float x) { return std::memcmp(&x, &sentinel, sizeof x) == 0; });
  };
  return same(r.gradient) && same(r.shared);
}

struct bad {
  std::function<void(request&)> spoil;
  std::string message;
};

void check(bool pad, const std::vector<bad>& cases) {
  fixture::threads_of pool{2};
  for (const bad& c : cases) {
    CAPTURE(c.message);
    CHECK(c.message.starts_with("hence: "));
    const auto r = std::make_unique<request>(pad);
    c.spoil(*r);
    CHECK(call(hence::cpu{}, *r) == c.message);
    CHECK(call(hence::reference<float>{}, *r) == c.message);
    CHECK(call(hence::cpu{pool}, *r) == c.message);
    CHECK(call_rows(hence::cpu{}, *r) == c.message);
    CHECK(untouched(*r));
  }
}

}  // namespace

TEST_CASE("the sound request of this file is accepted") {
  for (const bool pad : {false, true}) {
    const auto r = std::make_unique<request>(pad);
    CHECK(call(hence::cpu{}, *r) == "accepted");
    CHECK(!untouched(*r));
    CHECK(call_rows(hence::cpu{}, *r) == "accepted");
  }
}

TEST_CASE("ragged batches: arrays that are missing, of another size, rank or stride") {
  check(false,
        {
            {[](request& r) { r.in.logp = {}; }, "hence: logp is null, expected 5 tokens"},
            {[](request& r) { r.in.old.values = {}; }, "hence: old is null, expected 5 tokens"},
            {[](request& r) { r.in.ref = {}; },
             "hence: ref is null, expected 5 tokens: the loss has a KL term"},
            {[](request& r) { r.out = {}; }, "hence: gradient is null, expected 5 tokens"},
            {[](request& r) { r.logp.pop_back(), r.in.logp.values = r.logp; },
             "hence: logp has 4 entries, cu_seqlens describes 5 tokens"},
            {[](request& r) { r.in.old.values = view<const float>(r.old.data(), 0); },
             "hence: old has 0 entries, cu_seqlens describes 5 tokens"},
            {[](request& r) { r.in.ref.values = view<const float>(r.ref.data(), -5); },
             "hence: ref has -5 entries, cu_seqlens describes 5 tokens"},
            {[](request& r) { r.out = view<float>(r.shared.data(), 6); },
             "hence: gradient has 6 entries, cu_seqlens describes 5 tokens"},
            {[](request& r) { r.in.logp.values = view<const float, 2>(r.logp.data(), 1, 5); },
             "hence: logp has shape [rows, width], the batch is ragged and expects [tokens]"},
            {[](request& r) { r.out = view<float, 2>(r.gradient.data(), 1, 5); },
             "hence: gradient has shape [rows, width], the batch is ragged and expects [tokens]"},
            {[](request& r) {
               view<const float> v(r.shared.data(), 5);
               v.stride[0] = 2;
               r.in.old.values = v;
             },
             "hence: old has a stride between tokens that is not 1, expected row-major [rows, "
             "width] or contiguous [tokens]"},
        });
}

TEST_CASE("ragged batches: row boundaries") {
  check(false,
        {
            {[](request& r) { r.ragged.cu_seqlens = {}; },
             "hence: cu_seqlens is empty, expected rows + 1 entries from 0"},
            {[](request& r) { r.ragged.cu_seqlens = view<const std::int64_t>(r.cu.data(), 0); },
             "hence: cu_seqlens is empty, expected rows + 1 entries from 0"},
            {[](request& r) { r.cu[0] = 1; },
             "hence: cu_seqlens[0] is 1, expected 0 (boundaries, not lengths)"},
            {[](request& r) { r.cu[0] = -3; },
             "hence: cu_seqlens[0] is -3, expected 0 (boundaries, not lengths)"},
            {[](request& r) { r.cu[1] = 6; },
             "hence: cu_seqlens[2] is 5, expected at least its predecessor 6"},
            {[](request& r) { r.cu[1] = -1; },
             "hence: cu_seqlens[1] is -1, expected at least its predecessor 0"},
            {[](request& r) { r.cu[2] = INT64_MIN; },
             "hence: cu_seqlens[2] is -9223372036854775808, expected at least its predecessor 2"},
            {[](request& r) { r.cu[2] = 9; },
             "hence: mask.response has 5 entries, cu_seqlens describes 9 tokens"},
        });
}

TEST_CASE("advantages and scores") {
  for (const bool pad : {false, true})
    check(
        pad,
        {
            {[](request& r) { r.in.advantages = {}; },
             "hence: advantages is null, expected 2 rows (or token_advantages)"},
            {[](request& r) { r.in.advantages = view<const float>(r.shared.data(), 3); },
             "hence: advantages has 3 entries, the batch has 2 rows"},
            {[](request& r) { r.in.advantages = view<const float>(r.shared.data(), 0); },
             "hence: advantages has 0 entries, the batch has 2 rows"},
            {[](request& r) {
               r.in.token_advantages = r.is_padded ? request::matrix(r.token_advantages)
                                                   : per_token<const float>(r.token_advantages);
             },
             "hence: advantages [rows] and token_advantages are both given, expected one of them"},
            {[](request& r) { r.in.scores = view<const float>(r.shared.data(), 1); },
             "hence: scores has 1 entries, the batch has 2 rows"},
        });
  check(false, {{[](request& r) {
                   r.in.advantages = {};
                   r.in.token_advantages = view<const float>(r.shared.data(), 7);
                 },
                 "hence: token_advantages has 7 entries, cu_seqlens describes 5 tokens"}});
  check(true, {{[](request& r) {
                  r.in.advantages = {};
                  r.in.token_advantages = view<const float, 2>(r.shared.data(), 3, 2);
                },
                "hence: token_advantages has shape [3, 2], expected [2, 3]"}});
}

TEST_CASE("the gradient is an array of its own") {
  const auto shared = [](request& r) { return view<float>(r.shared.data(), 5); };
  const auto beside = [](request& r) { return view<float>(r.shared.data() + 4, 5); };
  check(false, {
                   {[&](request& r) { r.out = shared(r), r.in.logp.values = shared(r); },
                    "hence: gradient overlaps logp, expected separate arrays"},
                   {[&](request& r) { r.out = shared(r), r.in.old.values = beside(r); },
                    "hence: gradient overlaps old, expected separate arrays"},
                   {[&](request& r) { r.out = beside(r), r.in.ref.values = shared(r); },
                    "hence: gradient overlaps ref, expected separate arrays"},
                   {[&](request& r) {
                      r.out = beside(r), r.in.advantages = {}, r.in.token_advantages = shared(r);
                    },
                    "hence: gradient overlaps token_advantages, expected separate arrays"},
                   {[&](request& r) {
                      r.out = shared(r),
                      r.in.advantages = view<const float>(r.shared.data() + 4, 2);
                    },
                    "hence: gradient overlaps advantages, expected separate arrays"},
                   {[&](request& r) {
                      view<const float> v(r.shared.data() + 7, 2);
                      v.stride[0] = -5;  // its second element is shared[2]
                      r.out = shared(r), r.in.advantages = v;
                    },
                    "hence: gradient overlaps advantages, expected separate arrays"},
                   {[&](request& r) {
                      r.out = shared(r), r.in.scores = view<const float>(r.shared.data() + 4, 2);
                    },
                    "hence: gradient overlaps scores, expected separate arrays"},
               });
  const auto as_mask = [](request& r) {
    return view<const std::uint8_t>(reinterpret_cast<std::uint8_t*>(r.shared.data() + 4), 5);
  };
  check(false, {
                   {[&](request& r) { r.out = shared(r), r.ragged.mask.response = as_mask(r); },
                    "hence: gradient overlaps mask.response, expected separate arrays"},
                   {[&](request& r) { r.out = shared(r), r.ragged.mask.policy = as_mask(r); },
                    "hence: gradient overlaps mask.policy, expected separate arrays"},
                   {[&](request& r) { r.out = shared(r), r.ragged.mask.kl = as_mask(r); },
                    "hence: gradient overlaps mask.kl, expected separate arrays"},
                   {[&](request& r) { r.out = shared(r), r.ragged.mask.metric = as_mask(r); },
                    "hence: gradient overlaps mask.metric, expected separate arrays"},
                   {[](request& r) {  // followed, overwritten boundaries lead anywhere
                      static std::int64_t boundaries[] = {0, 3, 5};
                      r.ragged.cu_seqlens = view<const std::int64_t>(boundaries, 3);
                      r.out = view<float>(reinterpret_cast<float*>(boundaries), 5);
                    },
                    "hence: gradient overlaps cu_seqlens, expected separate arrays"},
                   {[](request& r) {
                      static std::int32_t boundaries[] = {0, 3, 5, 0, 0};
                      r.ragged.cu_seqlens = view<const std::int32_t>(boundaries, 3);
                      r.out = view<float>(reinterpret_cast<float*>(boundaries), 5);
                    },
                    "hence: gradient overlaps cu_seqlens, expected separate arrays"},
               });
  check(true, {{[](request& r) {
                  r.out = view<float, 2>(r.shared.data(), 2, 3, 10);
                  r.in.logp.values = view<const float, 2>(r.shared.data() + 12, 2, 3);
                },
                "hence: gradient overlaps logp, expected separate arrays"}});
  check(true,
        {{[](request& r) { r.out = view<float, 2>(r.gradient.data(), 2, 3, INT64_MAX / 16); },
          "hence: gradient has row stride 576460752303423487, which times 2 rows overflows"}});
  // halves of one buffer, side by side, are apart; shifted by one they are not
  const auto halves = [](std::int64_t shift) {
    const auto r = std::make_unique<request>(true);
    r->shared.assign(64, -0.5f);
    r->in.logp.values = view<const float, 2>(r->shared.data(), 2, 3, 6);
    r->out = view<float, 2>(r->shared.data() + shift, 2, 3, 6);
    return call(hence::cpu{}, *r);
  };
  CHECK(halves(3) == "accepted");
  CHECK(halves(9) == "accepted");
  CHECK(halves(2) == "hence: gradient overlaps logp, expected separate arrays");
  CHECK(halves(4) == "hence: gradient overlaps logp, expected separate arrays");
  CHECK(halves(6) == "hence: gradient overlaps logp, expected separate arrays");
  // neighbours that only touch are fine
  const auto r = std::make_unique<request>(false);
  r->shared.assign(64, -0.5f);
  r->out = view<float>(r->shared.data(), 5);
  r->in.logp.values = view<const float>(r->shared.data() + 5, 5);
  CHECK(call(hence::cpu{}, *r) == "accepted");
  r->out = view<float>(r->shared.data() + 10, 5);
  CHECK(call(hence::cpu{}, *r) == "accepted");
}

TEST_CASE("padded batches: shapes") {
  check(
      true,
      {
          {[](request& r) { r.padded.rows = -1; }, "hence: padded.rows is -1, expected 0 or more"},
          {[](request& r) { r.padded.width = -7; },
           "hence: padded.width is -7, expected 0 or more"},
          {[](request& r) {
             r.padded.rows = std::int64_t{1} << 40, r.padded.width = std::int64_t{1} << 30;
           },
           "hence: padded.rows x padded.width = 1099511627776 x 1073741824 overflows"},
          {[](request& r) { r.padded.rows = INT64_MAX, r.padded.width = INT64_MAX; },
           "hence: padded.rows x padded.width = 9223372036854775807 x 9223372036854775807 "
           "overflows"},
          {[](request& r) { r.padded.rows = 3; },
           "hence: mask.response has shape [2, 3], expected [3, 3]"},
          {[](request& r) { r.in.logp.values = view<const float, 2>(r.shared.data(), 3, 2); },
           "hence: logp has shape [3, 2], expected [2, 3]"},
          {[](request& r) { r.in.old.values = view<const float, 2>(r.shared.data(), 2, 4); },
           "hence: old has shape [2, 4], expected [2, 3]"},
          {[](request& r) { r.in.ref.values = view<const float>(r.ref); },
           "hence: ref has shape [tokens], the batch is padded and expects [rows, width]"},
          {[](request& r) { r.in.logp.values = view<const float, 2>(r.shared.data(), 2, 3, 2); },
           "hence: logp has row stride 2, expected at least the width 3"},
          {[](request& r) {
             r.in.logp.values = view<const float, 2>(r.shared.data() + 9, 2, 3, -3);
           },
           "hence: logp has row stride -3, expected at least the width 3"},
          {[](request& r) { r.out = view<float, 2>(r.shared.data(), 2, 3, 0); },
           "hence: gradient has row stride 0, expected at least the width 3"},
          {[](request& r) {
             view<const float, 2> v(r.shared.data(), 2, 3, 6);
             v.stride[1] = 2;
             r.in.ref.values = v;
           },
           "hence: ref has a stride between tokens that is not 1, expected row-major [rows, width] "
           "or contiguous [tokens]"},
          {[](request& r) { r.in.logp = {}; }, "hence: logp is null, expected 6 tokens"},
          {[](request& r) { r.out = {}; }, "hence: gradient is null, expected 6 tokens"},
      });
}

TEST_CASE("masks") {
  const auto short_mask = [](request& r) { return view<const std::uint8_t>(r.mask.data(), 4); };
  const auto wide_mask = [](request& r) {
    return view<const std::uint8_t, 2>(r.mask.data(), 2, 4);
  };
  check(false, {
                   {[&](request& r) { r.ragged.mask.response = short_mask(r); },
                    "hence: mask.response has 4 entries, cu_seqlens describes 5 tokens"},
                   {[&](request& r) { r.ragged.mask.policy = short_mask(r); },
                    "hence: mask.policy has 4 entries, cu_seqlens describes 5 tokens"},
                   {[&](request& r) { r.ragged.mask.kl = short_mask(r); },
                    "hence: mask.kl has 4 entries, cu_seqlens describes 5 tokens"},
                   {[&](request& r) { r.ragged.mask.metric = short_mask(r); },
                    "hence: mask.metric has 4 entries, cu_seqlens describes 5 tokens"},
                   {[](request& r) {
                      view<const std::uint8_t> v(r.mask.data(), 5);
                      v.stride[0] = 4;  // a mask of int32, say
                      r.ragged.mask.policy = v;
                    },
                    "hence: mask.policy has a stride between tokens that is not 1, expected "
                    "row-major [rows, width] or contiguous [tokens]"},
               });
  check(true, {
                  {[&](request& r) { r.padded.mask.response = wide_mask(r); },
                   "hence: mask.response has shape [2, 4], expected [2, 3]"},
                  {[&](request& r) { r.padded.mask.policy = wide_mask(r); },
                   "hence: mask.policy has shape [2, 4], expected [2, 3]"},
                  {[&](request& r) { r.padded.mask.kl = wide_mask(r); },
                   "hence: mask.kl has shape [2, 4], expected [2, 3]"},
                  {[&](request& r) { r.padded.mask.metric = wide_mask(r); },
                   "hence: mask.metric has shape [2, 4], expected [2, 3]"},
              });
}

TEST_CASE("log-probs that were not computed alike") {
  check(false,
        {
            {[](request& r) { r.in.old.how.temperature = 0.6; },
             "hence: logp was computed at temperature 1, old at 0.6; their ratio means nothing"},
            {[](request& r) { r.in.ref.how.temperature = 0.6; },
             "hence: logp was computed at temperature 1, ref at 0.6; their ratio means nothing"},
            {[](request& r) { r.in.logp.how.temperature = std::nan(""); },
             "hence: the temperature of logp or old is nan, expected a positive number"},
            {[](request& r) { r.in.old.how.temperature = 0; },
             "hence: the temperature of logp or old is 0, expected a positive number"},
            {[](request& r) { r.in.ref.how.temperature = -1; },
             "hence: the temperature of logp or ref is -1, expected a positive number"},
            {[](request& r) { r.in.old.how.temperature = inf; },
             "hence: the temperature of logp or old is inf, expected a positive number"},
            {[](request& r) { r.in.old.how.sampling_mask = 7; },
             "hence: logp and old were computed with different sampling masks (0 and 7)"},
            {[](request& r) { r.in.logp.how.sampling_mask = r.in.old.how.sampling_mask = 3; },
             "hence: logp and ref were computed with different sampling masks (3 and 0)"},
        });
  const auto alike = std::make_unique<request>(false);
  for (auto* l : {&alike->in.logp, &alike->in.old, &alike->in.ref}) l->how = {0.6, 5};
  CHECK(call(hence::cpu{}, *alike) == "accepted");
}

TEST_CASE("denominators that are not positive numbers") {
  check(false, {
                   {[](request& r) { r.by.value = 0; },
                    "hence: denominator is 0, expected a positive number"},
                   {[](request& r) { r.by.value = -2.5; },
                    "hence: denominator is -2.5, expected a positive number"},
                   {[](request& r) { r.by.value = std::nan(""); },
                    "hence: denominator is nan, expected a positive number"},
                   {[](request& r) { r.by.value = inf; },
                    "hence: denominator is inf, expected a positive number"},
                   {[](request& r) { r.by.value = -inf; },
                    "hence: denominator is -inf, expected a positive number"},
               });
}

TEST_CASE("numbers of an aggregation") {
  const auto message = [](auto aggregation, const auto& by) {
    request r(false);
    const hence::policy_loss l{loss.ratio, loss.surrogate, loss.kl, aggregation};
    const std::string m =
        refusal_of([&] { hence::loss_and_gradient(hence::cpu{}, l, r.ragged, r.in, by, r.out); });
    CHECK(untouched(r));
    return m;
  };
  using hence::aggregate::constant;
  using over = hence::aggregate::sequence_mean_token_mean_over;
  const hence::counts none{};
  CHECK(message(constant{0}, hence::over_this_call) ==
        "hence: constant.value is 0, expected a positive number");
  CHECK(message(constant{-1}, hence::over_this_call) ==
        "hence: constant.value is -1, expected a positive number");
  CHECK(message(constant{std::nan("")}, hence::over_this_call) ==
        "hence: constant.value is nan, expected a positive number");
  CHECK(message(constant{inf}, hence::over_this_call) ==
        "hence: constant.value is inf, expected a positive number");
  CHECK(message(over{0}, hence::over_this_call) ==
        "hence: sequence_mean_token_mean_over.rows is 0, expected a positive number");
  CHECK(refusal_of([&] { hence::over_window(constant{0}, none); }) ==
        "hence: constant.value is 0, expected a positive number");
  CHECK(refusal_of([&] { hence::over_all_ranks(over{-4}, none); }) ==
        "hence: sequence_mean_token_mean_over.rows is -4, expected a positive number");
  CHECK(message(constant{96}, hence::over_window(constant{48}, none)) ==
        "hence: the loss divides by the constant 96, the denominator is 48");
  CHECK(message(over{8}, hence::over_all_ranks(over{4}, none)) ==
        "hence: the loss counts 8 rows, the denominator is 4");
  // a loss that was given a bad constant after its denominator
  CHECK(message(constant{std::nan("")}, hence::over_window(constant{48}, none)) ==
        "hence: the loss divides by the constant nan, the denominator is 48");
}

TEST_CASE("numbers of a rule that make no sense") {
  const auto message = [](auto ratio, auto surrogate, auto kl) {
    request r(false);
    const hence::policy_loss l{ratio, surrogate, kl, loss.aggregation};
    const std::string m = refusal_of([&] {
      hence::loss_and_gradient(hence::cpu{}, l, r.ragged, r.in, hence::over_this_call, r.out);
    });
    CHECK(untouched(r));
    return m;
  };
  using hence::clip::cispo;
  using hence::clip::two_sided;
  using hence::ratio::log_clamp;
  namespace kl = hence::kl;
  const hence::ratio::token token;
  const two_sided good{0.75f, 1.25f};
  const float nan = std::nanf("");
  CHECK(message(token, two_sided{0.2f, 0.28f}, kl::none{}) ==
        "hence: two_sided has bounds [0.2, 0.28] without 1 in them; they are bounds of the ratio, "
        "e.g. 0.8 and 1.28");
  CHECK(message(token, two_sided{nan, 1.25f}, kl::none{}) ==
        "hence: two_sided has bounds [nan, 1.25] without 1 in them; they are bounds of the ratio, "
        "e.g. 0.8 and 1.28");
  CHECK(message(token, two_sided{1.25f, 0.75f}, kl::none{}).starts_with("hence: two_sided has"));
  CHECK(message(token, cispo{0.5f, nan}, kl::none{}) ==
        "hence: cispo has bounds [0.5, nan] without 1 in them; they are bounds of the ratio, "
        "e.g. 0.8 and 1.28");
  CHECK(message(hence::ratio::token{log_clamp{1.0f, 20.0f}}, good, kl::none{}) ==
        "hence: log_clamp has bounds [1, 20] without 0 in them; they are bounds of the log-ratio, "
        "e.g. -20 and 20");
  CHECK(message(hence::ratio::sequence{log_clamp{-20.0f, nan}}, good, kl::none{}) ==
        "hence: log_clamp has bounds [-20, nan] without 0 in them; they are bounds of the "
        "log-ratio, e.g. -20 and 20");
  CHECK(message(token, good, kl::k1{nan}) ==
        "hence: kl::k1 has coefficient nan, expected a finite number");
  CHECK(message(token, good, kl::k2{float(inf)}) ==
        "hence: kl::k2 has coefficient inf, expected a finite number");
  CHECK(message(token, good, kl::k3{float(-inf), kl::as_k2{}}) ==
        "hence: kl::k3 has coefficient -inf, expected a finite number");
  // the alternative that a variant holds, and no other
  using any_rule = std::variant<two_sided<float>, cispo<float>>;
  CHECK(message(token, any_rule(two_sided{0.2f, 0.28f}), kl::none{})
            .starts_with("hence: two_sided has"));
  CHECK(message(token, any_rule(good), std::variant<kl::none, kl::k3<float>>(kl::k3{nan}))
            .starts_with("hence: kl::k3 has"));
}

namespace {

struct score_rule {
  static constexpr bool reads_scores = true;
  auto operator()(const auto& t) const { return t.ratio * t.score; }
};

}  // namespace

TEST_CASE("scores that a rule reads are asked for") {
  request r(false);
  r.in.scores = {};
  const auto message = [&](const auto& rule) {
    const hence::policy_loss l{loss.ratio, rule, loss.kl, loss.aggregation};
    return refusal_of([&] {
      hence::loss_and_gradient(hence::cpu{}, l, r.ragged, r.in, hence::over_this_call, r.out);
    });
  };
  const std::string expected =
      "hence: scores is null, and the surrogate reads them; expected 2 rows";
  CHECK(message(score_rule{}) == expected);
  using any_rule = std::variant<hence::clip::two_sided<float>, score_rule>;
  CHECK(message(any_rule(score_rule{})) == expected);
  CHECK(untouched(r));
  CHECK(message(any_rule(loss.surrogate)) == "accepted");
}

TEST_CASE("the reference's log-probs are asked for by the KL term in force") {
  request r(false);
  r.in.ref = {};
  using any_kl = std::variant<hence::kl::none, hence::kl::k3<float>>;
  const auto message = [&](const any_kl& kl) {
    const hence::policy_loss l{loss.ratio, loss.surrogate, kl, loss.aggregation};
    return refusal_of([&] {
      hence::loss_and_gradient(hence::cpu{}, l, r.ragged, r.in, hence::over_this_call, r.out);
    });
  };
  CHECK(message(hence::kl::k3{0.5f}) ==
        "hence: ref is null, expected 5 tokens: the loss has a KL term");
  CHECK(untouched(r));
  CHECK(message(hence::kl::none{}) == "accepted");
}

TEST_CASE("results that count more than their denominator are not added") {
  const auto message = [](auto aggregation) {
    request r(false);
    const hence::policy_loss l{loss.ratio, loss.surrogate, loss.kl, aggregation};
    const auto one = hence::over_window(aggregation, hence::count(r.ragged));  // of one micro-batch
    auto total = hence::loss_and_gradient(hence::cpu{}, l, r.ragged, r.in, one, r.out);
    const auto other = total;
    const std::string m = refusal_of([&] { total += other; });
    const double times = m == "accepted" ? 2 : 1;
    CHECK(total.loss() == times * other.loss());
    CHECK(static_cast<double>(total.counts().tokens) == times * 5);
    return m;
  };
  CHECK(
      message(hence::aggregate::token_mean{}) ==
      "hence: the results together count 10, their denominator 5; over_window takes the counts of "
      "the whole window");
  CHECK(message(hence::aggregate::sequence_mean_token_mean{}) ==
        "hence: the results together count 4, their denominator 2; over_window takes the counts of "
        "the whole window");
  CHECK(message(hence::aggregate::constant{1}) == "accepted");
}

TEST_CASE("results of two denominators are not added") {
  request r(false);
  const auto a = hence::loss_and_gradient(hence::cpu{}, loss, r.ragged, r.in, r.by, r.out);
  r.by.value = 10;
  auto b = hence::loss_and_gradient(hence::cpu{}, loss, r.ragged, r.in, r.by, r.out);
  const double before = b.loss();
  CHECK(refusal_of([&] { b += a; }) == "hence: results of two denominators are added, 10 and 6");
  CHECK(b.loss() == before);
}

TEST_CASE("ranges of rows") {
  const struct {
    std::int64_t begin, end;
    std::string message;
  } cases[] = {
      {-1, 1, "hence: rows [-1, 1) are not within the batch's 2"},
      {0, 3, "hence: rows [0, 3) are not within the batch's 2"},
      {2, 1, "hence: rows [2, 1) are not within the batch's 2"},
      {3, 3, "hence: rows [3, 3) are not within the batch's 2"},
      {INT64_MIN, INT64_MAX,
       "hence: rows [-9223372036854775808, 9223372036854775807) are not within the batch's 2"},
  };
  for (const auto& c : cases)
    for (const bool pad : {false, true}) {
      request r(pad);
      r.begin = c.begin, r.end = c.end;
      CHECK(call_rows(hence::cpu{}, r) == c.message);
      CHECK(untouched(r));
    }
  request r(false);
  r.begin = r.end = 1;
  CHECK(call_rows(hence::cpu{}, r) == "accepted");
  CHECK(untouched(r));
}

TEST_CASE("a window counts at least the batch") {
  const auto r = std::make_unique<request>(false);  // 5 live tokens
  r->by = hence::over_window(hence::aggregate::token_mean{}, hence::counts{2, 2, 4, 4, 4, 4});
  CHECK(call(hence::cpu{}, *r) ==
        "hence: these rows alone count 5, their denominator 4; over_window takes the counts of the "
        "whole window");
  CHECK(call_rows(hence::reference<float>{}, *r) ==
        "hence: these rows alone count 5, their denominator 4; over_window takes the counts of the "
        "whole window");
  CHECK(untouched(*r));
  r->end = 1;  // 2 of them
  CHECK(call_rows(hence::cpu{}, *r) == "accepted");
}

TEST_CASE("workspace") {
  fixture::threads_of pool{2};
  const hence::cpu executor{pool};
  const auto r = std::make_unique<request>(false);
  const auto bytes = hence::workspace_bytes(executor, loss, r->ragged, hence::with_metrics);
  CHECK(bytes > 0);
  CHECK(bytes % 8 == 0);
  CHECK(hence::workspace_bytes(hence::cpu{}, loss, r->ragged) == 0);
  CHECK(hence::workspace_bytes(hence::reference<float>{}, loss, r->padded) == 0);
  const auto fits = static_cast<std::int64_t>(sizeof r->room);
  const auto message = [&](const bytes_view& w) {
    r->workspace = w;
    return call(executor, *r);
  };
  CHECK(message({r->room, bytes - 1}) == "hence: workspace has " + std::to_string(bytes - 1) +
                                             " bytes, expected at least " + std::to_string(bytes));
  CHECK(message({r->room, -1}) ==
        "hence: workspace has -1 bytes, expected at least " + std::to_string(bytes));
  CHECK(message({r->room + 32, fits - 32}) == "hence: workspace is not aligned to 64 bytes");
  CHECK(message({r->room + 1, fits - 1}) == "hence: workspace is not aligned to 64 bytes");
  bytes_view strided(r->room, fits);
  strided.stride[0] = 2;
  CHECK(message(strided) == "hence: workspace is not contiguous");
  CHECK(untouched(*r));
  r->out = view<float>(reinterpret_cast<float*>(r->room + 64), 5);
  CHECK(message({r->room, fits}) == "hence: workspace overlaps gradient, expected separate arrays");
  r->out = r->gradient;
  auto* const inside = reinterpret_cast<float*>(r->room + 64);
  r->in.old.values = view<const float>(inside, 5);
  CHECK(message({r->room, fits}) == "hence: workspace overlaps old, expected separate arrays");
  r->in.old.values = per_token<const float>(r->old);
  r->in.advantages = view<const float>(inside, 2);
  CHECK(message({r->room, fits}) ==
        "hence: workspace overlaps advantages, expected separate arrays");
  r->in.advantages = r->advantages;
  r->ragged.mask.response = view<const std::uint8_t>(reinterpret_cast<std::uint8_t*>(inside), 5);
  CHECK(message({r->room, fits}) ==
        "hence: workspace overlaps mask.response, expected separate arrays");
  r->ragged.mask.response = r->response;
  const hence::offsets boundaries = r->ragged.cu_seqlens;
  auto* const moved = reinterpret_cast<std::int64_t*>(r->room + 64);
  const auto before = std::to_array({moved[0], moved[1], moved[2]});
  moved[0] = 0, moved[1] = 3, moved[2] = 5;
  r->ragged.cu_seqlens = view<const std::int64_t>(moved, 3);
  CHECK(message({r->room, fits}) ==
        "hence: workspace overlaps cu_seqlens, expected separate arrays");
  r->ragged.cu_seqlens = boundaries;
  moved[0] = before[0], moved[1] = before[1], moved[2] = before[2];
  CHECK(untouched(*r));
  const hence::padded huge{.rows = INT64_MAX / 4, .width = 64};
  std::string refusal;
  try {
    (void)hence::workspace_bytes(executor, loss, huge);
  } catch (const std::invalid_argument& e) {
    refusal = e.what();
  }
  CHECK(refusal == "hence: padded.rows x padded.width = 2305843009213693951 x 64 overflows");
  CHECK(message({r->room, bytes}) == "accepted");
}
