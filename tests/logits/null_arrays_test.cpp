// An array that is given without its memory is refused by name and not taken for one that is
// absent.
#include <doctest/doctest.h>
#include <hence/logits/cross_entropy.hpp>
#include <hence/logits/distill.hpp>
#include <hence/logits/linear_logprob.hpp>
#include <hence/logits/penalties.hpp>
#include <hence/logits/per_response.hpp>
#include <hence/logits/preference_loss.hpp>
#include <hence/logits/sample.hpp>
#include <hence/logits/token_logprob.hpp>
#include <refusal.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;

std::string is_null(const char* name, const char* rest = ", expected 2 rows") {
  return std::string("hence: ") + name + " is null" + rest;
}

const view<float> null(nullptr, 2);
const view<const float> null_in(nullptr, 2);
const view<const std::uint8_t> null_mask(nullptr, 2);
const std::vector<float> x(6, 1.0f);
const view<const float, 2> logits(x.data(), 2, 3);
const std::vector<std::int64_t> labels{0, 2};

TEST_CASE("log-probs and their gradient") {
  std::vector<float> slopes(6);
  std::vector<softmax_state> states(2);
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::ignored};
  const auto forward = [&](const token_results<float>& out, view<const std::uint8_t, 2> keep = {}) {
    return refusal([&] { token_logprob(cpu{}, rule, logits, labels, out, keep); });
  };
  CHECK(forward({.logp = null}) == is_null("out.logp"));
  CHECK(forward({.entropy = null}) == is_null("out.entropy"));
  CHECK(forward({.anchor = null}) == is_null("out.anchor"));
  CHECK(forward({.log_sum = null}) == is_null("out.log_sum"));
  CHECK(forward({.expected_logit = null}) == is_null("out.expected_logit"));
  CHECK(forward({.states = view<softmax_state>(nullptr, 2)}) == is_null("out.states"));
  CHECK(forward({}, view<const std::uint8_t, 2>(nullptr, 2, 3)) ==
        is_null("keep", ", expected shape [2, 3]"));
  CHECK(forward({.states = states}) == "accepted");
  const auto backward = [&](const token_cotangents<float>& cot) {
    return refusal([&] {
      token_logprob_gradient(cpu{}, rule, logits, labels, states, cot,
                             view<float, 2>(slopes.data(), 2, 3));
    });
  };
  CHECK(backward({.logp = null_in}) == is_null("cot.logp"));
  CHECK(backward({.entropy = null_in}) == is_null("cot.entropy"));
  CHECK(backward({}) == "accepted");
}

TEST_CASE("log-probs of a head") {
  const softmax_rule rule{.temperature = 1.0, .negative = negative_labels::ignored};
  const std::vector<float> weight(12, 0.5f);
  std::vector<std::byte> memory(std::size_t(linear_logprob_bytes<gemm::ordered>(1, 3, 4)));
  const auto call = [&](const linear_head<const float>& head, const token_cotangents<float>& cot,
                        const token_results<float>& out, const linear_gradients<>& to) {
    return refusal([&] {
      linear_logprob_and_gradient(cpu{}, gemm::ordered{}, rule, logits, head, labels, cot, out, to,
                                  memory);
    });
  };
  const linear_head<const float> head{.weight = view<const float, 2>(weight.data(), 4, 3)};
  linear_head<const float> biased = head;
  biased.bias = view<const float>(nullptr, 4);
  const char* const tokens = ", expected 2 tokens";
  CHECK(call(biased, {}, {}, {}) ==
        "hence: head.bias is null, with 4 entries, head.weight has 4 rows");
  CHECK(call(head, {.logp = null_in}, {}, {}) == is_null("cot.logp", tokens));
  CHECK(call(head, {.entropy = null_in}, {}, {}) == is_null("cot.entropy", tokens));
  CHECK(call(head, {}, {.logp = null}, {}) == is_null("out.logp", tokens));
  CHECK(call(head, {}, {}, {.hidden = view<float, 2>(nullptr, 2, 3)}) ==
        is_null("gradients.hidden", ", expected shape [2, 3]"));
  CHECK(call(head, {}, {}, {.weight = view<float, 2>(nullptr, 4, 3)}) ==
        is_null("gradients.weight", ", expected shape [4, 3]"));
  CHECK(call(head, {}, {}, {.bias = view<float>(nullptr, 4)}) ==
        "hence: gradients.bias is null, with 4 entries, head.weight has 4 rows");
  CHECK(call(head, {}, {}, {}) == "accepted");
}

TEST_CASE("distillation and cross-entropy") {
  const distill_rule rule{.temperature = 1.0};
  const auto with = [&](const distill_inputs<float>& in, const distill_results<float>& out) {
    return refusal(
        [&] { distill(cpu{}, divergence::forward_kl{}, rule, logits, logits, in, out); });
  };
  CHECK(with({.mask = null_mask}, {}) == is_null("in.mask"));
  CHECK(with({.cotangent = null_in}, {}) == is_null("in.cotangent"));
  CHECK(with({}, {.per_token = null}) == is_null("out.per_token"));
  CHECK(with({}, {.gradient = view<float, 2>(nullptr, 2, 3)}) ==
        is_null("out.gradient", ", expected shape [2, 3]"));
  CHECK(with({}, {}) == "accepted");
  CHECK(refusal([&] {
          cross_entropy(cpu{}, {.temperature = 1, .smoothing = 0, .over = smoothing_over::support},
                        logits, labels, distill_inputs<float>{.mask = null_mask}, {});
        }) == is_null("in.mask"));
}

TEST_CASE("preferences") {
  const std::vector<float> p(2, -1.0f);
  const preference_pairs<float> in{.chosen = p, .rejected = p};
  preference_pairs<float> weighted = in, referred = in;
  weighted.cotangent = null_in;
  referred.ref_chosen = null_in;
  const auto with = [&](const preference_pairs<float>& pairs,
                        const preference_results<float>& out) {
    return refusal([&] { preference_loss(cpu{}, preference::simpo{1.0f, 0.0f}, pairs, out); });
  };
  const char* const entries = ", expected 2 entries";
  CHECK(with(weighted, {}) == is_null("in.cotangent", entries));
  CHECK(with(referred, {}) == is_null("in.ref_chosen", entries));
  CHECK(with(in, {.per_pair = null}) == is_null("out.per_pair", entries));
  CHECK(with(in, {.chosen = null}) == is_null("out.chosen", entries));
  CHECK(with(in, {}) == "accepted");
  const std::vector<std::uint8_t> yes(2, 1);
  CHECK(refusal([&] {
          preference_loss(cpu{}, preference::kto{1.0f, 1.0f, 1.0f}, 0.0f,
                          {.logp = p, .ref = p, .desirable = yes}, {.rejected = null});
        }).find("hence: out.rejected is given") == 0);
}

TEST_CASE("entries and rows that are one") {
  std::vector<float> some(6, 0.5f);
  view<float> one(some.data(), 2);
  one.stride[0] = 0;
  const std::string entries = " has stride 0, expected another: its 2 entries are one";
  const std::vector<float> p(2, -1.0f);
  CHECK(refusal([&] {
          preference_loss(cpu{}, preference::simpo{1.0f, 0.0f}, {.chosen = p, .rejected = p},
                          {.per_pair = one});
        }) == "hence: out.per_pair" + entries);
  const std::vector<std::int64_t> cu{0, 1, 2};
  CHECK(refusal([&] { response_logps(cpu{}, per_response::sum{}, ragged{cu}, p, one); }) ==
        "hence: out" + entries);
  std::vector<std::int32_t> counts(3, 0);
  const std::vector<std::int64_t> ids{0, 1};
  const auto penalized = [&](const view<float, 2>& m, const view<std::int32_t>& n) {
    return refusal(
        [&] { penalize(cpu{}, {.repetition = 2}, m, {.response = ids, .cu_response = cu}, n); });
  };
  view<std::int32_t> one_count(counts.data(), 3);
  one_count.stride[0] = 0;
  CHECK(penalized(view<float, 2>(some.data(), 2, 3, 0), counts) ==
        "hence: logits has row stride 0, expected at least its 3 columns");
  CHECK(penalized(view<float, 2>(some.data(), 2, 3), one_count) ==
        "hence: counts has stride 0, expected another: its 3 entries are one");
  const std::vector<float> weight(12, 0.5f);
  std::vector<std::byte> memory(std::size_t(linear_logprob_bytes<gemm::ordered>(1, 3, 4)));
  view<float> bias(some.data(), 4);
  bias.stride[0] = 0;
  CHECK(refusal([&] {
          linear_logprob_and_gradient(
              cpu{}, gemm::ordered{}, {.temperature = 1.0, .negative = negative_labels::ignored},
              logits, linear_head<const float>{.weight = view<const float, 2>(weight.data(), 4, 3)},
              labels, {}, {}, {.bias = bias}, memory);
        }) == "hence: gradients.bias has stride 0, expected another: its 4 entries are one");
  CHECK(some == std::vector<float>(6, 0.5f));
}

TEST_CASE("sizes below 0") {
  const std::vector<float> p(2, -1.0f);
  const view<const float> negative(p.data(), -2);
  CHECK(refusal([&] {
          preference_loss(cpu{}, preference::simpo{1.0f, 0.0f},
                          {.chosen = negative, .rejected = negative}, {});
        }) == "hence: in.chosen has -2 entries, expected 0 or more");
}

TEST_CASE("sampling and penalties") {
  const std::vector<float> u(2, 0.5f);
  std::vector<std::byte> memory(std::size_t(sample_bytes(3)));
  const auto draw = [&](const sample_results& out) {
    return refusal([&] { sample(cpu{}, {.temperature = 1.0}, logits, u, out, memory); });
  };
  CHECK(draw({.token = view<std::int64_t>(nullptr, 2)}) == is_null("out.token"));
  CHECK(draw({.logp = null}) == is_null("out.logp"));
  CHECK(draw({.logp_full = null}) == is_null("out.logp_full"));
  CHECK(draw({.kept = view<std::uint8_t, 2>(nullptr, 2, 3)}) ==
        is_null("out.kept", ", expected shape [2, 3]"));
  CHECK(draw({}) == "accepted");
  std::vector<float> changed = x;
  std::vector<std::int32_t> counts(3, 0);
  const std::vector<std::int64_t> ids{0, 1}, cu{0, 1, 2};
  const auto penalized = [&](const token_history& history) {
    return refusal([&] {
      penalize(cpu{}, {.repetition = 2}, view<float, 2>(changed.data(), 2, 3), history, counts);
    });
  };
  const view<const std::int64_t> null_ids(nullptr, 2);
  CHECK(penalized({.prompt = null_ids, .cu_prompt = cu, .response = ids, .cu_response = cu}) ==
        is_null("history.prompt", ", expected 2 ids"));
  CHECK(penalized({.prompt = null_ids, .response = ids, .cu_response = cu})
            .find("hence: history.cu_prompt is empty") == 0);
  CHECK(penalized({.response = null_ids, .cu_response = cu}) ==
        is_null("history.response", ", expected 2 ids"));
  CHECK(changed == x);
  CHECK(penalized({.response = ids, .cu_response = cu}) == "accepted");
}

}  // namespace
