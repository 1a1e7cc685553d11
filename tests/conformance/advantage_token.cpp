// The operation advantage, estimators per token: padded on every executor, and ragged without the
// dead positions where the estimator skips them; all must agree bit for bit.

#include "advantage.hpp"

#include <hence/policy/advantage.hpp>
#include <hence/policy/advantage_token.hpp>

#include <map>
#include <stdexcept>

namespace conformance {
namespace {

namespace advantage = hence::advantage;

/// A case's tokens.
template <class S> struct tokens {
  std::vector<std::int64_t> shape;  // [N, T]
  std::vector<std::uint8_t> mask;
  std::vector<S> rewards, token_rewards, values;  // of rows or of tokens; empty where absent

  hence::view<const S> row_view() const {
    return rewards.empty() ? hence::view<const S>() : hence::view<const S>(rewards);
  }
};

template <class S, class Executor, class Rule, class Whitening>
advantage_outputs<S> run_padded(const Executor& executor, const Rule& rule,
                                const Whitening& whitening, const tokens<S>& t) {
  const std::int64_t n = t.shape[0], width = t.shape[1];
  const auto at = [&](const std::vector<S>& x) {
    return x.empty() ? hence::per_token<const S>() : hence::per_token<const S>(x.data(), n, width);
  };
  // NaN shows an entry that is not written.
  const std::vector<S> unwritten(t.mask.size(), std::numeric_limits<S>::quiet_NaN());
  advantage_outputs<S> out{unwritten, unwritten, hence::status::ok};
  const hence::view<const std::uint8_t, 2> mask(t.mask.data(), n, width);
  out.conditions = hence::token_advantages(
      executor, rule, whitening, hence::padded{n, width, {.response = mask}},
      {.rewards = t.row_view(), .token_rewards = at(t.token_rewards), .values = at(t.values)},
      hence::per_token<S>(out.advantages.data(), n, width),
      hence::per_token<S>(out.returns.data(), n, width));
  return out;
}

/// The same without dead positions.
template <class S, class Executor, class Rule, class Whitening>
advantage_outputs<S> run_ragged(const Executor& executor, const Rule& rule,
                                const Whitening& whitening, const tokens<S>& t) {
  std::vector<std::int64_t> cu{0};
  std::vector<std::size_t> source;
  for (std::int64_t i = 0; i < t.shape[0]; ++i) {
    for (std::int64_t k = 0; k < t.shape[1]; ++k)
      if (const auto at = static_cast<std::size_t>(i * t.shape[1] + k); t.mask[at] != 0)
        source.push_back(at);
    cu.push_back(static_cast<std::int64_t>(source.size()));
  }
  const auto gathered = [&](const std::vector<S>& x) {
    std::vector<S> out;
    for (const std::size_t at : source)
      if (!x.empty()) out.push_back(x[at]);
    return out;
  };
  const std::vector<S> token_rewards = gathered(t.token_rewards), values = gathered(t.values);
  const auto view_of = [](const std::vector<S>& x) {
    return x.empty() ? hence::per_token<const S>() : hence::per_token<const S>(x);
  };
  std::vector<S> a(source.size()), back(source.size());
  advantage_outputs<S> out{std::vector<S>(t.mask.size()), std::vector<S>(t.mask.size()),
                           hence::status::ok};
  out.conditions = hence::token_advantages(
      executor, rule, whitening, hence::ragged{.cu_seqlens = cu},
      {.rewards = t.row_view(), .token_rewards = view_of(token_rewards), .values = view_of(values)},
      a, back);
  for (std::size_t i = 0; i < source.size(); ++i)
    out.advantages[source[i]] = a[i], out.returns[source[i]] = back[i];
  return out;
}

template <class S, class Rule, class Whitening>
advantage_outputs<S> run_everywhere(const Rule& rule, const Whitening& whitening,
                                    const tokens<S>& t, bool skips) {
  const auto both = [&](const auto& executor) {
    const advantage_outputs<S> out = run_padded(executor, rule, whitening, t);
    if (skips && !(t.token_rewards.empty() && t.rewards.empty()))
      demand_same(out, run_ragged(executor, rule, whitening, t), "padded and ragged");
    return out;
  };
  if constexpr (std::is_same_v<S, float>) {
    const advantage_outputs<S> out = both(hence::cpu{});
    demand_same(out, both(hence::reference<float>{}), "cpu and reference");
    return out;
  } else {
    return both(hence::reference<double>{});
  }
}

template <class F> answer with_whitening(const options& o, const F& f) {
  if (o.is_null("whiten")) return f(advantage::whiten_none{});
  const options w = o.object("whiten");
  w.expect({"ddof", "eps", "eps_mode"});
  const std::int64_t ddof = w.integer("ddof");
  const double eps = w.number("eps");
  if (w.choice<bool>("eps_mode", {{"add_to_variance", true}, {"floor_variance", false}}))
    return f(advantage::whiten_add{ddof, eps});
  return f(advantage::whiten_floor{ddof, eps});
}

template <class S> tokens<S> read_tokens(const request& request, bool of_rows) {
  tokens<S> t;
  t.shape = request.input("mask").shape;
  if (t.shape.size() != 2) throw std::invalid_argument("input mask does not have the shape [N, T]");
  t.mask = request.mask("mask", t.shape);
  const auto shape = request.input("rewards").shape;
  if (of_rows || shape.size() == 1)
    t.rewards = request.floats<S>("rewards", {t.shape[0]});
  else
    t.token_rewards = request.floats<S>("rewards", t.shape);
  return t;
}

template <class S>
answer answer_of(const advantage_outputs<S>& out, const tokens<S>& t, bool with_returns) {
  answer a{{"advantages", make_tensor(t.shape, out.advantages)}};
  if (with_returns) a.emplace("returns", make_tensor(t.shape, out.returns));
  return a;
}

/// r - mu of the row's group, on every live token, whitened.
template <class S> answer reinforce_plus_plus_baseline(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "singleton", "whiten"});
  tokens<S> t = read_tokens<S>(request, true);
  const auto ids = request.ids("group", {t.shape[0]});
  std::map<std::int64_t, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < ids.size(); ++i) groups[ids[i]].push_back(i);
  std::vector<std::size_t> order;
  std::vector<std::int64_t> cu{0};
  for (const auto& [id, rows] : groups) {
    order.insert(order.end(), rows.begin(), rows.end());
    cu.push_back(static_cast<std::int64_t>(order.size()));
  }
  using executor = std::conditional_t<std::is_same_v<S, float>, hence::cpu<>, hence::reference<S>>;
  std::vector<S> sorted(ids.size()), centred(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) sorted[i] = t.rewards[order[i]];
  refuse_singletons(o, hence::advantages(executor{}, advantage::dr_grpo(singleton_of(o)),
                                         hence::groups{.cu_groups = cu}, sorted, centred));
  for (std::size_t i = 0; i < ids.size(); ++i) t.rewards[order[i]] = centred[i];
  return with_whitening(o, [&](const auto& whitening) {
    return answer_of(run_everywhere(advantage::as_given{}, whitening, t, true), t, false);
  });
}

template <class S> answer reinforce_plus_plus(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "gamma", "hole", "whiten"});
  const tokens<S> t = read_tokens<S>(request, false);
  const double gamma = o.number("gamma");
  const int hole = o.choice<int>("hole", {{"skip", 0}, {"reset", 1}, {"discount", 2}});
  return with_whitening(o, [&](const auto& whitening) {
    const auto run = [&](const auto& h) {
      return answer_of(
          run_everywhere(advantage::reinforce_plus_plus{gamma, h}, whitening, t, hole == 0), t,
          true);
    };
    return hole == 0   ? run(advantage::hole_skip{})
           : hole == 1 ? run(advantage::hole_reset{})
                       : run(advantage::hole_discount{});
  });
}

template <class S> answer gae(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"estimator", "gamma", "lambda", "hole", "whiten"});
  tokens<S> t = read_tokens<S>(request, false);
  t.values = request.floats<S>("values", t.shape);
  const double gamma = o.number("gamma"), lambda = o.number("lambda");
  const bool skips = o.choice<bool>("hole", {{"skip", true}, {"discount", false}});
  return with_whitening(o, [&](const auto& whitening) {
    const auto run = [&](const auto& h) {
      return answer_of(run_everywhere(advantage::gae{gamma, lambda, h}, whitening, t, skips), t,
                       true);
    };
    return skips ? run(advantage::hole_skip{}) : run(advantage::hole_discount{});
  });
}

}  // namespace

template <class S> answer token_advantages(const request& request) {
  const std::string estimator = request.options_of_case().text("estimator");
  if (estimator == "gae") return gae<S>(request);
  if (estimator == "reinforce_plus_plus") return reinforce_plus_plus<S>(request);
  return reinforce_plus_plus_baseline<S>(request);
}
template answer token_advantages<float>(const request&);
template answer token_advantages<double>(const request&);

}  // namespace conformance
