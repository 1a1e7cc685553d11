// The operation advantage, estimators per row. Rows of equal group id are moved together, given to
// the library, and moved back; float32 cases on two executors and, where the order does not matter,
// in two orders, which must agree bit for bit. Estimators per token are in advantage_token.cpp.

#include "advantage.hpp"

#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_gdpo.hpp>
#include <hence/policy/advantage_opo.hpp>
#include <hence/policy/advantage_pass_at_k.hpp>
#include <hence/policy/advantage_remax.hpp>

#include <numeric>
#include <stdexcept>

namespace conformance {
namespace {

namespace advantage = hence::advantage;

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

/// The rows of `x`, `width` elements each, in another order.
template <class T>
std::vector<T> moved(const std::vector<T>& x, const grouping& g, std::size_t width = 1) {
  std::vector<T> out(x.size());
  for (std::size_t i = 0; i < g.order.size(); ++i)
    for (std::size_t k = 0; k < width; ++k) out[i * width + k] = x[g.order[i] * width + k];
  return out;
}

/// Calls call(executor, grouping, out) on every executor and in both orders; all must agree.
/// \param any_order whether the order of the rows leaves no trace.
template <class S, class Call>
advantage_outputs<S> run_everywhere(const std::vector<std::int64_t>& ids, bool any_order,
                                    const Call& call) {
  const auto run = [&](const auto& executor, bool reversed) {
    const grouping g = group_rows(ids, reversed);
    // NaN shows an entry that is not written.
    std::vector<S> found(ids.size(), std::numeric_limits<S>::quiet_NaN());
    advantage_outputs<S> out{std::vector<S>(ids.size()), {}, hence::status::ok};
    out.conditions = call(executor, g, found);
    for (std::size_t i = 0; i < found.size(); ++i) out.advantages[g.order[i]] = found[i];
    return out;
  };
  const auto in_orders = [&](const auto& executor) {
    const advantage_outputs<S> first = run(executor, false);
    if (any_order) demand_same(first, run(executor, true), "two orders of the rows");
    return first;
  };
  if constexpr (std::is_same_v<S, float>) {
    const advantage_outputs<S> out = in_orders(hence::cpu{});
    demand_same(out, in_orders(hence::reference<float>{}), "cpu and reference");
    return out;
  } else {
    return in_orders(hence::reference<double>{});
  }
}

template <class S> answer finish(const request& request, const advantage_outputs<S>& out) {
  refuse_singletons(request.options_of_case(), out.conditions);
  return {{"advantages",
           make_tensor({static_cast<std::int64_t>(out.advantages.size())}, out.advantages)}};
}

std::vector<std::int64_t> row_shape(const request& request) {
  const std::vector<std::int64_t> shape = request.input("rewards").shape;
  if (shape.size() != 1) throw std::invalid_argument("input rewards does not have the shape [N]");
  return shape;
}

/// A rule of groups that reads nothing but rewards.
template <class S, class Rule>
answer by_group(const request& request, const Rule& rule, bool any_order = true) {
  const auto shape = row_shape(request);
  const auto rewards = request.floats<S>("rewards", shape);
  return finish(
      request, run_everywhere<S>(request.ids("group", shape), any_order,
                                 [&](const auto& executor, const grouping& g, std::vector<S>& out) {
                                   const std::vector<S> sorted = moved(rewards, g);
                                   return hence::advantages(executor, rule,
                                                            hence::groups{.cu_groups = g.cu_groups},
                                                            sorted, out);
                                 }));
}

template <class S> answer group_baseline(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "baseline", "scale", "ddof", "eps", "singleton"});
  const std::int64_t ddof = o.integer("ddof");
  const double eps = o.number("eps");
  const auto with_scale = [&](const auto& baseline, const auto& singleton) {
    const auto run = [&](const auto& scale) {
      return by_group<S>(request, advantage::group_baseline{baseline, scale, singleton});
    };
    switch (
        o.choice<int>("scale", {{"group", 0}, {"none", 1}, {"batch", 2}, {"batch_centered", 3}})) {
      case 0:
        return run(advantage::scale_group{ddof, eps});
      case 1:
        return run(advantage::scale_none{});
      case 2:
        return run(advantage::scale_batch{ddof, eps});
      default:
        return run(advantage::scale_batch_centred{ddof, eps});
    }
  };
  switch (
      o.choice<int>("baseline", {{"group", 0}, {"leave_one_out", 1}, {"batch", 2}, {"none", 3}})) {
    case 0:
      return with_scale(advantage::baseline_group{}, singleton_of(o));
    case 1:
      return with_scale(advantage::baseline_leave_one_out{}, singleton_of(o));
    case 2:
      return with_scale(advantage::baseline_batch{}, advantage::singleton_as_group{});
    default:
      return with_scale(advantage::baseline_none{}, singleton_of(o));
  }
}

template <class S> answer maxrl(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "eps", "singleton"});
  return by_group<S>(request, advantage::maxrl(o.number("eps"), singleton_of(o)));
}

template <class S> answer gpg(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "singleton"});
  return by_group<S>(request, advantage::gpg(singleton_of(o)));
}

template <class S> answer pass_at_k(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "scale", "ddof", "eps", "singleton"});
  const advantage::scale_group scale{o.integer("ddof"), o.number("eps")};
  const bool scaled = o.choice<bool>("scale", {{"group", true}, {"none", false}});
  const any_singleton singleton = singleton_of(o);
  return scaled ? by_group<S>(request, advantage::pass_at_k{scale, singleton}, false)
                : by_group<S>(request, advantage::pass_at_k{advantage::scale_none{}, singleton},
                              false);
}

template <class S> answer opo(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "singleton"});
  const auto shape = row_shape(request);
  const auto rewards = request.floats<S>("rewards", shape);
  const auto mask_shape = request.input("mask").shape;
  if (mask_shape.size() != 2 || mask_shape[0] != shape[0])
    throw std::invalid_argument("input mask does not have the shape [N, T]");
  const auto mask = request.mask("mask", mask_shape);
  std::vector<std::int64_t> lengths(rewards.size());
  for (std::size_t i = 0; i < mask.size(); ++i)
    lengths[i / static_cast<std::size_t>(mask_shape[1])] += mask[i] != 0;
  const any_singleton singleton = singleton_of(o);
  return finish(request, run_everywhere<S>(
                             request.ids("group", shape), true,
                             [&](const auto& executor, const grouping& g, std::vector<S>& out) {
                               const std::vector<S> sorted = moved(rewards, g);
                               const std::vector<std::int64_t> l = moved(lengths, g);
                               return hence::advantages(
                                   executor,
                                   advantage::opo{hence::view<const std::int64_t>(l), singleton},
                                   hence::groups{.cu_groups = g.cu_groups}, sorted, out);
                             }));
}

template <class S> answer remax(const request& request) {
  request.options_of_case().expect({"estimator"});
  const auto shape = row_shape(request);
  const auto rewards = request.floats<S>("rewards", shape),
             baselines = request.floats<S>("baseline", shape);
  return finish(request, run_everywhere<S>(
                             std::vector<std::int64_t>(rewards.size()), true,
                             [&](const auto& executor, const grouping& g, std::vector<S>& out) {
                               const std::vector<S> r = moved(rewards, g), b = moved(baselines, g);
                               return hence::advantages(
                                   executor, advantage::remax{hence::view<const S>(b)},
                                   hence::groups{.cu_groups = g.cu_groups}, r, out);
                             }));
}

/// \tparam K rewards per row; as many as the case has, found by trying.
template <class S, int K>
answer gdpo_of(const request& request, const std::vector<double>& weights) {
  const options& o = request.options_of_case();
  if (weights.size() != std::size_t{K}) {
    if constexpr (K < 6)
      return gdpo_of<S, K + 1>(request, weights);
    else
      throw unsupported("option options.weights: more than 6 rewards, or none");
  }
  const auto shape = request.input("rewards").shape;
  if (shape.size() != 2 || shape[1] != K)
    throw std::invalid_argument("input rewards does not have the shape [N, weights]");
  const auto rewards = request.floats<S>("rewards", shape);
  advantage::gdpo<K, any_singleton> rule{
      {}, o.number("eps"), o.number("batch_eps"), singleton_of(o)};
  std::copy(weights.begin(), weights.end(), rule.weights);
  return finish(
      request, run_everywhere<S>(request.ids("group", {shape[0]}), true,
                                 [&](const auto& executor, const grouping& g, std::vector<S>& out) {
                                   const std::vector<S> sorted = moved(rewards, g, K);
                                   return hence::advantages(
                                       executor, rule, hence::groups{.cu_groups = g.cu_groups},
                                       hence::view<const S, 2>(sorted.data(), shape[0], K), out);
                                 }));
}
template <class S> answer gdpo(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "weights", "eps", "batch_eps", "singleton"});
  return gdpo_of<S, 1>(request, o.numbers("weights"));
}

template <class S> answer advantages(const request& request) {
  const auto run = request.options_of_case().choice<answer (*)(const conformance::request&)>(
      "estimator", {{"group_baseline", group_baseline<S>},
                    {"maxrl", maxrl<S>},
                    {"opo", opo<S>},
                    {"gpg", gpg<S>},
                    {"pass_at_k", pass_at_k<S>},
                    {"remax", remax<S>},
                    {"gdpo", gdpo<S>},
                    {"reinforce_plus_plus_baseline", token_advantages<S>},
                    {"reinforce_plus_plus", token_advantages<S>},
                    {"gae", token_advantages<S>}});
  return run(request);
}

const operation registered("advantage", [](const request& r) {
  return r.is_double() ? advantages<double>(r) : advantages<float>(r);
});

}  // namespace
}  // namespace conformance
