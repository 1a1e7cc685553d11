/// \file
/// Shared experts: those that every token has, DeepSeekMoE, arXiv:2401.06066, eq. 9 to 11;
/// DeepSeek-V3, arXiv:2412.19437, eq. 12.
///
///     add_shared       y[t] += w[t] down f(gate x[t], up x[t])       an MLP of its own size
///     append_shared    ids E, E + 1, ... behind the routed ones       in the grouped call itself
///
/// Several shared experts of one size are one MLP of their ff together, as DeepSeek's code has it.
/// They are not scaled by the gate's scale. A gated shared expert (Qwen2-MoE) has its sigmoid in w,
/// with `before_down`. Nothing is drawn at random: SGLang's fused form picks a shared expert's copy
/// by a random number.
#pragma once

#include <hence/moe/expert_rows.hpp>

#include <type_traits>  // type_identity_t

namespace hence::inline v0 {

namespace detail {

/// One expert that has all rows.
template <class S, class X, class W>
HENCE_FN moe::expert_inputs<S, X, W> of_all_rows(const moe::expert_inputs<S, X, W>& in,
                                                 const std::int64_t (&range)[2]) {
  moe::expert_inputs<S, X, W> all = in;
  all.segments.first = view<const std::int64_t>(&range[0], 1);
  all.segments.count = view<const std::int64_t>(&range[1], 1);
  return all;
}

}  // namespace detail

namespace moe {

/// y += the shared expert of every row. \param executor, mlp, kept, workspace as in `expert_rows`.
/// \param in rows `[tokens, width]`, matrices `[1, ff, width]` and `[1, width, ff]`, row weights
/// `[tokens]` with `before_down`; its segments are not looked at. \param y `[tokens, width]`.
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void add_shared(const Executor& executor, const Mlp& mlp,
                const expert_inputs<typename Executor::scalar, X, W>& in, const Kept& kept,
                view<typename Executor::scalar, 2> y, view<std::byte> workspace = {}) {
  const std::int64_t range[2] = {0, in.rows.extent[0]};
  expert_rows(executor, mlp, detail::of_all_rows(in, range), kept, y, workspace,
              update::accumulate);
}

/// The gradients of sum(cotangent y) by what `add_shared` read; to.of_rows says whether that of x
/// is added to the routed experts'.
template <class Executor, class Mlp, class Kept, class X = typename Executor::scalar,
          class W = typename Executor::scalar>
void add_shared_backward(const Executor& executor, const Mlp& mlp,
                         const expert_inputs<typename Executor::scalar, X, W>& in, const Kept& kept,
                         view<const typename Executor::scalar, 2> cotangent,
                         const expert_gradients<typename Executor::scalar>& to,
                         view<std::byte> workspace = {}) {
  const std::int64_t range[2] = {0, in.rows.extent[0]};
  expert_rows_backward(executor, mlp, detail::of_all_rows(in, range), kept, cotangent, to,
                       workspace);
}

/// Slots for shared experts of the routed experts' size, numbered behind them, so that one
/// permutation and one grouped call serve both. Their gradient ends at the constant weight; that of
/// the routed slots is the first k columns.
/// \param ids `[tokens, k]`, \param weights `[tokens, k]`, as `route` wrote them. \param experts
/// routed ones. \param shared how many. \param weight of each, 1 in all models with one.
/// \param all_ids, all_weights `[tokens, k + shared]`, written. \param valid `[tokens]` or absent;
/// an invalid row gets empty slots.
template <class S, class Id, class Isa = native_isa>
void append_shared(view<const Id, 2> ids, view<const S, 2> weights, std::int64_t experts,
                   std::int64_t shared, std::type_identity_t<S> weight, view<Id, 2> all_ids,
                   view<S, 2> all_weights, view<const std::uint8_t> valid = {}) {
  static_assert(detail::check_ids<Id>());
  const std::int64_t tokens = ids.extent[0], k = ids.extent[1];
  if (experts < 1 || shared < 0)
    detail::refuse(detail::message() << "hence: experts is " << experts << " and shared " << shared
                                     << ", expected 1 or more and 0 or more");
  detail::check_row_major("ids", ids, tokens, k);
  detail::check_row_major("weights", weights, tokens, k);
  detail::check_row_major("all_ids", all_ids, tokens, k + shared);
  detail::check_row_major("all_weights", all_weights, tokens, k + shared);
  detail::check_id_type<Id>("all_ids", experts + shared);
  if (valid.given()) detail::check_vector("valid", valid, tokens);
  detail::check_written_apart(
      {{"all_ids", detail::range_of(all_ids)}, {"all_weights", detail::range_of(all_weights)}},
      {{"ids", detail::range_of(ids)},
       {"weights", detail::range_of(weights)},
       {"valid", detail::range_of(valid)}});
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool is_valid = !valid.present() || valid[t] != 0;
    for (std::int64_t j = 0; j < k + shared; ++j) {
      const std::int64_t e = experts + j - k;
      all_ids(t, j) = j < k ? ids(t, j) : static_cast<Id>(is_valid ? e : -1);
      all_weights(t, j) = j < k ? weights(t, j) : (is_valid ? weight : S(0));
    }
  }
}

}  // namespace moe

}  // namespace hence::inline v0
