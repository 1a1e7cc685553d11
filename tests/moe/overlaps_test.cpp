// No function of moe/ writes on top of what it reads, nor into two results at once, nor lets its
// workspace lie in either: all are refused by name, and nothing is written before.
#include <doctest/doctest.h>
#include <hence/core/gemm/ordered.hpp>
#include <hence/moe.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using hence::cpu;
using hence::view;
namespace moe = hence::moe;
using ints = std::vector<std::int64_t>;

const std::string apart = ", expected separate arrays";

template <class F> std::string refusal(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
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
  CHECK(forward(without, view<float, 2>(y.data(), 4, 8), workspace)
            .starts_with("hence: segments.count has 2 entries"));
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

}  // namespace
