/// \file
/// Mixing data sources: R1's SFT set is "about 600k reasoning related training samples" and "about
/// 200k" others (arXiv:2501.12948, 2.3.3). The order spreads each source evenly, so that any
/// stretch of it holds the sources in their shares.
#pragma once

#include <hence/core/view.hpp>

namespace hence::inline v0::evaluate {

namespace detail {

template <class Isa>
void spread(view<const std::int64_t> sizes, std::int64_t total, view<std::int64_t> taken,
            view<std::int64_t> source) {
  __extension__ typedef __int128 wide;
  for (std::int64_t s = 0; s < sizes.extent[0]; ++s) taken[s] = 0;
  for (std::int64_t i = 0; i < total; ++i) {
    std::int64_t next = 0;
    wide most = 0;
    for (std::int64_t s = 0; s < sizes.extent[0]; ++s) {
      // How far the source lags behind its share of the first i + 1. All lags sum to the total, and
      // a source that has given everything has none: one with something left lags by more than 0.
      const wide lag = static_cast<wide>(sizes[s]) * (i + 1) - static_cast<wide>(taken[s]) * total;
      if (lag > most) next = s, most = lag;
    }
    source[i] = next;
    ++taken[next];
  }
}

}  // namespace detail

/// source[i] = where the i-th sample comes from; each source's own samples go in their order. Among
/// sources that lag as far the first goes first. O(samples x sources).
/// \param sizes samples of each source, 0 or more // [sources]
/// \param taken overwritten with the sizes // [sources]
/// \param source // [sum of sizes]
template <class Isa = native_isa>
[[gnu::always_inline]] inline void mix(view<const std::int64_t> sizes, view<std::int64_t> taken,
                                       view<std::int64_t> source) {
  using hence::detail::message;
  std::int64_t total = 0;
  for (std::int64_t s = 0; s < sizes.extent[0]; ++s) {
    if (sizes[s] < 0 || sizes[s] > (std::int64_t{1} << 62) - total)
      hence::detail::refuse(message{} << "hence: sizes[" << s << "] is " << sizes[s]
                                      << ", expected 0 or more and a sum below 2^62");
    total += sizes[s];
  }
  if (taken.extent[0] != sizes.extent[0])
    hence::detail::refuse(message{} << "hence: taken has " << taken.extent[0]
                                    << " entries, sizes has " << sizes.extent[0]);
  if (source.extent[0] != total)
    hence::detail::refuse(message{} << "hence: source has " << source.extent[0]
                                    << " entries, sizes sum to " << total);
  detail::spread<Isa>(sizes, total, taken, source);
}

}  // namespace hence::inline v0::evaluate
