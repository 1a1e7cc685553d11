// What a gate refuses: the sentence, and that nothing was written before it.

#include <hence/moe/gate.hpp>
#include <hence/moe/gate_backward.hpp>

#include <doctest/doctest.h>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace moe = hence::moe;
using hence::view;

struct call {
  std::vector<float> logits = std::vector<float>(4 * 8, 0.5f),
                     weights = std::vector<float>(4 * 2, 77.0f), bias;
  std::vector<std::int32_t> ids = std::vector<std::int32_t>(4 * 2, 77);
  std::vector<std::int64_t> load = std::vector<std::int64_t>(8, 77);
  std::vector<std::uint8_t> faults = std::vector<std::uint8_t>(4, 77), valid;
  moe::gate_inputs<float> in;
  moe::gate_outputs<float> out;
  view<std::byte> workspace{};
  call() {
    in.logits = view<const float, 2>(logits.data(), 4, 8);
    out.ids = view<std::int32_t, 2>(ids.data(), 4, 2);
    out.weights = view<float, 2>(weights.data(), 4, 2);
    out.load = load;
    out.row_faults = faults;
  }
  template <class Gate> std::string refusal(const Gate& gate) {
    try {
      moe::route(hence::cpu{}, gate, in, out, workspace);
    } catch (const std::invalid_argument& e) {
      for (const float w : weights) CHECK(w == 77.0f);
      for (const auto e1 : ids) CHECK(e1 == 77);
      for (const auto n : load) CHECK(n == 77);
      return e.what();
    }
    return "";
  }
};

const moe::gate plain{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{}, 1.0};
template <class Groups> auto with_groups(Groups g) {
  return moe::gate{moe::score::sigmoid{}, 2, g, moe::raw{}, 1.0};
}

TEST_CASE("the gate's numbers") {
  const auto with_k = [](std::int64_t k) {
    return call().refusal(moe::gate{moe::score::sigmoid{}, k, moe::all_experts{}, moe::raw{}, 1.0});
  };
  CHECK(call().refusal(plain).empty());
  CHECK(with_k(0) == "hence: gate.k is 0, expected 1 to the 8 experts");
  CHECK(with_k(9) == "hence: gate.k is 9, expected 1 to the 8 experts");
  CHECK(call().refusal(with_groups(moe::grouped{3, 1, moe::max_score{}})) ==
        "hence: grouped.count is 3, expected a divisor of the 8 experts");
  CHECK(call().refusal(with_groups(moe::grouped{0, 1, moe::max_score{}})) ==
        "hence: grouped.count is 0, expected a divisor of the 8 experts");
  CHECK(call().refusal(with_groups(moe::grouped{4, 5, moe::max_score{}})) ==
        "hence: grouped.kept is 5, expected 1 to the 4 groups");
  CHECK(call().refusal(with_groups(moe::grouped{4, 3, moe::top_k_over_m_sum{}})) ==
        "hence: gate.k is 2, below the 3 kept groups, so top_k_over_m_sum would sum nothing");
  // all four groups are kept: their sums are not asked for
  CHECK(call().refusal(with_groups(moe::grouped{4, 4, moe::top_k_over_m_sum{}})).empty());
  CHECK(call().refusal(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{},
                                 moe::normalized{-1.0, moe::single_raw{}}, 1.0}) ==
        "hence: normalized.eps is -1, expected a finite number, 0 or more");
  CHECK(call().refusal(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{},
                                 moe::normalized{__builtin_inf(), moe::single_raw{}}, 1.0}) ==
        "hence: normalized.eps is inf, expected a finite number, 0 or more");
  CHECK(moe::top_k_over_m_sum{}.terms(4, 0) == 0);
  const auto with_experts = [](std::int64_t experts) -> std::string {
    try {
      moe::route_workspace_bytes(hence::cpu{}, plain, 4, experts);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  CHECK(with_experts(0) == "hence: logits has 0 experts, expected 1 to 16777216");
  CHECK(with_experts(16777217) == "hence: logits has 16777217 experts, expected 1 to 16777216");
  CHECK(with_experts(16777216).empty());
  CHECK(call().refusal(moe::gate{moe::score::sigmoid{}, 2, moe::all_experts{}, moe::raw{},
                                 __builtin_nan("")}) ==
        "hence: gate.scale is nan, expected a finite number");
}

TEST_CASE("shapes, strides, nulls, overlaps") {
  const auto with = [](const std::function<void(call&)>& change) {
    call c;
    change(c);
    return c.refusal(plain);
  };
  CHECK(with([](call& c) { c.out.ids.extent[1] = 3; }) ==
        "hence: ids has shape [4, 3], expected [4, 2]");
  CHECK(with([](call& c) { c.out.weights.extent[0] = 3; }) ==
        "hence: weights has shape [3, 2], expected [4, 2]");
  CHECK(with([](call& c) { c.out.weights.data = nullptr; }) ==
        "hence: weights is null, expected [4, 2]");
  CHECK(with([](call& c) { c.in.logits.stride[1] = 2; }) ==
        "hence: logits has stride 2 within a row, expected 1");
  CHECK(with([](call& c) { c.out.ids.stride[0] = 1; }) ==
        "hence: ids has row stride 1, expected at least its 2 columns");
  CHECK(with([](call& c) { c.out.load.extent[0] = 7; }) == "hence: load has 7 entries, expected 8");
  CHECK(with([](call& c) { c.out.row_faults.extent[0] = 5; }) ==
        "hence: row_faults has 5 entries, expected 4");
  CHECK(with([](call& c) { c.valid.resize(3), c.in.valid = c.valid; }) ==
        "hence: valid has 3 entries, expected 4");
  CHECK(with([](call& c) { c.bias.resize(9), c.in.bias = c.bias; }) ==
        "hence: bias has 9 entries, expected 8");
  CHECK(with([](call& c) {
          c.bias.assign(8, 0.0f), c.bias[3] = __builtin_nanf("");
          c.in.bias = c.bias;
        }) == "hence: bias[3] is nan, expected a number or -inf");
  CHECK(with([](call& c) {  // a NaN behind the bias is not of it
          c.bias.assign(9, 0.0f), c.bias[8] = __builtin_nanf("");
          c.in.bias = view<const float>(c.bias.data(), 8);
        })
            .empty());
  CHECK(with([](call& c) { c.out.weights.data = c.logits.data(); }) ==
        "hence: weights overlaps logits, expected separate arrays");
  CHECK(with([](call& c) { c.out.weights.data = reinterpret_cast<float*>(c.ids.data()); }) ==
        "hence: weights overlaps ids, expected separate arrays");
  CHECK(with([](call& c) { c.in.replay = view<const std::int32_t, 2>(c.ids.data(), 4, 2); }) ==
        "hence: ids overlaps replay, expected separate arrays");
  CHECK(with([](call& c) { c.in.logits.stride[0] = INT64_MAX / 32; }) ==
        "hence: logits has row stride 288230376151711743, which times 4 rows overflows");
  CHECK(with([](call& c) { c.out.load.stride[0] = 2; }) == "hence: load has stride 2, expected 1");
  CHECK(with([](call& c) { c.in.valid = view<const std::uint8_t>(c.faults.data(), 0); }) ==
        "hence: valid has 0 entries, expected 4");
  alignas(64) static std::byte few[64];
  CHECK(with([](call& c) {
          c.workspace = view<std::byte>(few, 64);
        }).starts_with("hence: workspace has 64 bytes, expected at least "));
}

TEST_CASE("faults are counted one by one, and conditions are of any count") {
  for (int i = 0; i < 16; ++i) {
    moe::route_counts c;
    c.note(static_cast<std::uint8_t>(i));
    CHECK(c.nan_rows == (i & 1));
    CHECK(c.infinite_rows == (i >> 1 & 1));
    CHECK(c.range_rows == (i >> 2 & 1));
    CHECK(c.repeated_rows == (i >> 3 & 1));
    CHECK(hence::has(c.conditions(), hence::status::empty));
    c.rows = 1;
    CHECK(!hence::has(c.conditions(), hence::status::empty));
    CHECK(hence::has(c.conditions(), hence::status::non_finite) == ((i & 3) != 0));
    CHECK(hence::has(c.conditions(), hence::status::malformed) == ((i & 12) != 0));
  }
}

TEST_CASE("ids of a type that cannot hold the experts") {
  std::vector<float> logits(200), weights(1);
  std::int8_t id = 77;
  moe::gate_inputs<float> in;
  in.logits = view<const float, 2>(logits.data(), 1, 200);
  moe::gate_outputs<float, std::int8_t> out;
  out.ids = view<std::int8_t, 2>(&id, 1, 1);
  out.weights = view<float, 2>(weights.data(), 1, 1);
  try {
    moe::route(hence::cpu{},
               moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0}, in, out);
    FAIL("was not refused");
  } catch (const std::invalid_argument& e) {
    CHECK(std::string(e.what()) == "hence: ids holds ids below 128, the gate has 200 experts");
    CHECK(id == 77);
  }
  in.logits = view<const float, 2>(logits.data(), 1, 128);
  moe::route(hence::cpu{}, moe::gate{moe::score::sigmoid{}, 1, moe::all_experts{}, moe::raw{}, 1.0},
             in, out);
  CHECK(id == 0);
  hence::detail::check_id_type<std::int64_t>("ids", 16777216);  // holds any
}

TEST_CASE("the backward pass's arrays") {
  std::vector<float> logits(4 * 8), cotangent(4 * 2), gradient(4 * 8, 77.0f);
  std::vector<std::int32_t> ids(4 * 2, -1);
  moe::gate_backward_inputs<float> in;
  in.logits = view<const float, 2>(logits.data(), 4, 8);
  in.ids = view<const std::int32_t, 2>(ids.data(), 4, 2);
  in.grad_weights = view<const float, 2>(cotangent.data(), 4, 2);
  const auto refusal = [&](const auto& changed, view<float, 2> to) -> std::string {
    try {
      moe::route_backward(hence::cpu{}, plain, changed, to);
    } catch (const std::invalid_argument& e) {
      CHECK(gradient[0] == 77.0f);
      return e.what();
    }
    return "";
  };
  const view<float, 2> to(gradient.data(), 4, 8);
  auto changed = in;
  changed.ids.extent[0] = 3;
  CHECK(refusal(changed, to) == "hence: ids has shape [3, 2], expected [4, 2]");
  changed = in;
  changed.grad_weights.data = nullptr;
  CHECK(refusal(changed, to) == "hence: grad_weights is null, expected [4, 2]");
  CHECK(refusal(in, view<float, 2>(gradient.data(), 4, 7)) ==
        "hence: grad_logits has shape [4, 7], expected [4, 8]");
  CHECK(refusal(in, view<float, 2>(logits.data(), 4, 8)) ==
        "hence: grad_logits overlaps logits, expected separate arrays");
  CHECK(refusal(in, to).empty());
}

}  // namespace
