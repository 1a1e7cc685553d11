#include "block.hpp"

#include "barrier.hpp"
#include "grid.hpp"

namespace ptx {

void block::begin(launch& of, std::size_t index) {
  of_ = &of, index_ = index, last_ = 0, spun_ = false;
  const std::size_t threads = of.threads.count();
  count_ = (threads + warp_size - 1) / warp_size;
  shared.assign(of.runs->shared_bytes + of.dynamic_shared, std::byte{0xa5});
  shared_memory.reset(shared.size());
  local.assign(of.runs->local_bytes * count_ * warp_size, std::byte{0xa5});
  local_memory.reset(local.size());
  foreign.clear(), fenced.clear(), pending.clear();
  warps_.resize(count_);
  for (std::size_t w = 0; w < count_; ++w)
    warps_[w].begin(*this, *of.runs, w, static_cast<int>(threads - w * warp_size));
}

schedule& block::order() { return of_->order; }

bool block::run(std::uint64_t budget) {
  std::vector<std::size_t> ready;
  std::uint64_t spent = 0;
  while (spent < budget) {
    ready.clear();
    std::size_t done = 0;
    for (std::size_t w = 0; w < count_; ++w) {
      if (warps_[w].is_done())
        ++done;
      else if (!warps_[w].is_at_barrier())
        ready.push_back(w);
    }
    if (done == count_) return true;
    if (ready.empty()) {
      if (!release_barriers()) stuck();
      continue;
    }
    // In order, a warp runs until it waits or has spun for long; at random, for a few instructions.
    const std::uint64_t turn = order().is_random() ? 1 + order().choose(200) : 20000;
    std::size_t chosen = ready[order().choose(ready.size())];
    if (!order().is_random() && spun_) {  // the next one: who spins may wait for it
      const auto after = std::upper_bound(ready.begin(), ready.end(), last_);
      chosen = after == ready.end() ? ready[0] : *after;
    }
    last_ = chosen;
    const std::uint64_t before = warps_[chosen].executed();
    warps_[chosen].run(turn);
    const std::uint64_t ran = warps_[chosen].executed() - before;
    spun_ = ran >= turn;
    spent += ran, of_->executed += ran;
    if (of_->executed > of_->limit)
      throw finding("no end after " + std::to_string(of_->executed) + " warp instructions (" +
                    of_->runs->name + ")");
  }
  return false;
}

/// Opens every barrier that has all its threads; false if there is none.
bool block::release_barriers() {
  bool any = false;
  std::map<std::uint64_t, std::vector<std::size_t>> arrived;
  for (std::size_t w = 0; w < count_; ++w)
    if (warps_[w].is_at_barrier()) arrived[barrier_id(warps_[w])].push_back(w);
  for (const auto& [id, here] : arrived) {
    const std::size_t wanted = barrier_threads(warps_[here[0]], of_->threads.count());
    std::size_t threads = 0;
    for (const std::size_t w : here) {
      threads += static_cast<std::size_t>(std::popcount(warps_[w].present()));
      if (barrier_threads(warps_[w], of_->threads.count()) != wanted)
        warps_[w].fail(warps_[w].barrier(), 0, "barrier: its warps name different counts");
    }
    if (threads < wanted) continue;
    for (const std::size_t w : here)
      if (&warps_[w].barrier() != &warps_[here[0]].barrier())
        warps_[w].fail(warps_[w].barrier(), 0,
                       "divergent barrier: another warp waits at line " +
                           std::to_string(warps_[here[0]].barrier().line));
    release(id, here);
    any = true;
  }
  return any;
}

void block::release(std::uint64_t, const std::vector<std::size_t>& arrived) {
  reduce_at_barrier(*this, arrived);
  times known;
  for (const std::size_t w : arrived) join(known, warps_[w].clock().release(w));
  for (auto& [other, t] : pending) join(foreign[other], t);
  pending.clear();
  for (const std::size_t w : arrived) {
    warps_[w].clock().acquire(known);
    warps_[w].pass_barrier();
  }
}

void block::stuck() {
  for (std::size_t w = 0; w < count_; ++w)
    if (warps_[w].is_at_barrier())
      warps_[w].fail(warps_[w].barrier(), 0,
                     "divergent barrier: not all threads of the block come to it");
  throw finding("stuck");
}

}  // namespace ptx
