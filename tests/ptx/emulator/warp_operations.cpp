// What lanes do together: shfl, vote, match, redux, __syncwarp. PTX ISA 9.7.9.6, 9.7.13.
#include "table.hpp"
#include "warp.hpp"

namespace ptx {
namespace {

using u32 = std::uint32_t;

mask members_of(warp& w, const instruction& i, int lane) { return as<mask>(w[i.members].v[lane]); }

enum shuffle { up, down, bfly, idx };

template <shuffle How> void shfl(warp& w, const instruction& i, mask set) {
  const lanes a = w[i.s[0]];  // a copy: the destination may be the source
  const lanes b = w[i.s[1]], c = w[i.s[2]];
  for_each(set, [&](int lane) {
    const auto limits = as<u32>(c.v[lane]);
    const int by = static_cast<int>(as<u32>(b.v[lane]) & 31), clamp = limits & 31,
              segment = static_cast<int>(limits >> 8 & 31);
    const int largest = (lane & segment) | (clamp & ~segment), least = lane & segment;
    int from = 0;
    bool inside = false;
    if (How == up)
      from = lane - by, inside = from >= largest;
    else if (How == down)
      from = lane + by, inside = from <= largest;
    else if (How == bfly)
      from = lane ^ by, inside = from <= largest;
    else
      from = least | (by & ~segment), inside = from <= largest;
    if (!inside) from = lane;
    if ((members_of(w, i, lane) >> from & 1) == 0)
      w.fail(i, lane, "shuffle: lane " + std::to_string(from) + " takes no part");
    w[i.d[0]].v[lane] = a.v[from];
    if (i.second != sink) w[i.second].v[lane] = inside;
  });
}

mask voted(warp& w, const instruction& i, int lane, const lanes& p) {
  mask yes = 0;
  for_each(members_of(w, i, lane), [&](int l) { yes |= static_cast<mask>(p.v[l] & 1) << l; });
  return yes;
}

template <class F> action vote(F) {
  return [](warp& w, const instruction& i, mask set) {
    const lanes p = w[i.s[0]];
    for_each(set, [&](int lane) {
      w[i.d[0]].v[lane] = F{}(voted(w, i, lane, p), members_of(w, i, lane));
    });
  };
}

template <class T, class F> action redux(F) {
  return [](warp& w, const instruction& i, mask set) {
    const lanes a = w[i.s[0]];
    for_each(set, [&](int lane) {
      bool first = true;
      T out{};
      for_each(members_of(w, i, lane), [&](int l) {
        const T x = as<T>(a.v[l]);
        out = first ? x : F{}(out, x), first = false;
      });
      w[i.d[0]].v[lane] = bits_of(out);
    });
  };
}

template <class T> void match_any(warp& w, const instruction& i, mask set) {
  const lanes a = w[i.s[0]];
  for_each(set, [&](int lane) {
    mask same = 0;
    for_each(members_of(w, i, lane), [&](int l) {
      if (as<T>(a.v[l]) == as<T>(a.v[lane])) same |= bit(l);
    });
    w[i.d[0]].v[lane] = same;
  });
}
template <class T> void match_all(warp& w, const instruction& i, mask set) {
  const lanes a = w[i.s[0]];
  for_each(set, [&](int lane) {
    bool all = true;
    for_each(members_of(w, i, lane),
             [&](int l) { all = all && as<T>(a.v[l]) == as<T>(a.v[lane]); });
    w[i.d[0]].v[lane] = all ? members_of(w, i, lane) : 0;
    if (i.second != sink) w[i.second].v[lane] = all;
  });
}

void sync_warp(warp& w, const instruction& i, mask set) {
  while (set != 0) {
    const mask members = members_of(w, i, std::countr_zero(set));
    w.clock().sync_lanes(members);
    set &= ~members;
  }
}

void add_redux(table& t) {
  using i32 = std::int32_t;
  const auto add = [&](const std::string& name, action run) {
    t.add("redux.sync." + name, {run, flow::meet_warp, 1, true});
  };
  add("add.u32", redux<u32>([](u32 a, u32 b) { return a + b; }));
  add("add.s32", redux<u32>([](u32 a, u32 b) { return a + b; }));
  add("min.u32", redux<u32>([](u32 a, u32 b) { return a < b ? a : b; }));
  add("max.u32", redux<u32>([](u32 a, u32 b) { return a > b ? a : b; }));
  add("min.s32", redux<i32>([](i32 a, i32 b) { return a < b ? a : b; }));
  add("max.s32", redux<i32>([](i32 a, i32 b) { return a > b ? a : b; }));
  add("and.b32", redux<u32>([](u32 a, u32 b) { return a & b; }));
  add("or.b32", redux<u32>([](u32 a, u32 b) { return a | b; }));
  add("xor.b32", redux<u32>([](u32 a, u32 b) { return a ^ b; }));
}

}  // namespace

void add_warp_operations(table& t) {
  const auto add = [&](const std::string& name, action run, int results = 1) {
    t.add(name, {run, flow::meet_warp, results, true});
  };
  add("shfl.sync.up.b32", &shfl<up>), add("shfl.sync.down.b32", &shfl<down>);
  add("shfl.sync.bfly.b32", &shfl<bfly>), add("shfl.sync.idx.b32", &shfl<idx>);
  const auto both = [&](const std::string& kind, const std::string& type, action run) {
    add("vote.sync." + kind + "." + type, run), add("vote." + kind + ".sync." + type, run);
  };
  both("all", "pred", vote([](mask yes, mask all) { return yes == all; }));
  both("any", "pred", vote([](mask yes, mask) { return yes != 0; }));
  both("uni", "pred", vote([](mask yes, mask all) { return yes == 0 || yes == all; }));
  both("ballot", "b32", vote([](mask yes, mask) { return yes; }));
  for (const std::string order : {"match.any.sync", "match.sync.any"})
    add(order + ".b32", &match_any<u32>), add(order + ".b64", &match_any<std::uint64_t>);
  for (const std::string order : {"match.all.sync", "match.sync.all"})
    add(order + ".b32", &match_all<u32>), add(order + ".b64", &match_all<std::uint64_t>);
  add("bar.warp.sync", &sync_warp, 0);
  add("elect.sync", [](warp& w, const instruction& i, mask set) {
    for_each(set, [&](int lane) {
      const int leader = std::countr_zero(members_of(w, i, lane));
      w[i.d[0]].v[lane] = static_cast<std::uint64_t>(leader);
      if (i.second != sink) w[i.second].v[lane] = lane == leader;
    });
  });
  add_redux(t);
  t.add("activemask.b32", [](warp& w, const instruction& i, mask set) {
    for_each(set, [&](int lane) { w[i.d[0]].v[lane] = set; });
  });
}

}  // namespace ptx
