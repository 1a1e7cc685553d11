/// \file
/// How `cpu` runs a range of groups: lots flow through their three stages like through a pipeline.
///
///     step     1       2       3       4
///     read     lot 0   lot 1   lot 2   lot 3
///     place            lot 0   lot 1   lot 2
///     write                    lot 0   lot 1
///
/// A step works on the three lots by turns, a group of each at a time, so that the arithmetic of
/// one goes on while memory brings the rewards of another and takes the advantages of the third.
#pragma once

#include <hence/policy/advantage_large.hpp>

namespace hence::inline v0::detail {

/// \tparam N as in `lot`.
template <class Isa, int N> class lot_pipeline {
 public:
  /// Writes groups from the i-th on, up to one that is not for this kind of lot; returns that one.
  template <class Rule>
  [[gnu::noinline]] std::int64_t run(const Rule& rule, const advantage::batch_moments& batch,
                                     const offsets& cu, std::int64_t i, std::int64_t end,
                                     const view<const float>& rewards, row_writer<Isa>& out,
                                     status& found) {
    lot<Isa, N>*reading = lots_, *placing = lots_ + 1, *writing = lots_ + 2;
    double *placed = y_[0], *measured = y_[1];
    lot_passes<Isa> passes;
    pack<double, Isa> reach = 0.0;
    do {
      i = reading->take(cu, i, end, rewards, !reads_batch<Rule>);
      writing->open(out);
      for (int j = 0; j < lot<Isa, N>::groups; ++j) {
        if (j < placing->taken()) placing->place(j, placed, passes);
        if (j < reading->taken()) reading->read(j, passes);
        if (j < writing->taken()) found |= writing->write(rule, batch, j, measured, out);
      }
      if (reading->taken() > 0) reading->make_grids(passes);
      if (placing->taken() > 0) reach = greater(placing->measure(rule, batch, passes), reach);
      lot<Isa, N>* const free = writing;
      writing = placing, placing = reading, reading = free;
      double* const y = measured;
      measured = placed, placed = y;
    } while (placing->taken() > 0 || writing->taken() > 0);
    // a double of 2^128 - 2^103 and more rounds to an infinite float
    if (any(reach >= pack<double, Isa>(0x1.ffffffp127))) found |= status::non_finite;
    return i;
  }

 private:
  lot<Isa, N> lots_[3];
  alignas(64) double y_[2][static_cast<unsigned>(lot<Isa, N>::capacity)];
};

template <class Pool, class Isa> struct group_engine<cpu<Pool, Isa>> {
  template <class Rule>
  static status run(const Rule& rule, const advantage::batch_moments& batch,
                    const offsets& cu_groups, const view<const float>& rewards,
                    const view<float>& out, std::int64_t begin, std::int64_t end) {
    const offsets cu = cu_groups;
    row_writer<Isa> writer(out, cu[begin], cu[end]);
    status found = status::ok;
    std::int64_t i = begin;
    const auto run_lots = [&](auto size) {
      lot_pipeline<Isa, size> lots;
      return lots.run(rule, batch, cu, i, end, rewards, writer, found);
    };
    while (i < end) {
      std::int64_t n = 0, next = i;
      if constexpr (!reads_batch<Rule>) {  // the others spend their time on the prepass
        n = common_size<Isa>(cu, i, end, pack<float, Isa>::lanes, rewards);
        next = n == 8    ? run_lots(size_constant<8>{})
               : n == 16 ? run_lots(size_constant<16>{})
               : n == 32 ? run_lots(size_constant<32>{})
               : n == 64 ? run_lots(size_constant<64>{})
                         : next;
      }
      if (n == 0) next = run_lots(size_constant<0>{});
      if (next == i) {
        found |= large_group<Isa>(rewards, cu[i], cu[i + 1]).run(rule, batch, writer);
        ++next;
      }
      i = next;
    }
    writer.finish();
    return found;
  }

 private:
  template <int N> using size_constant = std::integral_constant<int, N>;
};

}  // namespace hence::inline v0::detail
