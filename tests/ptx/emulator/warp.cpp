#include "warp.hpp"

#include "block.hpp"
#include "grid.hpp"

namespace ptx {

void warp::begin(block& in, const kernel& k, std::size_t index, int threads) {
  block_ = &in, index_ = index, last_ = nullptr;
  if (kernel_ != &k) {
    kernel_ = &k;
    registers_.resize(k.registers);
    for (const auto& [at, value] : k.constants)
      for (auto& v : registers_[at].v) v = value;
  }
  present_ = alive_ = threads >= warp_size ? all_lanes : bit(threads) - 1;
  groups_.assign(1, {0, present_, false});
  current_ = 0, at_barrier_ = false, mixed_ = false, executed_ = 0;
  clock_.reset(in.warps_count());
  copies_ = {};
  counted_ = in.of().counted;
  set_specials();
}

void warp::set_specials() {
  const launch& l = block_->of();
  const std::uint64_t x = l.threads.x, y = l.threads.y;
  const auto of_warp = [&](const std::string& name) -> std::uint64_t {
    if (name == "%ntid.x") return x;
    if (name == "%ntid.y") return y;
    if (name == "%ntid.z") return l.threads.z;
    if (name == "%ctaid.x") return block_->index() % l.blocks.x;
    if (name == "%ctaid.y") return block_->index() / l.blocks.x % l.blocks.y;
    if (name == "%ctaid.z") return block_->index() / (l.blocks.x * l.blocks.y);
    if (name == "%nctaid.x") return l.blocks.x;
    if (name == "%nctaid.y") return l.blocks.y;
    if (name == "%nctaid.z") return l.blocks.z;
    if (name == "%warpid") return index_;
    if (name == "%nwarpid") return block_->warps_count();
    return l.dynamic_shared;  // %dynamic_smem_size
  };
  for (const special& s : kernel_->specials) {
    const auto fill = [&](auto&& value) {
      for (int lane = 0; lane < warp_size; ++lane)
        registers_[s.at].v[lane] =
            value(index_ * warp_size + static_cast<std::uint64_t>(lane), lane);
    };
    if (s.name == "%tid.x")
      fill([&](std::uint64_t thread, int) { return thread % x; });
    else if (s.name == "%tid.y")
      fill([&](std::uint64_t thread, int) { return thread / x % y; });
    else if (s.name == "%tid.z")
      fill([&](std::uint64_t thread, int) { return thread / (x * y); });
    else if (s.name == "%laneid")
      fill([](std::uint64_t, int lane) { return static_cast<std::uint64_t>(lane); });
    else if (s.name == "%lanemask_eq")
      fill([](std::uint64_t, int lane) { return bit(lane); });
    else if (s.name == "%lanemask_lt")
      fill([](std::uint64_t, int lane) { return bit(lane) - 1; });
    else if (s.name == "%lanemask_le")
      fill([](std::uint64_t, int lane) { return bit(lane) | (bit(lane) - 1); });
    else if (s.name == "%lanemask_gt")
      fill([](std::uint64_t, int lane) { return all_lanes & ~(bit(lane) | (bit(lane) - 1)); });
    else if (s.name == "%lanemask_ge")
      fill([](std::uint64_t, int lane) { return all_lanes & ~(bit(lane) - 1); });
    else
      fill([same = of_warp(s.name)](std::uint64_t, int) { return same; });
  }
}

void warp::fail(const instruction& i, int lane, const std::string& what) const {
  const auto at = static_cast<std::size_t>(&i - kernel_->code.data());
  throw finding(what + " (line " + std::to_string(i.line) + ": " + kernel_->opcodes[at] +
                ", block " + std::to_string(block_->index()) + ", thread " +
                std::to_string(index_ * warp_size + static_cast<std::size_t>(lane)) + ", " +
                kernel_->name + ")");
}

mask warp::guarded(const instruction& i, mask set) {
  if (!i.guarded) return set;
  const lanes& p = registers_[i.guard];
  mask on = 0;
  for (int lane = 0; lane < warp_size; ++lane) on |= static_cast<mask>(p.v[lane] & 1) << lane;
  return set & (i.guard_negated ? ~on : on);
}

warp::state warp::run(std::uint64_t budget) {
  const std::uint64_t end = executed_ + budget;
  while (executed_ < end) {
    if (alive_ == 0) return state::done;
    if (at_barrier_) return state::at_barrier;
    if (groups_.size() > 1 || groups_[0].waits) {
      if (!choose()) stuck();
    } else {
      current_ = 0;
    }
    group& g = groups_[current_];
    // While nothing splits or joins, one group goes on; it stops where another one stands.
    const bool alone = groups_.size() == 1;
    std::uint32_t others = ~0u;
    if (!alone)
      for (std::size_t k = 0; k < groups_.size(); ++k)
        if (k != current_ && groups_[k].at > g.at) others = std::min(others, groups_[k].at);
    const std::uint64_t turn = alone || !block_->order().is_random()
                                   ? end
                                   : std::min(end, executed_ + 1 + block_->order().choose(32));
    mixed_ = false;
    while (!mixed_ && executed_ < turn) {
      ++executed_;
      step(g);
      if (!mixed_ && !alone && g.at >= others) break;
    }
  }
  return alive_ == 0 ? state::done : at_barrier_ ? state::at_barrier : state::ready;
}

/// Joins groups at one instruction and picks the next to go; false if all wait.
bool warp::choose() {
  for (std::size_t a = 0; a < groups_.size(); ++a)
    for (std::size_t b = a + 1; b < groups_.size();)
      if (groups_[a].at == groups_[b].at) {
        groups_[a].set |= groups_[b].set;
        groups_[a].waits = false;
        groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(b));
      } else {
        ++b;
      }
  if (block_->order().is_random()) {
    std::vector<std::size_t> ready;
    for (std::size_t k = 0; k < groups_.size(); ++k)
      if (!groups_[k].waits) ready.push_back(k);
    if (ready.empty()) return false;
    current_ = ready[block_->order().choose(ready.size())];
    return true;
  }
  current_ = groups_.size();
  for (std::size_t k = 0; k < groups_.size(); ++k)
    if (!groups_[k].waits && (current_ == groups_.size() || groups_[k].at < groups_[current_].at))
      current_ = k;
  return current_ < groups_.size();
}

void warp::stuck() const {
  std::string text = "these lanes wait for each other forever:";
  const instruction* first = nullptr;
  for (const group& g : groups_) {
    const instruction& i = kernel_->code[g.at];
    if (first == nullptr) first = &i;
    text += " " + hex(g.set) + " at line " + std::to_string(i.line) + " (" +
            kernel_->opcodes[g.at] + ")";
  }
  if (first->moves == flow::meet_warp) text = "bad member mask: " + text;
  if (first->moves == flow::meet_block) text = "divergent barrier: " + text;
  fail(*first, std::countr_zero(groups_[0].set), text);
}

void warp::step(group& g) {
  const instruction& i = kernel_->code[g.at];
  if (counted_ != nullptr) ++counted_->visits[g.at];
  const mask set = guarded(i, g.set);
  switch (i.moves) {
    case flow::next:
      if (set != 0) i.run(*this, i, set);
      ++g.at;
      return;
    case flow::branch:
      return branch(g, i, set, i.target);
    case flow::table:
      return jump(g, i, set);
    case flow::leave:
      return leave(g, set);
    case flow::meet_warp:
      return meet_warp(g, i, set);
    case flow::meet_block:
      return meet_block(g, i, set);
  }
}

/// Moves some lanes of a group into one of their own. `g` may dangle afterwards.
void warp::split(group& g, mask off, std::uint32_t to) {
  g.set &= ~off;
  mixed_ = true;
  groups_.push_back({to, off, false});
}

void warp::branch(group& g, const instruction&, mask taken, std::uint32_t target) {
  if (taken == g.set) {
    g.at = target;
    if (groups_.size() > 1) mixed_ = true;
  } else {
    ++g.at;
    if (taken != 0) split(g, taken, target);
  }
}

void warp::jump(group& g, const instruction& i, mask set) {
  const std::uint32_t next = g.at + 1;
  mask rest = g.set;
  std::vector<group> parted;
  for (; set != 0; rest &= ~parted.back().set, set &= rest) {
    const int lane = std::countr_zero(set);
    const std::uint64_t choice = as<std::uint32_t>(registers_[i.s[0]].v[lane]);
    if (choice >= i.targets.size()) fail(i, lane, "a branch beyond its table");
    mask same = 0;
    for_each(set, [&](int l) {
      if (as<std::uint32_t>(registers_[i.s[0]].v[l]) == choice) same |= bit(l);
    });
    parted.push_back({i.targets[choice], same, false});
  }
  if (rest != 0) parted.push_back({next, rest, false});
  g = parted[0];
  mixed_ = true;
  groups_.insert(groups_.end(), parted.begin() + 1, parted.end());
}

void warp::leave(group& g, mask set) {
  alive_ &= ~set;
  g.set &= ~set;
  ++g.at;
  mixed_ = true;
  if (g.set == 0) groups_.erase(groups_.begin() + (&g - groups_.data()));
  if (alive_ == 0 && counted_ != nullptr)
    reads_.end(counted_->reads), writes_.end(counted_->writes);
}

/// shfl, vote, match, redux, __syncwarp: every lane of the member mask has to be here.
void warp::meet_warp(group& g, const instruction& i, mask set) {
  if (set != g.set) {  // the others pass by
    const mask by = g.set & ~set;
    const std::uint32_t next = g.at + 1;
    if (set == 0) {
      ++g.at;
      return;
    }
    return split(g, by, next);
  }
  // Most often all who are here name just them all.
  bool agree = true;
  for_each(set, [&](int lane) { agree &= as<mask>(registers_[i.members].v[lane]) == set; });
  if (agree) {
    i.run(*this, i, set);
    ++g.at;
    return;
  }
  mask ready = 0;
  for_each(set, [&](int lane) {
    const mask members = as<mask>(registers_[i.members].v[lane]);
    if ((members & bit(lane)) == 0)
      fail(i, lane, "bad member mask " + hex(members) + ": the lane that names it is not in it");
    if ((members & ~alive_) != 0)
      fail(i, lane,
           "bad member mask " + hex(members) + ": lanes " + hex(members & ~alive_) +
               " have left or never were");
    if ((members & ~set) == 0) ready |= bit(lane);
  });
  // Lanes of one mask must agree on it.
  for_each(ready, [&](int lane) {
    const mask members = as<mask>(registers_[i.members].v[lane]);
    for_each(members, [&](int other) {
      if (as<mask>(registers_[i.members].v[other]) != members)
        fail(i, lane,
             "bad member mask " + hex(members) + ": lane " + std::to_string(other) +
                 " names another");
    });
  });
  if (ready == 0) {
    g.waits = true, mixed_ = true;
    return;
  }
  i.run(*this, i, ready);
  const std::uint32_t next = g.at + 1;
  if (ready == set) {
    g.at = next;
    return;
  }
  g.waits = true;
  split(g, ready, next);
}

void warp::meet_block(group& g, const instruction& i, mask set) {
  if (set == 0) {
    ++g.at;
    return;
  }
  if (set != g.set) {
    const mask by = g.set & ~set;
    return split(g, by, g.at + 1);
  }
  if (alive_ != present_)
    fail(i, std::countr_zero(set),
         "divergent barrier: lanes " + hex(present_ & ~alive_) + " have left before it");
  mixed_ = true;
  if (set != alive_) {
    g.waits = true;
    return;
  }
  at_barrier_ = true, barrier_at_ = g.at;
}

void warp::pass_barrier() {
  at_barrier_ = false;
  groups_[0].at = barrier_at_ + 1;
}

void warp::count(const instruction& i, const request& r, bool is_shared, bool writes) {
  if (is_shared)
    r.count_wavefronts(counted_->shared);
  else if (writes)
    writes_.add(&i, r, counted_->writes);
  else
    reads_.add(&i, r, counted_->reads);
}

place warp::look_for(const instruction& i, space where, int lane, std::uint64_t address,
                     std::size_t size, bool writes) {
  const auto within = [&](std::vector<std::byte>& data, shadow& memory, std::uint64_t at,
                          const char* name) -> place {
    if (at > data.size() || data.size() - at < size)
      fail(i, lane,
           "out of bounds: " + std::to_string(size) + " bytes at " + hex(at) + " of " +
               std::to_string(data.size()) + " bytes of " + name + " memory");
    return {data.data() + at, &memory, at};
  };
  if (address % size != 0)
    fail(i, lane, "misaligned: " + std::to_string(size) + " bytes at " + hex(address));
  if (where == space::generic) {
    if (address - shared_window < window_size)
      where = space::shared, address -= shared_window;
    else if (address - local_window < window_size)
      where = space::local, address -= local_window;
    else if (address - param_window < window_size)
      where = space::param, address -= param_window;
    else
      where = space::global;
  }
  if (where == space::shared)
    return within(block_->shared, block_->shared_memory, address, "shared");
  if (where == space::local) {
    const std::size_t thread = index_ * warp_size + static_cast<std::size_t>(lane);
    if (address > kernel_->local_bytes || kernel_->local_bytes - address < size)
      fail(i, lane, "out of bounds: local memory at " + hex(address));
    return within(block_->local, block_->local_memory, thread * kernel_->local_bytes + address,
                  "local");
  }
  if (where == space::param) {
    if (writes) fail(i, lane, "a write to a parameter");
    return within(block_->of().parameters, block_->of().parameter_memory, address, "parameter");
  }
  if (last_ == nullptr || address - last_->begin >= last_->size)
    last_ = block_->of().memory->find(address);
  if (last_ == nullptr || last_->size - (address - last_->begin) < size) {
    const bool over_end = last_ != nullptr;
    last_ = nullptr;
    fail(i, lane,
         std::string("out of bounds: ") + (writes ? "a write of " : "a read of ") +
             std::to_string(size) + " bytes at " + block_->of().memory->describe(address) +
             (over_end ? ", over its end" : ""));
  }
  if (writes && last_->read_only) fail(i, lane, "a write to constant memory " + last_->name);
  const std::size_t at = address - last_->begin;
  return {last_->data.data() + at, &last_->memory, at};
}

}  // namespace ptx
