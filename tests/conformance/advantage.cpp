// The operation advantage, estimator group_baseline. Rows of equal group id are moved together,
// given to the library, and moved back; float32 cases on two executors and each in two orders,
// which must agree bit for bit.

#include "operation.hpp"

#include <hence/policy/advantage.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <variant>

namespace conformance {
namespace {

namespace advantage = hence::advantage;

using rule = advantage::group_baseline<
    advantage::baseline_group, std::variant<advantage::scale_group, advantage::scale_none>,
    std::variant<advantage::singleton_zero, advantage::singleton_raw, advantage::singleton_error>>;

rule read_rule(const options& o) {
  o.choice<int>("estimator", {{"group_baseline", 0}});
  o.expect({"estimator", "baseline", "scale", "ddof", "eps", "singleton"});
  o.choice<int>("baseline", {{"group", 0}});
  rule r{};
  const advantage::scale_group scale{o.integer("ddof"), o.number("eps")};
  if (o.choice<bool>("scale", {{"group", true}, {"none", false}}))
    r.scale = scale;
  else
    r.scale = advantage::scale_none{};
  const int singleton = o.choice<int>("singleton", {{"zero", 0}, {"raw", 1}, {"error", 2}});
  if (singleton == 1) r.singleton = advantage::singleton_raw{};
  if (singleton == 2) r.singleton = advantage::singleton_error{};
  return r;
}

/// Rows by group: `order` holds row numbers, group g those of [cu_groups[g], cu_groups[g + 1]).
struct grouping {
  std::vector<std::size_t> order;
  std::vector<std::int64_t> cu_groups;
};

grouping group_rows(const std::vector<std::int64_t>& ids, bool reversed) {
  grouping g{std::vector<std::size_t>(ids.size()), {0}};
  std::iota(g.order.begin(), g.order.end(), std::size_t{0});
  std::sort(g.order.begin(), g.order.end(), [&](std::size_t a, std::size_t b) {
    return ids[a] < ids[b] || (ids[a] == ids[b] && a < b);
  });
  if (reversed) std::reverse(g.order.begin(), g.order.end());
  for (std::size_t i = 1; i <= ids.size(); ++i)
    if (i == ids.size() || ids[g.order[i]] != ids[g.order[i - 1]])
      g.cu_groups.push_back(static_cast<std::int64_t>(i));
  return g;
}

template <class S> struct outputs {
  std::vector<S> advantages;
  hence::status conditions;
};

template <class Executor, class S>
outputs<S> run(const Executor& executor, const rule& r, const std::vector<std::int64_t>& ids,
               const std::vector<S>& rewards, bool reversed) {
  const grouping g = group_rows(ids, reversed);
  // NaN shows an entry that is not written.
  std::vector<S> sorted(rewards.size()), found(rewards.size(), std::numeric_limits<S>::quiet_NaN());
  for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = rewards[g.order[i]];
  outputs<S> out{std::vector<S>(rewards.size()), hence::status::ok};
  out.conditions =
      hence::advantages(executor, r, hence::groups{.cu_groups = g.cu_groups}, sorted, found);
  for (std::size_t i = 0; i < sorted.size(); ++i) out.advantages[g.order[i]] = found[i];
  return out;
}

template <class S> void demand_same(const outputs<S>& a, const outputs<S>& b, const char* which) {
  if (a.conditions != b.conditions)
    throw std::runtime_error(std::string(which) + " differ in status");
  using bits = std::conditional_t<std::is_same_v<S, double>, std::uint64_t, std::uint32_t>;
  for (std::size_t i = 0; i < a.advantages.size(); ++i) {
    const S x = a.advantages[i], y = b.advantages[i];
    if (std::bit_cast<bits>(x) != std::bit_cast<bits>(y) && !(std::isnan(x) && std::isnan(y)))
      throw std::runtime_error(std::string(which) + " differ in advantages[" + std::to_string(i) +
                               "]");
  }
}

template <class Executor, class S>
outputs<S> run_orders(const Executor& executor, const rule& r, const std::vector<std::int64_t>& ids,
                      const std::vector<S>& rewards) {
  const outputs<S> first = run(executor, r, ids, rewards, false);
  demand_same(first, run(executor, r, ids, rewards, true), "two orders of the rows");
  return first;
}

template <class S> answer advantages(const request& request) {
  const rule r = read_rule(request.options_of_case());
  const std::vector<std::int64_t> shape = request.input("rewards").shape;
  if (shape.size() != 1) throw std::invalid_argument("input rewards does not have the shape [N]");
  const std::vector<S> rewards = request.floats<S>("rewards", shape);
  const std::vector<std::int64_t> ids = request.ids("group", shape);
  outputs<S> out;
  if constexpr (std::is_same_v<S, float>) {
    out = run_orders(hence::cpu{}, r, ids, rewards);
    demand_same(out, run_orders(hence::reference<float>{}, r, ids, rewards), "cpu and reference");
  } else {
    out = run_orders(hence::reference<double>{}, r, ids, rewards);
  }
  if (hence::has(out.conditions, hence::status::singleton))
    throw std::runtime_error("a group of one, where the singleton policy is \"error\"");
  return {{"advantages", make_tensor(shape, out.advantages)}};
}

const operation registered("advantage", [](const request& r) {
  return r.is_double() ? advantages<double>(r) : advantages<float>(r);
});

}  // namespace
}  // namespace conformance
