/// \file
/// `token_advantages`: one number per token, on any executor.
///
///     status s = hence::token_advantages(cpu{}, advantage::gae{1.0, 0.95, advantage::hole_skip{}},
///                                        advantage::whiten_add{1, 1e-8}, batch,
///                                        {.rewards = rewards, .values = values}, advantages,
///                                        returns);
///
/// Arithmetic is float64, rounded once to the executor's scalar, sums over tokens are exact: the
/// bits are those of `reference<float>` on every executor, with any pool, padded and ragged, and in
/// any order of the rows. Dead positions are not read and get 0. Without whitening, rows do not
/// depend on each other, so a batch may be split; whitening reads the whole batch.
///
/// A NaN or infinity in a live reward or value makes its token and, but for `as_given`, those
/// before it NaN, with whitening every token, and sets `status::non_finite`. No live token:
/// `status::empty`.
#pragma once

#include <hence/policy/advantage_reference.hpp>
#include <hence/policy/advantage_token_checks.hpp>

namespace hence::inline v0 {

namespace detail {

/// A rule on a batch. Walks are from the last token of a row to its first.
template <class S, class Isa, class Rule> class token_walk {
 public:
  using V = num<double, Isa>;
  using state = advantage::token_state<V>;

  token_walk(const Rule& rule, const basic_layout<Isa>& batch, const token_advantage_inputs<S>& in)
      : rule_(rule), batch_(batch), in_(in) {}

  /// Calls f(t, state) for the live tokens of a row and dead(t) for the others.
  template <class F, class Dead> void row(std::int64_t i, F f, Dead dead) const {
    const row_masks masks = batch_.masks_of(i);
    const S* rewards = batch_.row(in_.token_rewards, i);
    const S* values = batch_.row(in_.values, i);
    state next{V(0.0), V(0.0)};
    bool pays = true;
    for (std::int64_t t = batch_.length(i) - 1; t >= 0; --t) {
      if (!masks.live(t)) {
        next = rule_.hole(rule_, next);
        dead(t);
        continue;
      }
      V r = rewards != nullptr ? V(rewards[t]) : V(0.0);
      if (pays && in_.rewards.present()) r = r + V(in_.rewards[i]);
      const V value = Rule::reads_values ? V(values[t]) : V(0.0);
      pays = Rule::pays_every_token;
      next = rule_.step(r, value, next);
      next.advantage = next.advantage + ((r - r) + (value - value));  // NaN if one is not finite
      f(t, next);
    }
  }
  /// Calls f(advantage) for every live token of the batch.
  template <class F> void all(F f) const {
    for (std::int64_t i = 0; i < batch_.rows; ++i)
      row(i, [&](std::int64_t, state s) { f(s.advantage); }, [](std::int64_t) {});
  }

 private:
  const Rule& rule_;
  const basic_layout<Isa>& batch_;
  const token_advantage_inputs<S>& in_;
};

/// Rounds A and the returns of rows [begin, end). \param finish makes the advantage of x.
template <class S, class Isa, class Rule, class Finish>
status write_tokens(const Rule& rule, const token_walk<S, Isa, Rule>& walk,
                    const basic_layout<Isa>& batch, const per_token<S>& advantages,
                    const per_token<S>& returns, std::int64_t begin, std::int64_t end,
                    Finish finish) {
  bool finite = true;
  for (std::int64_t i = begin; i < end; ++i) {
    S *a = batch.row(advantages, i), *back = batch.row(returns, i);
    walk.row(
        i,
        [&](std::int64_t t, auto state) {
          a[t] = static_cast<S>(finish(state.advantage).v);
          if (back != nullptr) back[t] = static_cast<S>(rule.returns(state).v);
          finite = finite && a[t] - a[t] == 0 && (back == nullptr || back[t] - back[t] == 0);
        },
        [&](std::int64_t t) {
          a[t] = static_cast<S>(0);
          if (back != nullptr) back[t] = static_cast<S>(0);
        });
  }
  return finite ? status::ok : status::non_finite;
}

/// Calls run(begin, end) for ranges of rows that together are all of them.
template <class Executor, class Isa, class Run>
status over_rows(const Executor& executor, const basic_layout<Isa>& batch, Run&& run) {
  std::uint32_t found = 0;
  if constexpr (Executor::is_parallel) {
    std::int64_t chunks = batch.tokens() / 8192;
    chunks = chunks < 256 ? chunks : 256;
    chunks = chunks < batch.rows ? chunks : batch.rows;
    chunks = chunks > 1 ? chunks : 1;
    executor.pool->parallel_for(chunks, [&](std::int64_t i) {
      const status s = run(batch.chunk_begin(i, chunks), batch.chunk_begin(i + 1, chunks));
      if (s != status::ok)
        __atomic_fetch_or(&found, static_cast<std::uint32_t>(s), __ATOMIC_RELAXED);
    });
  } else {
    found = static_cast<std::uint32_t>(run(0, batch.rows));
  }
  return static_cast<status>(found);
}

}  // namespace detail

/// The advantages of all tokens.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`, `reference<double>{}`. The
/// statistics
///   of a whitening are taken in the caller's thread.
/// \param rule `advantage::gae`, `advantage::reinforce_plus_plus` or `advantage::as_given`.
/// \param whitening `advantage::whiten_none`, `whiten_add` or `whiten_floor`; returns stay as they
///   are.
/// \param batch `ragged` or `padded`; live is what the response mask says.
/// \param in rewards of rows or of tokens, and values.
/// \param advantages, returns in the batch's layout, apart from all others; returns may be absent.
template <class Executor, class Rule, class Whitening, class Batch>
status token_advantages(const Executor& executor, const Rule& rule, const Whitening& whitening,
                        const Batch& batch,
                        const token_advantage_inputs<typename Executor::scalar>& in,
                        per_token<typename Executor::scalar> advantages,
                        per_token<typename Executor::scalar> returns = {}) {
  using S = typename Executor::scalar;
  using isa = detail::executor_isa<Executor>;
  using V = num<double, isa>;
  status found = status::ok;
  if constexpr (detail::check_token_rule<Rule, Whitening>()) {
    const detail::basic_layout<isa> b = batch;
    detail::check_token_numbers(rule, whitening);
    detail::check_token_arrays<Rule>(b, in, advantages, returns);
    const detail::token_walk<S, isa, Rule> walk(rule, b, in);
    const auto write = [&](auto finish) {
      found = detail::over_rows(executor, b, [&](std::int64_t begin, std::int64_t end) {
        return detail::write_tokens<S, isa>(rule, walk, b, advantages, returns, begin, end, finish);
      });
    };
    std::int64_t count = 0;
    if constexpr (!Whitening::reads_batch) {
      for (std::int64_t i = 0; i < b.rows && count == 0; ++i)
        count = detail::count_rows(b, i, i + 1).tokens;
      write([](V x) { return x; });
    } else {
      V low = 0.0, high = 0.0;
      bool finite = true;
      walk.all([&](V x) {
        low = count == 0 ? x : lesser(x, low);
        high = count == 0 ? x : greater(x, high);
        finite = finite && (x - x == V(0.0));
        ++count;
      });
      if (!finite) {
        write([](V) { return V(__builtin_nan("")); });
        return found;
      }
      if (count <= whitening.ddof || low == high) {
        write([](V) { return V(0.0); });
      } else {
        const detail::measured_group<double, isa> tokens(low, high, V(static_cast<double>(count)),
                                                         true, {}, [&](auto f) { walk.all(f); });
        const V variance = tokens.moments.squares / V(static_cast<double>(count - whitening.ddof));
        const V unit = tokens.moments.unit,
                factor = whitening(variance, V(whitening.eps) / unit / unit);
        write([&](V x) { return tokens.centred(x) * factor; });
      }
    }
    if (count == 0) found |= status::empty;
  }
  return found;  // no test: it runs; clang counts 0 behind an `if constexpr` that returns
}

}  // namespace hence::inline v0
