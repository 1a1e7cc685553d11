/// \file
/// `sample`: draws a token per row after temperature, top-k, top-p, min-p and typical_p.
///
///     for (std::uint64_t i = 0; i < uniforms.size(); ++i)
///       uniforms[i] = hence::uniform_of(seed, {.token = 7, .step = 3, .sequence = i});
///     hence::sample(cpu{}, {.temperature = 0.6, .top_p = 0.95}, logits, uniforms,
///                   {.token = token, .logp = logp, .kept = kept}, memory);
///
/// Filters apply in this order, each to what the one before kept, renormalised: top_k (Fan et al.,
/// arXiv:1805.04833): the k largest; top_p (Holtzman et al., arXiv:1904.09751): in descending order
/// the shortest prefix with probability >= top_p; min_p (arXiv:2407.01082): p >= min_p max p;
/// typical_p (Meister et al., arXiv:2202.00666): in the order of |-log p - H|, H the entropy, the
/// shortest prefix with probability >= typical_p. Ties go to the lowest index. The token is the
/// first kept one, in index order, whose cumulative probability exceeds the uniform.
///
/// Weights are integers (multiples of 2^-56 of the largest, from float64 exponentials), sums are
/// exact: the kept set is that of the exact distribution wherever the boundary is further than
/// 2^-40 away, the token is always in the kept set, and nothing depends on the executor, the
/// batch or the machine. A token of weight 0 (below 2^-57 of the largest) is never drawn.
#pragma once

#include <hence/logits/linear_arrays.hpp>
#include <hence/logits/sample_draw.hpp>

namespace hence::inline v0 {

namespace detail {

/// Candidates of one row and some more, cache lines of its own.
HENCE_FN constexpr std::int64_t candidates_of_row(std::int64_t vocabulary) {
  return (vocabulary + 32) / 4 * 4;
}

}  // namespace detail

/// Bytes of memory that `sample` needs.
/// \param vocabulary columns of the logits. \param parts rows at a time, where the executor has a
/// pool.
HENCE_FN constexpr std::int64_t sample_bytes(std::int64_t vocabulary, std::int64_t parts = 1) {
  return 64 + static_cast<std::int64_t>(sizeof(detail::candidate)) * parts *
                  detail::candidates_of_row(vocabulary);
}

/// Draws a token per row.
/// \param rule temperature and filters.
/// \param logits `[rows, vocabulary]` of float, bf16 or f16; -infinity is never drawn. NaN,
/// +infinity or no finite logit: token -1, NaN and `status::non_finite`.
/// \param uniforms `[rows]` in [0, 1); see `uniform_of` for numbers that depend on the place alone.
/// Another number: as a NaN in the row, at temperature 0 too. Absent only where temperature 0 draws
/// nothing.
/// \param out what to write; each member may be absent.
/// \param executor `cpu{}`, `cpu{pool}`, `reference<float>{}`.
/// \param memory at least `sample_bytes(vocabulary)` bytes, whatever the number of rows. A pool
/// works on as many rows at a time as there is memory for: `sample_bytes(vocabulary, parts)`.
template <class Executor, class T>
status sample(const Executor& executor, const sample_rule& rule,
              view<T, 2> logits,           // [rows, vocabulary]
              view<const float> uniforms,  // [rows]
              const sample_results& out, view<std::byte> memory) {
  if constexpr (detail::check_logits<Executor, T>()) {
    const std::int64_t rows = logits.extent[0], columns = logits.extent[1];
    detail::check_sample_arrays(rule, logits, uniforms, out);
    detail::check_sample_memory(memory, logits, uniforms, out);
    const auto space = detail::aligned_floats<detail::candidate>(memory);
    const std::int64_t candidates = detail::candidates_of_row(columns);
    if (space.extent[0] < candidates)
      detail::refuse(detail::message()
                     << "hence: memory has " << memory.extent[0] << " bytes, expected "
                     << sample_bytes(columns) << " (sample_bytes)");
    const std::int64_t room = Executor::is_parallel ? space.extent[0] / candidates : 1;
    const std::int64_t parts = room < rows ? room : rows;
    return detail::for_parts_of(executor, parts, [&](std::int64_t part) {
      const detail::sampler<Executor, std::remove_const_t<T>> draws{
          rule, space.data + part * candidates, columns};
      status found = status::ok;
      const std::int64_t end = detail::begin_of_part(rows, part + 1, parts);
      for (std::int64_t i = detail::begin_of_part(rows, part, parts); i < end; ++i)
        found |= draws.draw(logits.data + i * logits.stride[0],
                            uniforms.present() ? static_cast<double>(uniforms[i]) : 0.0, i, out,
                            out.kept.present() ? out.kept.data + i * out.kept.stride[0] : nullptr);
      return found;
    });
  } else {
    return status::ok;
  }
}

}  // namespace hence::inline v0
