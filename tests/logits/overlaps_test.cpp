// What the functions on log-probs write lies apart from what they read, the batch's masks and
// boundaries among it: the rest is refused by name, before anything is written.
#include <doctest/doctest.h>
#include <hence/logits/cross_entropy.hpp>
#include <hence/logits/distill.hpp>
#include <hence/logits/packed_labels.hpp>
#include <hence/logits/penalties.hpp>
#include <hence/logits/per_response.hpp>
#include <hence/logits/teacher_advantage.hpp>
#include <refusal.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace hence;
using ints = std::vector<std::int64_t>;

const std::string apart = ", expected separate arrays", separate = ", expected separate arrays";

template <class T, class U> T* on(std::vector<U>& v) { return reinterpret_cast<T*>(v.data()); }

TEST_CASE("distillation and cross-entropy") {
  std::vector<float> student(12, 1.0f), teacher(12, 2.0f), weight(3, 1.0f), per_token(3, 9.0f),
      gradient(12, 9.0f), logp(6, -1.0f);
  std::vector<std::uint8_t> mask(48, 1);
  ints ids(6, 1), labels(3, 2);
  const view<const float, 2> s(student.data(), 3, 4), q(teacher.data(), 3, 4);
  const distill_inputs<float> in{.mask = view<const std::uint8_t>(mask.data(), 3),
                                 .cotangent = weight};
  const auto full = [&](const distill_results<float>& out) {
    return refusal(
        [&] { distill(cpu{}, divergence::forward_kl{}, {.temperature = 1.0}, s, q, in, out); });
  };
  CHECK(full({.per_token = view<float>(student.data(), 3)}) ==
        "hence: out.per_token overlaps student" + apart);
  CHECK(full({.per_token = view<float>(teacher.data(), 3)}) ==
        "hence: out.per_token overlaps teacher" + apart);
  CHECK(full({.per_token = weight}) == "hence: out.per_token overlaps in.cotangent" + apart);
  CHECK(full({.gradient = view<float, 2>(on<float>(mask), 3, 4)}) ==
        "hence: out.gradient overlaps in.mask" + apart);
  CHECK(full({.gradient = view<float, 2>(teacher.data(), 3, 4)}) ==
        "hence: out.gradient overlaps teacher" + apart);
  CHECK(full({.per_token = view<float>(gradient.data() + 2, 3),
              .gradient = view<float, 2>(gradient.data(), 3, 4)}) ==
        "hence: out.gradient overlaps out.per_token" + apart);
  const auto top = [&](const distill_results<float>& out) {
    return refusal([&] {
      distill_top_k(cpu{}, {.temperature = 1.0}, s, view<const std::int64_t, 2>(ids.data(), 3, 2),
                    view<const float, 2>(logp.data(), 3, 2), in, out);
    });
  };
  CHECK(top({.gradient = view<float, 2>(on<float>(ids), 3, 4)}) ==
        "hence: out.gradient overlaps ids" + apart);
  CHECK(top({.per_token = view<float>(logp.data(), 3)}) ==
        "hence: out.per_token overlaps teacher_logp" + apart);
  const cross_entropy_rule rule{
      .temperature = 1.0, .smoothing = 0, .over = smoothing_over::support};
  CHECK(refusal([&] {
          cross_entropy(cpu{}, rule, s, labels, in,
                        {.per_token = view<float>(on<float>(labels), 3)});
        }) == "hence: out.per_token overlaps labels" + apart);
  for (const auto* v : {&student, &teacher})
    for (const float x : *v) CHECK(x == v->front());
  CHECK(ids == ints(6, 1));
  CHECK(labels == ints(3, 2));
  CHECK(gradient == std::vector<float>(12, 9.0f));
  CHECK(full({.per_token = per_token, .gradient = view<float, 2>(gradient.data(), 3, 4)}) ==
        "accepted");
}

TEST_CASE("batches: masks and boundaries") {
  ints cu{0, 2, 4}, ids(4, 1), labels(4, 0);
  const ints cu_before = cu;
  std::vector<std::uint8_t> response(32, 1);
  const ragged batch{view<const std::int64_t>(cu),
                     {.response = view<const std::uint8_t>(response.data(), 4)}};
  std::vector<float> logp(4, -1.0f), other(4, -2.0f), out(4), sums(2);
  CHECK(refusal([&] {
          packed_labels(cpu{}, batch, ids, view<std::int64_t>(on<std::int64_t>(response), 4));
        }) == "hence: labels overlaps mask.response" + separate);
  ints long_cu{0, 2, 4, 0, 0, 0};
  const ragged on_cu{view<const std::int64_t>(long_cu.data(), 3)};
  CHECK(refusal([&] {
          packed_labels(cpu{}, on_cu, ids, view<std::int64_t>(long_cu.data() + 1, 4));
        }) == "hence: labels overlaps cu_seqlens" + separate);
  CHECK(refusal([&] {
          label_weights(cpu{}, label_mean::tokens{4}, on_cu, labels,
                        view<float>(on<float>(long_cu), 4));
        }) == "hence: out overlaps cu_seqlens" + separate);
  CHECK(refusal([&] {
          teacher_advantages(cpu{}, {.coef = 1.0f}, batch, logp, other,
                             view<float>(on<float>(response), 4));
        }) == "hence: out overlaps mask.response" + separate);
  CHECK(refusal([&] {
          response_logps(cpu{}, per_response::sum{}, on_cu, logp,
                         view<float>(on<float>(long_cu), 2));
        }) == "hence: out overlaps cu_seqlens" + separate);
  CHECK(refusal([&] {
          response_gradient(cpu{}, per_response::sum{}, batch, sums,
                            view<float>(on<float>(response), 4));
        }) == "hence: out overlaps mask.response" + separate);
  CHECK(long_cu == ints{0, 2, 4, 0, 0, 0});
  CHECK(response == std::vector<std::uint8_t>(32, 1));
  CHECK(refusal([&] { teacher_advantages(cpu{}, {.coef = 1.0f}, batch, logp, other, out); }) ==
        "accepted");
  CHECK(cu == cu_before);
}

TEST_CASE("penalties") {
  std::vector<float> x(8, 2.0f);
  ints ids{0, 1, 2, 0}, cu{0, 1, 3};
  std::vector<std::int32_t> counts(4, 0);
  const auto call = [&](view<float, 2> logits, view<std::int32_t> memory) {
    return refusal([&] {
      penalize(cpu{}, {.repetition = 2}, logits,
               {.response = view<const std::int64_t>(ids.data(), 3), .cu_response = cu}, memory);
    });
  };
  const view<float, 2> logits(x.data(), 2, 4);
  CHECK(call(logits, view<std::int32_t>(on<std::int32_t>(x), 4)) ==
        "hence: counts overlaps logits" + separate);
  CHECK(call(logits, view<std::int32_t>(on<std::int32_t>(ids), 4)) ==
        "hence: counts overlaps history.response" + separate);
  CHECK(call(view<float, 2>(on<float>(ids), 2, 4), counts) ==
        "hence: logits overlaps history.response" + separate);
  CHECK(call(logits, view<std::int32_t>(on<std::int32_t>(cu), 4)) ==
        "hence: counts overlaps history.cu_response" + separate);
  CHECK(x == std::vector<float>(8, 2.0f));
  CHECK(ids == ints{0, 1, 2, 0});
  CHECK(call(logits, counts) == "accepted");
}

}  // namespace
