// No function of moe/ writes on top of what it reads, nor into two results at once, nor lets its
// workspace lie in either; none takes a null pointer or less than nothing for an absent array. All
// are refused by name, and nothing is written before.
#include <doctest/doctest.h>
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe.hpp>
#include <refusal.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using hence::cpu;
using hence::view;
namespace moe = hence::moe;
using ints = std::vector<std::int64_t>;

const std::string apart = ", expected separate arrays";

/// Made of a null pointer, which is not the same as not given.
template <class T> view<T> null(std::int64_t n) { return {nullptr, n}; }
template <class T> view<T, 2> null(std::int64_t rows, std::int64_t columns) {
  return {nullptr, rows, columns};
}
std::string lacks(const char* name, const char* shape) {
  return std::string("hence: ") + name + " is null, expected " + shape;
}
/// Memory that every array of a case is cut from; what it held before.
struct room {
  alignas(64) std::byte bytes[1 << 16];
  std::byte before[1 << 16];
  room() {
    for (std::size_t i = 0; i < sizeof(bytes); ++i) bytes[i] = before[i] = std::byte{0};
  }
  template <class T> T* at(std::size_t byte) { return reinterpret_cast<T*>(bytes + byte); }
  view<std::byte> workspace(std::size_t byte) {
    return {bytes + byte, static_cast<std::int64_t>(sizeof(bytes) - byte)};
  }
  bool is_untouched() const { return std::memcmp(bytes, before, sizeof(bytes)) == 0; }
};

constexpr moe::gate plain{moe::score::softmax{}, 2, moe::all_experts{}, moe::raw{}, 1.0};

TEST_CASE("routing, its gradient and the choice of tokens") {
  static room r;
  const view<const float, 2> logits(r.at<float>(4096), 4, 8), elsewhere(r.at<float>(256), 4, 8);
  const view<std::int32_t, 2> ids(r.at<std::int32_t>(0), 4, 2);
  const view<float, 2> weights(r.at<float>(128), 4, 2);
  const auto route = [&](const view<const float, 2>& z) {
    return refusal([&] {
      moe::gate_inputs<float> in;
      in.logits = z;
      moe::route(cpu{}, plain, in, moe::gate_outputs<float>{ids, weights}, r.workspace(1024));
    });
  };
  CHECK(route(logits) == "hence: workspace overlaps logits" + apart);
  CHECK(refusal([&] {
          moe::gate_inputs<float> in;
          in.logits = elsewhere;
          moe::route(cpu{}, plain, in, moe::gate_outputs<float>{ids, weights}, r.workspace(64 * 2));
        }) == "hence: workspace overlaps logits" + apart);
  CHECK(refusal([&] {
          moe::gate_backward_inputs<float> in;
          in.logits = elsewhere;
          in.ids = view<const std::int32_t, 2>(ids.data, 4, 2);
          in.grad_weights = view<const float, 2>(weights.data, 4, 2);
          moe::route_backward(cpu{}, plain, in, view<float, 2>(r.at<float>(2048), 4, 8),
                              r.workspace(1024));
        }) == "hence: workspace overlaps grad_logits" + apart);
  moe::choice_inputs<float> in;
  in.logits = logits;
  CHECK(refusal([&] { moe::choose_tokens(cpu{}, plain, in, 1, ids, r.workspace(1024)); }) ==
        "hence: workspace overlaps logits" + apart);
  in.logits = elsewhere;
  CHECK(refusal([&] {
          moe::choose_tokens(cpu{}, plain, in, 1,
                             view<std::int32_t, 2>(r.at<std::int32_t>(2048), 4, 2),
                             r.workspace(1024));
        }) == "hence: workspace overlaps ids" + apart);
  CHECK(refusal([&] {
          moe::round_tokens(cpu{}, plain, in,
                            view<const std::int32_t, 2>(r.at<std::int32_t>(2048), 4, 2), 2,
                            moe::round_down{}, ids, r.workspace(1024));
        }) == "hence: workspace overlaps given" + apart);
  CHECK(r.is_untouched());
}

TEST_CASE("the balance") {
  static room r;
  moe::balance_inputs<float> in;
  in.logits = view<const float, 2>(r.at<float>(256), 4, 8);
  const auto measure = [&](std::size_t probability, std::size_t top_k, std::size_t workspace) {
    return refusal([&] {
      moe::measure_balance(cpu{}, moe::score::softmax{}, 2, in,
                           view<std::int64_t>(r.at<std::int64_t>(probability), 8),
                           view<std::int64_t>(r.at<std::int64_t>(top_k), 8),
                           r.workspace(workspace));
    });
  };
  CHECK(measure(320, 0, 1024) == "hence: probability overlaps logits" + apart);
  CHECK(measure(0, 320, 1024) == "hence: top_k overlaps logits" + apart);
  CHECK(measure(0, 0, 1024) == "hence: probability overlaps top_k" + apart);
  CHECK(measure(0, 64, 128) == "hence: workspace overlaps logits" + apart);
  CHECK(measure(0, 2048, 1024) == "hence: workspace overlaps top_k" + apart);
  CHECK(refusal([&] {
          moe::balance_gradient(cpu{}, moe::z_loss{1.0}, in, 4,
                                view<float, 2>(r.at<float>(2048), 4, 8), moe::overwrite{},
                                r.workspace(1024));
        }) == "hence: workspace overlaps grad_logits" + apart);
  moe::balancer balancer(moe::sign_step{1.0}, view<float>(r.at<float>(0), 8),
                         view<std::int64_t>(r.at<std::int64_t>(64), 8));
  CHECK(refusal([&] { balancer.observe({}, balancer.load()); }) ==
        "hence: load overlaps the balancer's own load" + apart);
  CHECK(refusal([&] {
          moe::balancer other(moe::sign_step{1.0}, view<float>(r.at<float>(96), 8),
                              view<std::int64_t>(r.at<std::int64_t>(64), 8));
        }) == "hence: load overlaps bias" + apart);
  CHECK(r.is_untouched());
}

/// Four tokens of two slots, sorted: token t has experts t % 3 and (t + 1) % 3.
struct sorted_slots {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
  ints offsets = ints(4), order = ints(8), position = ints(8), aligned = ints(4),
       aligned_position = ints(8);
  moe::permutation p;
  sorted_slots() : weights(8, 0.5f) {
    for (int t = 0; t < 4; ++t)
      for (int j = 0; j < 2; ++j) ids.push_back((t + j) % 3);
    p.offsets = offsets, p.order = order;
    p.position = view<std::int64_t, 2>(position.data(), 4, 2);
    p.aligned_offsets = aligned;
    p.aligned_position = view<std::int64_t, 2>(aligned_position.data(), 4, 2);
    moe::permute(view<const std::int32_t, 2>(ids.data(), 4, 2), 3, 2, p);
  }
};

TEST_CASE("capacity, shared experts and layouts") {
  sorted_slots s;
  const sorted_slots as_they_were;
  std::vector<std::int32_t> kept_ids(8, 77);
  std::vector<float> kept_weights(8, 77.0f);
  moe::capacity_arrays<float> good;
  good.ids = view<const std::int32_t, 2>(s.ids.data(), 4, 2);
  good.weights = view<const float, 2>(s.weights.data(), 4, 2);
  good.sorted = s.p;
  good.kept_ids = view<std::int32_t, 2>(kept_ids.data(), 4, 2);
  good.kept_weights = view<float, 2>(kept_weights.data(), 4, 2);
  const auto capacity = [&](auto change) {
    auto a = good;
    change(a);
    return refusal([&] { moe::apply_capacity(1, moe::drop_by_weight{}, a); });
  };
  CHECK(capacity([&](auto& a) { a.load = view<std::int64_t>(s.offsets.data(), 3); }) ==
        "hence: load overlaps offsets" + apart);
  CHECK(capacity([&](auto& a) {
          a.kept_ids = view<std::int32_t, 2>(reinterpret_cast<std::int32_t*>(s.order.data()), 4, 2);
        }) == "hence: kept_ids overlaps order" + apart);
  CHECK(capacity([&](auto& a) {
          a.kept_weights = view<float, 2>(reinterpret_cast<float*>(kept_ids.data()), 4, 2);
        }) == "hence: kept_weights overlaps kept_ids" + apart);
  CHECK(capacity([&](auto& a) {
          a.kept_ids =
              view<std::int32_t, 2>(reinterpret_cast<std::int32_t*>(s.weights.data()), 4, 2);
        }) == "hence: kept_ids overlaps weights" + apart);

  std::vector<std::uint8_t> valid(64, 1);
  std::vector<std::int32_t> all_ids(12, 77);
  std::vector<float> all_weights(12, 77.0f);
  const auto append = [&](std::int32_t* to_ids, float* to_weights) {
    return refusal([&] {
      moe::append_shared<float, std::int32_t>(
          good.ids, good.weights, 3, 1, 1.0f, view<std::int32_t, 2>(to_ids, 4, 3),
          view<float, 2>(to_weights, 4, 3), view<const std::uint8_t>(valid.data() + 8, 4));
    });
  };
  CHECK(append(reinterpret_cast<std::int32_t*>(all_weights.data()), all_weights.data()) ==
        "hence: all_weights overlaps all_ids" + apart);
  CHECK(append(reinterpret_cast<std::int32_t*>(valid.data()), all_weights.data()) ==
        "hence: all_ids overlaps valid" + apart);
  CHECK(append(all_ids.data(), reinterpret_cast<float*>(s.ids.data())) ==
        "hence: all_weights overlaps ids" + apart);

  const std::int64_t rows = s.aligned[3];
  CHECK(refusal([&] {
          moe::masked_positions(s.p, 4, view<std::int64_t, 2>(s.order.data(), 4, 2));
        }) == "hence: out overlaps order" + apart);
  CHECK(refusal([&] { moe::row_tokens(s.p, 2, view<std::int64_t>(s.order.data(), 8)); }) ==
        "hence: out overlaps order" + apart);
  CHECK(refusal([&] {
          moe::row_experts(
              s.p, view<std::int8_t>(reinterpret_cast<std::int8_t*>(s.aligned.data()), rows));
        }) == "hence: out overlaps aligned_offsets" + apart);
  ints slots(std::size_t(rows), 77);
  CHECK(refusal([&] {
          moe::aligned_slots(s.p, 2, -1, slots, view<std::int64_t>(s.offsets.data(), rows / 2));
        }) == "hence: block_expert overlaps offsets" + apart);
  for (const std::int64_t wrong : {std::int64_t{-1}, INT64_MAX / 2})
    CHECK(refusal([&] {
            moe::masked_positions(s.p, wrong, view<std::int64_t, 2>(slots.data(), 4, 2));
          }).starts_with("hence: room is " + std::to_string(wrong)));

  moe::routing_record<std::int32_t> record;
  ints batch(4, 7);
  record.ids = view<std::int32_t, 2>(s.ids.data(), 4, 2);
  std::vector<std::uint64_t> batches(4, 7);
  record.batch = batches;
  record.experts = 3;
  CHECK(refusal([&] {
          moe::record_routing(record, view<const std::int32_t, 2>(s.ids.data() + 2, 3, 2), 0, 1);
        }) == "hence: record.ids overlaps ids" + apart);
  CHECK(s.ids == as_they_were.ids);
  CHECK(s.offsets == as_they_were.offsets);
  CHECK(s.order == as_they_were.order);
  CHECK(s.aligned == as_they_were.aligned);
  CHECK(kept_ids == std::vector<std::int32_t>(8, 77));
  CHECK(all_weights == std::vector<float>(12, 77.0f));
}

TEST_CASE("rows and their positions") {
  sorted_slots s;
  const sorted_slots as_they_were;
  std::vector<float> x(4 * 3, 1.0f), rows(8 * 3, 2.0f);
  const view<const float, 2> from(x.data(), 4, 3), sorted(rows.data(), 8, 3);
  const moe::slot_positions position(s.position.data(), 4, 2);
  const view<const float, 2> weights(s.weights.data(), 4, 2);
  auto* const on_positions = reinterpret_cast<float*>(s.position.data());
  CHECK(refusal([&] { moe::gather(cpu{}, from, position, view<float, 2>(on_positions, 8, 3)); }) ==
        "hence: rows overlaps position" + apart);
  CHECK(refusal([&] {
          moe::spread(cpu{}, from, position, weights, view<float, 2>(on_positions, 8, 3));
        }) == "hence: rows overlaps position" + apart);
  CHECK(refusal([&] {
          moe::combine(cpu{}, sorted, position, weights, view<float, 2>(on_positions, 4, 3));
        }) == "hence: y overlaps position" + apart);
  CHECK(refusal([&] {
          moe::dot_rows(cpu{}, from, position, sorted, view<float, 2>(on_positions, 4, 2));
        }) == "hence: out overlaps position" + apart);
  CHECK(s.position == as_they_were.position);
}

TEST_CASE("experts") {
  static room r;
  std::iota(r.at<std::int64_t>(0), r.at<std::int64_t>(0) + 4, 0);  // position of 4 tokens
  const ints first{0, 2}, count{2, 2};
  const std::vector<float> weights(4, 1.0f), matrices(2 * 8 * 8, 0.25f);
  std::memcpy(r.before, r.bytes, sizeof(r.bytes));
  moe::layer_inputs<float> in;
  in.x = view<const float, 2>(r.at<float>(256), 4, 8);
  in.position = moe::slot_positions(r.at<std::int64_t>(0), 4, 1);
  in.weights = view<const float, 2>(weights.data(), 4, 1);
  in.rows = 4;
  in.segments = {first, count};
  in.gate = in.up = in.down = view<const float, 3>(matrices.data(), 2, 8, 8);
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  std::vector<float> y(32, 3.0f), big(1 << 20);
  const auto forward = [&](const auto& inputs, view<float, 2> out, view<std::byte> workspace) {
    return refusal([&] { moe::experts(cpu{}, mlp, inputs, moe::recomputed{}, out, workspace); });
  };
  static std::vector<std::byte> memory(
      std::size_t(moe::experts_workspace_bytes<float>(cpu{}, mlp, 4, 8, 8)) + 128);
  auto* const aligned =
      memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
  const view<std::byte> workspace(aligned, static_cast<std::int64_t>(memory.size()) - 64);
  CHECK(forward(in, view<float, 2>(reinterpret_cast<float*>(aligned + 64), 4, 8), workspace) ==
        "hence: workspace overlaps y" + apart);
  auto inside = in;
  inside.x = view<const float, 2>(reinterpret_cast<float*>(aligned + 64), 4, 8);
  CHECK(forward(inside, view<float, 2>(y.data(), 4, 8), workspace) ==
        "hence: workspace overlaps x" + apart);
  CHECK(forward(in, view<float, 2>(r.at<float>(0), 4, 8), workspace) ==
        "hence: y overlaps position" + apart);
  auto without = in;
  without.segments.count = view<const std::int64_t>(nullptr, 2);
  CHECK(forward(without, view<float, 2>(y.data(), 4, 8), workspace) ==
        lacks("segments.count", "2 entries"));
  moe::layer_gradients<float> to;
  to.x = view<float, 2>(reinterpret_cast<float*>(aligned + 64), 4, 8);
  CHECK(refusal([&] {
          moe::experts_backward(cpu{}, mlp, in, moe::recomputed{},
                                view<const float, 2>(y.data(), 4, 8), to, workspace);
        }) == "hence: workspace overlaps gradients.x" + apart);
  CHECK(y == std::vector<float>(32, 3.0f));
  CHECK(r.is_untouched());
  CHECK(forward(in, view<float, 2>(y.data(), 4, 8), workspace) == "accepted");
}

/// Extents without memory or strides.
template <class T> view<T> bare(std::int64_t n) {
  view<T> v;
  v.extent[0] = n;
  return v;
}

TEST_CASE("null arrays of a gate") {
  static room r;
  moe::gate_inputs<float> in;
  in.logits = view<const float, 2>(r.at<float>(0), 4, 8);
  const moe::gate_outputs<float> out{view<std::int32_t, 2>(r.at<std::int32_t>(256), 4, 2),
                                     view<float, 2>(r.at<float>(512), 4, 2)};
  const auto route = [&](auto change, view<std::byte> workspace = {}) {
    auto a = in;
    auto b = out;
    change(a, b);
    return refusal([&] { moe::route(cpu{}, plain, a, b, workspace); });
  };
  CHECK(route([](auto& a, auto&) { a.bias = null<const float>(8); }) == lacks("bias", "8 entries"));
  CHECK(route([](auto& a, auto&) { a.valid = null<const std::uint8_t>(4); }) ==
        lacks("valid", "4 entries"));
  CHECK(route([](auto& a, auto&) { a.valid = bare<const std::uint8_t>(4); }) ==
        lacks("valid", "4 entries"));
  CHECK(route([](auto& a, auto&) { a.valid = std::span<const std::uint8_t>(); }) ==
        "hence: valid has 0 entries, expected 4");
  CHECK(route([](auto& a, auto&) { a.replay = null<const std::int32_t>(4, 2); }) ==
        lacks("replay", "[4, 2]"));
  CHECK(route([](auto&, auto& b) { b.load = null<std::int64_t>(8); }) ==
        lacks("load", "8 entries"));
  CHECK(route([](auto&, auto& b) { b.row_faults = null<std::uint8_t>(4); }) ==
        lacks("row_faults", "4 entries"));
  const auto nothing = [](auto&, auto&) {};
  CHECK(route(nothing, null<std::byte>(1 << 20))
            .starts_with("hence: workspace is null, expected at least "));
  CHECK(route(nothing, null<std::byte>(8)).starts_with("hence: workspace has 8 bytes, expected "));
  CHECK(route([](auto& a, auto& b) {
          a.logits.extent[0] = b.ids.extent[0] = b.weights.extent[0] = -4;
        }) == "hence: logits has shape [-4, 8], expected no extent below 0");
  CHECK(refusal([&] { moe::route_workspace_bytes(cpu{}, plain, -1, 8); }) ==
        "hence: tokens is -1, expected 0 or more");
  CHECK(refusal([&] { moe::choice_workspace_bytes(cpu{}, plain, -1, 8); }) ==
        "hence: tokens is -1, expected 0 or more");
  CHECK(refusal([&] { moe::balance_workspace_bytes(cpu{}, -1, 8, 2); }) ==
        "hence: tokens is -1, expected 0 or more");
  moe::gate_backward_inputs<float> back;
  back.logits = in.logits;
  back.ids = view<const std::int32_t, 2>(out.ids.data, 4, 2);
  back.grad_weights = view<const float, 2>(out.weights.data, 4, 2);
  back.valid = null<const std::uint8_t>(4);
  const view<float, 2> grad(r.at<float>(2048), 4, 8);
  CHECK(refusal([&] { moe::route_backward(cpu{}, plain, back, grad); }) ==
        lacks("valid", "4 entries"));
  moe::choice_inputs<float> choice;
  choice.logits = in.logits;
  choice.valid = null<const std::uint8_t>(4);
  CHECK(refusal([&] { moe::choose_tokens(cpu{}, plain, choice, 1, out.ids); }) ==
        lacks("valid", "4 entries"));
  choice.valid = {};
  CHECK(refusal([&] {
          moe::round_tokens(cpu{}, plain, choice, null<const std::int32_t>(4, 2), 2,
                            moe::round_down{}, out.ids);
        }) == lacks("given", "[4, 2]"));
  CHECK(refusal([&] {
          moe::round_tokens(cpu{}, plain, choice,
                            view<const std::int32_t, 2>(r.at<int>(2048), 4, -2), 2,
                            moe::round_down{}, out.ids);
        }) == "hence: given has shape [4, -2], expected no extent below 0");
  CHECK(r.is_untouched());
}

TEST_CASE("null arrays and counts of the balance") {
  static room r;
  moe::balance_inputs<float> in;
  in.logits = view<const float, 2>(r.at<float>(0), 4, 8);
  const view<std::int64_t> sums(r.at<std::int64_t>(256), 8), top_k(r.at<std::int64_t>(512), 8);
  in.valid = null<const std::uint8_t>(4);
  const auto measure = [&](const auto& inputs, view<std::int64_t> probability) {
    return refusal(
        [&] { moe::measure_balance(cpu{}, moe::score::softmax{}, 2, inputs, probability, top_k); });
  };
  CHECK(measure(in, sums) == lacks("valid", "4 entries"));
  const view<float, 2> grad(r.at<float>(1024), 4, 8);
  CHECK(refusal([&] {
          moe::balance_gradient(cpu{}, moe::z_loss{1.0}, in, 4, grad, moe::overwrite{});
        }) == lacks("valid", "4 entries"));
  in.valid = {};
  CHECK(measure(in, null<std::int64_t>(8)) == lacks("probability", "8 entries"));
  CHECK(refusal([&] {
          moe::balance_gradient(cpu{}, moe::z_loss{1.0}, in, -1, grad, moe::overwrite{});
        }) == "hence: rows is -1, expected 0 or more");
  moe::balance_counts<float> negative;
  negative.rows = -1;
  CHECK(refusal([&] { moe::balance_loss(moe::z_loss{1.0}, negative); }) ==
        "hence: rows is -1, expected 0 or more");

  const moe::switch_loss loss{1.0, moe::balance_is_one{}};
  ints probability(8, 1), count(8, 1);
  const auto losses = [&](std::int64_t rows) {
    const auto value = refusal(
        [&] { moe::balance_loss(loss, 2, view<const std::int64_t>(probability), {count, rows}); });
    const auto slope = refusal([&] {
      moe::balance_gradient(cpu{}, loss, moe::score::softmax{}, 2, in, {count, rows}, grad,
                            moe::overwrite{});
    });
    CHECK(value == slope);
    return value;
  };
  CHECK(losses(-4) == "hence: window.rows is -4, expected 0 or more");
  count[7] = -1;
  CHECK(losses(4) == "hence: count[7] is -1, expected 0 to the 4 rows");
  count[7] = 5;
  CHECK(losses(4) == "hence: count[7] is 5, expected 0 to the 4 rows");
  count[7] = 1;
  count[0] = 4, count[1] = 0, probability[1] = 0;  // an expert of every row, and one of none
  CHECK(refusal([&] {
          moe::balance_loss(loss, 2, view<const std::int64_t>(probability), {count, 4});
        }) == "accepted");
  probability[3] = -1;
  CHECK(refusal([&] {
          moe::balance_loss(loss, 2, view<const std::int64_t>(probability), {count, 4});
        }) == "hence: probability[3] is -1, expected 0 or more");
  CHECK(refusal([&] { moe::balancer b(moe::sign_step{1.0}, null<float>(8), top_k); }) ==
        lacks("bias", "8 entries"));
  CHECK(refusal([&] {
          moe::balancer b(moe::sign_step{1.0}, view<float>(r.at<float>(0), -8), top_k);
        }) == "hence: bias has -8 entries, expected 0 or more");
  CHECK(refusal([&] {
          moe::balancer b(moe::sign_step{1.0}, view<float>(r.at<float>(0), 8),
                          null<std::int64_t>(8));
        }) == lacks("load", "8 entries"));
  CHECK(refusal([&] { moe::measure_load(null<const std::int64_t>(8)); }) ==
        lacks("load", "8 entries"));
  CHECK(refusal([&] { moe::measure_load(view<const std::int64_t>(top_k.data, -8)); }) ==
        "hence: load has -8 entries, expected 0 or more");
  CHECK(r.is_untouched());
}

TEST_CASE("a balancer's counts") {
  std::vector<float> bias(3, 0.5f);
  ints load(3);
  moe::balancer b(moe::sign_step{1.0}, view<float>(bias), view<std::int64_t>(load));
  moe::route_counts counts;
  counts.replayed_rows = -1;
  const ints ones(3, 1);
  CHECK(refusal([&] { b.observe(counts, view<const std::int64_t>(ones)); }) ==
        "hence: counts.replayed_rows is -1, expected 0 or more");
  CHECK(refusal([&] { b.observe({}, null<const std::int64_t>(3)); }) == lacks("load", "3 entries"));
  CHECK(load == ints(3));
  load[1] = -2;  // as a broken all-reduce leaves it
  CHECK(refusal([&] { b.update(1); }) == "hence: load[1] is -2, expected 0 or more");
  CHECK(bias == std::vector<float>(3, 0.5f));
  load[1] = 0;
  b.update(1);
}

TEST_CASE("null arrays of slots and rows") {
  sorted_slots s;
  const sorted_slots as_they_were;
  const view<const std::int32_t, 2> ids(s.ids.data(), 4, 2);
  const view<const float, 2> weights(s.weights.data(), 4, 2);
  const auto permute = [&](auto change) {
    auto p = s.p;
    change(p);
    return refusal([&] { moe::permute(ids, 3, 2, p); });
  };
  CHECK(permute([](auto& p) { p.offsets = null<std::int64_t>(4); }) ==
        lacks("offsets", "4 entries"));
  CHECK(permute([](auto& p) { p.order = null<std::int64_t>(8); }) == lacks("order", "8 entries"));
  CHECK(permute([](auto& p) { p.position = null<std::int64_t>(4, 2); }) ==
        lacks("position", "[4, 2]"));
  CHECK(permute([](auto& p) { p.aligned_offsets = null<std::int64_t>(4); }) ==
        lacks("aligned_offsets", "4 entries"));
  CHECK(permute([](auto& p) { p.aligned_position = null<std::int64_t>(4, 2); }) ==
        lacks("aligned_position", "[4, 2]"));
  CHECK(permute([](auto& p) { p.aligned_offsets = {}; }) ==
        "hence: aligned_offsets is null, expected 4 entries beside aligned_position");
  CHECK(refusal([&] {
          moe::permute(view<const std::int32_t, 2>(s.ids.data(), -4, 2), 3, 2, s.p);
        }) == "hence: ids has shape [-4, 2], expected no extent below 0");
  ints slots(std::size_t(s.aligned[3]), 77);
  CHECK(refusal([&] {
          moe::aligned_slots(s.p, 2, -1, slots, null<std::int64_t>(6));
        }).starts_with("hence: block_expert"));
  CHECK(refusal([&] {
          moe::aligned_slots(s.p, 2, -1, slots, null<std::int64_t>(s.aligned[3] / 2));
        }).starts_with("hence: block_expert is null, expected "));
  CHECK(slots == ints(slots.size(), 77));

  std::vector<std::int32_t> kept(8, 77);
  std::vector<float> kept_weights(8, 77.0f);
  moe::capacity_arrays<float> a;
  a.ids = ids, a.weights = weights, a.sorted = s.p;
  a.kept_ids = view<std::int32_t, 2>(kept.data(), 4, 2);
  a.kept_weights = view<float, 2>(kept_weights.data(), 4, 2);
  a.load = null<std::int64_t>(3);
  CHECK(refusal([&] { moe::apply_capacity(1, moe::drop_by_weight{}, a); }) ==
        lacks("load", "3 entries"));
  CHECK(refusal([&] {
          moe::capacity_backward(view<std::int32_t, 2>(kept.data(), 4, 2),
                                 view<float, 2>(reinterpret_cast<float*>(kept.data()), 4, 2));
        }) == "hence: grad overlaps kept_ids" + apart);
  CHECK(
      refusal([&] { moe::capacity_ceil{1.0}(INT64_MAX / 2, 8, 4); }) ==
      "hence: capacity of 4611686018427387903 tokens, k = 8, expected at most 274877906944 slots");
  CHECK(kept == std::vector<std::int32_t>(8, 77));
  CHECK(kept_weights == std::vector<float>(8, 77.0f));

  std::vector<std::int32_t> all_ids(12, 77);
  CHECK(refusal([&] {
          moe::append_shared<float, std::int32_t>(
              ids, weights, 3, 1, 1.0f, view<std::int32_t, 2>(all_ids.data(), 4, 3),
              view<float, 2>(kept_weights.data(), 4, 3), null<const std::uint8_t>(4));
        }) == lacks("valid", "4 entries"));
  CHECK(all_ids == std::vector<std::int32_t>(12, 77));

  std::vector<float> x(4 * 3, 1.0f), rows(8 * 3, 2.0f);
  const view<const float, 2> from(x.data(), 4, 3), sorted(rows.data(), 8, 3);
  const moe::slot_positions position(s.position.data(), 4, 2);
  const view<float, 2> y(x.data(), 4, 3), to(rows.data(), 8, 3);
  CHECK(refusal([&] { moe::combine(cpu{}, sorted, position, null<const float>(4, 2), y); }) ==
        lacks("weights", "[4, 2]"));
  CHECK(refusal([&] { moe::spread(cpu{}, from, position, null<const float>(4, 2), to); }) ==
        lacks("weights", "[4, 2]"));
  CHECK(refusal([&] { moe::gather(cpu{}, from, null<const std::int64_t>(4, 2), to); }) ==
        lacks("position", "[4, 2]"));
  CHECK(refusal([&] {
          moe::gather(cpu{}, view<const float, 2>(x.data(), -4, 3),
                      moe::slot_positions(s.position.data(), -4, 2), to);
        }) == "hence: x has shape [-4, 3], expected no extent below 0");
  CHECK(refusal([&] {
          moe::jitter(cpu{}, null<const float>(4, 3), 0.5, moe::jitter_place{1}, y);
        }) == lacks("x", "[4, 3]"));
  CHECK(x == std::vector<float>(12, 1.0f));
  CHECK(rows == std::vector<float>(24, 2.0f));

  std::vector<std::uint64_t> batches(4, 7);
  moe::routing_record<std::int32_t> record{view<std::int32_t, 2>(s.ids.data(), 4, 2), batches, 3};
  CHECK(refusal([&] { moe::check_record(record, 4, 3, 2, 7, null<const std::uint8_t>(4)); }) ==
        lacks("valid", "4 entries"));
  CHECK(refusal([&] { moe::compare_routing(ids, ids, null<const std::uint8_t>(4)); }) ==
        lacks("valid", "4 entries"));
  record.batch = null<std::uint64_t>(4);
  CHECK(refusal([&] { moe::record_routing(record, ids, 0, 1); }) ==
        lacks("record.batch", "4 entries"));
  record.ids.extent[0] = -4;
  CHECK(refusal([&] { moe::check_record(record, -4, 3, 2, 7); }) ==
        "hence: record.ids has shape [-4, 2], expected no extent below 0");
  CHECK(s.ids == as_they_were.ids);
  CHECK(s.order == as_they_were.order);
}

TEST_CASE("null arrays of experts") {
  const ints first{0, 2}, count{2, 2}, places{0, 1, 2, 3};
  const std::vector<float> weights(4, 1.0f), matrices(2 * 8 * 8, 0.25f), x(32, 1.0f);
  std::vector<float> y(32, 3.0f);
  const view<float, 2> out(y.data(), 4, 8);
  moe::layer_inputs<float> in;
  in.x = view<const float, 2>(x.data(), 4, 8);
  in.position = moe::slot_positions(places.data(), 4, 1);
  in.weights = view<const float, 2>(weights.data(), 4, 1);
  in.segments = {first, count};
  in.gate = in.up = in.down = view<const float, 3>(matrices.data(), 2, 8, 8);
  const moe::expert_mlp mlp{hence::gemm::ordered{}, moe::swiglu{}, moe::after_down{}};
  const moe::expert_mlp single{hence::gemm::ordered{}, moe::silu{}, moe::after_down{}};
  const view<const float, 3> no_matrices(nullptr, 2, 8, 8);
  const auto forward = [&](const auto& rule, auto change, view<std::byte> workspace = {}) {
    auto a = in;
    change(a);
    return refusal([&] { moe::experts(cpu{}, rule, a, moe::recomputed{}, out, workspace); });
  };
  CHECK(forward(mlp, [&](auto& a) { a.gate = no_matrices; }) == lacks("gate", "[2, 8, 8]"));
  CHECK(forward(single, [&](auto& a) { a.gate = no_matrices; }) ==
        "hence: gate is given, expected none: the activation is a plain one");
  CHECK(forward(mlp, [](auto& a) { a.rows = -2; }) ==
        "hence: rows is -2, expected 0 or more, or -1");
  CHECK(forward(mlp, [](auto& a) { a.segments.count = null<const std::int64_t>(2); }) ==
        lacks("segments.count", "2 entries"));
  CHECK(forward(
            mlp, [](auto&) {}, null<std::byte>(1 << 24))
            .starts_with("hence: workspace is null, expected at least "));
  CHECK(refusal([&] { moe::experts_workspace_bytes<float>(cpu{}, mlp, -1, 8, 8); }) ==
        "hence: rows is -1, expected 0 or more");
  CHECK(refusal([&] { moe::expert_workspace_bytes(cpu{}, mlp, -1, 8); }) ==
        "hence: rows is -1, expected 0 or more");

  std::vector<float> grad(32, 5.0f);
  const auto backward = [&](auto change) {
    moe::layer_gradients<float> to;
    to.x = view<float, 2>(grad.data(), 4, 8);
    change(to);
    return refusal([&] {
      moe::experts_backward(cpu{}, mlp, in, moe::recomputed{}, view<const float, 2>(x.data(), 4, 8),
                            to);
    });
  };
  CHECK(backward([](auto& to) { to.x = null<float>(4, 8); }) == lacks("gradients.x", "[4, 8]"));
  CHECK(backward([](auto& to) { to.weights = null<float>(4, 1); }) ==
        lacks("gradients.weights", "[4, 1]"));
  const view<float, 3> none(nullptr, 2, 8, 8);
  CHECK(backward([&](auto& to) { to.gate = none; }) == lacks("gradients.gate", "[2, 8, 8]"));
  CHECK(backward([&](auto& to) { to.up = none; }) == lacks("gradients.up", "[2, 8, 8]"));
  CHECK(backward([&](auto& to) { to.down = none; }) == lacks("gradients.down", "[2, 8, 8]"));
  CHECK(grad == std::vector<float>(32, 5.0f));

  moe::expert_inputs<float> rows;
  rows.rows = in.x, rows.segments = in.segments, rows.gate = rows.up = rows.down = in.up;
  const auto of_rows = [&](auto change) {
    moe::expert_gradients<float> to;
    auto a = rows;
    change(a, to);
    return refusal([&] {
      moe::expert_rows_backward(cpu{}, mlp, a, moe::recomputed{},
                                view<const float, 2>(x.data(), 4, 8), to);
    });
  };
  CHECK(of_rows([](auto&, auto& to) { to.rows = null<float>(4, 8); }) ==
        lacks("gradients.rows", "[4, 8]"));
  CHECK(of_rows([](auto& a, auto&) {
          a.row_weights = null<const float>(4);
        }).starts_with("hence: row_weights is given, expected none"));
  CHECK(of_rows([](auto&, auto& to) {
          to.row_weights = null<float>(4);
        }).starts_with("hence: gradients.row_weights is given, expected none"));
  CHECK(of_rows([&](auto&, auto& to) { to.up = none; }) == lacks("gradients.up", "[2, 8, 8]"));
  CHECK(refusal([&] {
          const moe::expert_mlp before{hence::gemm::ordered{}, moe::swiglu{}, moe::before_down{}};
          moe::expert_gradients<float> to;
          to.row_weights = null<float>(4);
          auto a = rows;
          a.row_weights = view<const float>(weights.data(), 4);
          moe::expert_rows_backward(cpu{}, before, a, moe::recomputed{},
                                    view<const float, 2>(x.data(), 4, 8), to);
        }) == lacks("gradients.row_weights", "4 entries"));
  moe::saved_activations<float> kept;
  kept.up = view<float, 2>(grad.data(), 4, 8);
  kept.gate = null<float>(4, 8);
  CHECK(refusal([&] {
          moe::experts(
              cpu{}, single,
              [&] {
                auto a = in;
                a.gate = {};
                return a;
              }(),
              kept, out);
        }).starts_with("hence: saved.gate is given, expected none"));
  CHECK(grad == std::vector<float>(32, 5.0f));
  CHECK(y == std::vector<float>(32, 3.0f));
}

}  // namespace
