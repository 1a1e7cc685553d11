/// \file
/// How `linear_logprob` walks over tiles of live tokens: gather their hidden states, multiply,
/// reduce each row, turn it into its gradient in place, multiply back.
#pragma once

#include <hence/core/gemm/ordered.hpp>
#include <hence/logits/linear_arrays.hpp>

namespace hence::inline v0::detail {

template <class Executor, class Gemm, class H, class W> struct linear_job {
  using S = typename Executor::scalar;
  using row = token_row<Executor>;
  static_assert(
      requires(const Gemm& g, view<const S, 2> a, view<const W, 2> b, view<S, 2> c, S* scratch) {
        g(a, b, c, update::overwrite, scratch);
      },
      "hence: this gemm does not multiply the executor's scalar by weights of this type: "
      "gemm::ordered takes float, bf16 and f16 on cpu, gemm::onednn_bf16 float and bf16, "
      "gemm::eigen, cblas and onednn float, gemm::chain<S> anything on reference<S>");

  const Executor& executor;
  const Gemm& gemm;
  const softmax_rule& rule;
  view<H, 2> hidden;
  const linear_head<W, S>& head;
  const token_labels& labels;
  token_results<S> out{};
  token_cotangents<S> cot{};
  view<const softmax_state> states{};
  linear_gradients<S> gradients{};
  bool computes_values = false, computes_gradients = false;
  S* scratch = nullptr;  ///< of the products, one for each part

  status run(view<std::byte> memory) {
    check_softmax_rule(rule);
    const std::int64_t width = hidden.extent[1], columns = head.weight.extent[0];
    const std::int64_t per_token = floats_per_token(width, columns);
    check_linear_head(hidden, head, labels);
    if (computes_values)
      check_linear_results(out, hidden.extent[0]);
    else
      check_linear_states(states, hidden.extent[0]);
    if (computes_gradients) check_linear_gradients(hidden, head, cot, gradients);
    const auto space = aligned_floats<S>(memory);
    constexpr std::int64_t parts = Executor::is_parallel ? linear_parts : 1;
    const std::int64_t room = space.extent[0] - parts * scratch_of<Gemm>();
    if (room < per_token)
      refuse(message() << "hence: memory has " << memory.extent[0] << " bytes, expected at least "
                       << 64 + static_cast<std::int64_t>(sizeof(S)) *
                                   (parts * scratch_of<Gemm>() + per_token)
                       << (parts > 1 ? " (linear_logprob_bytes, linear_parts for a pool)"
                                     : " (linear_logprob_bytes)"));
    check_linear_places(hidden, head, labels, states, cot, out, gradients, memory);
    const std::int64_t tile = room / per_token;
    scratch = space.data;
    S* const gathered = scratch + parts * scratch_of<Gemm>();
    S* const returned = gathered + tile * rounded_up(width);
    S* const logits = returned + tile * rounded_up(width);
    status found = status::ok;
    bool is_first = true;
    const bool ignores = rule.negative == negative_labels::ignored;
    for (std::int64_t t = 0; t < hidden.extent[0];) {
      const std::int64_t begin = t;
      std::int64_t live = 0;
      for (; t < hidden.extent[0] && live < tile; ++t) {
        if (ignores && labels[t] < 0) {
          skip(t);
          continue;
        }
        S* to = gathered + live++ * rounded_up(width);
        for (std::int64_t d = 0; d < width; ++d) to[d] = static_cast<S>(hidden(t, d));
      }
      if (live == 0) continue;
      const view<const S, 2> x(gathered, live, width, rounded_up(width));
      const view<S, 2> z(logits, live, columns, rounded_up(columns));
      found |= reduce_tile(x, z, begin, t);
      if (computes_gradients) {
        multiply_back(x, z, begin, t, returned, is_first);
        is_first = false;
      }
    }
    if (computes_gradients && is_first) clear_weights();
    return found;
  }

 private:
  HENCE_FN bool is_live(std::int64_t t) const {
    return !(rule.negative == negative_labels::ignored && labels[t] < 0);
  }
  void skip(std::int64_t t) {
    if (computes_values) {
      row::write_zeros(out, t);
      if (out.states.present()) out.states[t] = softmax_state{};
    }
    if (computes_gradients && gradients.hidden.present() &&
        gradients.of_hidden == update::overwrite)
      for (std::int64_t d = 0; d < hidden.extent[1]; ++d) gradients.hidden(t, d) = S(0);
  }

  /// Cuts [0, n) into parts of at least `least` and calls f(begin, end, scratch) for each. The cut
  /// depends on n alone, and with `gemm::ordered` nothing depends on the cut.
  template <class F> status for_ranges(std::int64_t n, std::int64_t least, F&& f) {
    const std::int64_t wanted = Executor::is_parallel ? n / least : 1;
    const std::int64_t parts = wanted < 1 ? 1 : wanted < linear_parts ? wanted : linear_parts;
    return for_parts_of(executor, parts, [&](std::int64_t p) {
      return f(begin_of_part(n, p, parts), begin_of_part(n, p + 1, parts),
               scratch + p * scratch_of<Gemm>());
    });
  }

  /// The tile's logits, its results, and its gradient in the place of the logits.
  status reduce_tile(const view<const S, 2>& x, const view<S, 2>& z, std::int64_t begin,
                     std::int64_t end) {
    const std::int64_t columns = z.extent[1];
    for_ranges(columns, 256, [&](std::int64_t from, std::int64_t to, S* space) {
      const view<S, 2> part = columns_of(z, from, to - from);
      for (std::int64_t i = 0; head.bias.present() && i < z.extent[0]; ++i)
        for (std::int64_t v = from; v < to; ++v) z(i, v) = head.bias[v];
      gemm(x, transposed(rows_of(view<const W, 2>(head.weight), from, to - from)), part,
           head.bias.present() ? update::accumulate : update::overwrite, space);
      return status::ok;
    });
    return for_ranges(end - begin, 1, [&](std::int64_t from, std::int64_t to, S*) {
      status found = status::ok;
      std::int64_t i = 0;
      for (std::int64_t t = begin; t < begin + to; ++t) {
        if (!is_live(t)) continue;
        S* logit = z.data + i++ * z.stride[0];
        if (t >= begin + from) found |= reduce_row(logit, columns, t);
      }
      return found;
    });
  }
  status reduce_row(S* logit, std::int64_t columns, std::int64_t t) {
    status found = status::ok;
    softmax_state state;
    if (computes_values)
      found |= row::forward(rule, logit, columns, labels[t], nullptr, out, t, &state);
    else
      state = states[t];
    if (computes_gradients)
      found |= row::backward(rule, logit, columns, labels[t], nullptr, state,
                             row::cotangent(cot.logp, t), row::cotangent(cot.entropy, t), logit);
    return found;
  }

  /// d hidden = G weight, d weight += G^T hidden, d bias += column sums of G in token order.
  void multiply_back(const view<const S, 2>& x, const view<const S, 2>& g, std::int64_t begin,
                     std::int64_t end, S* returned, bool is_first) {
    const std::int64_t width = x.extent[1], columns = g.extent[1];
    const view<S, 2> back(returned, x.extent[0], width, x.stride[0]);
    if (gradients.hidden.present()) {
      const bool adds = gradients.of_hidden == update::accumulate;
      const auto each = [&](auto f) {
        std::int64_t i = 0;
        for (std::int64_t t = begin; t < end; ++t) {
          if (!is_live(t)) continue;
          for (std::int64_t d = 0; d < width; ++d) f(back(i, d), gradients.hidden(t, d));
          ++i;
        }
      };
      if (adds) each([](S& tile, S& whole) { tile = whole; });
      for_ranges(width, 32, [&](std::int64_t from, std::int64_t to, S* space) {
        gemm(g, columns_of(view<const W, 2>(head.weight), from, to - from),
             columns_of(back, from, to - from), gradients.of_hidden, space);
        return status::ok;
      });
      each([](S& tile, S& whole) { whole = tile; });
    }
    const bool replaces = is_first && gradients.of_head == update::overwrite;
    for_ranges(columns, 256, [&](std::int64_t from, std::int64_t to, S* space) {
      if (gradients.weight.present())
        gemm(transposed(columns_of(g, from, to - from)), x,
             rows_of(gradients.weight, from, to - from),
             replaces ? update::overwrite : update::accumulate, space);
      for (std::int64_t i = 0; gradients.bias.present() && i < g.extent[0]; ++i)
        for (std::int64_t v = from; v < to; ++v)
          gradients.bias[v] = (replaces && i == 0 ? S(0) : gradients.bias[v]) + g(i, v);
      return status::ok;
    });
  }

  void clear_weights() {
    if (gradients.of_head == update::accumulate) return;
    for (std::int64_t v = 0; v < head.weight.extent[0]; ++v) {
      if (gradients.bias.present()) gradients.bias[v] = S(0);
      for (std::int64_t d = 0; gradients.weight.present() && d < hidden.extent[1]; ++d)
        gradients.weight(v, d) = S(0);
    }
  }
};

}  // namespace hence::inline v0::detail
