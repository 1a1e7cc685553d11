// Branches, ends, barriers of a block, and what has no effect here. PTX ISA 9.7.12.
#include "barrier.hpp"
#include "table.hpp"

namespace ptx {

void add_control(table& t) {
  t.add("bra", {nullptr, flow::branch, 0}), t.add("bra.uni", {nullptr, flow::branch, 0});
  t.add("brx.idx", {nullptr, flow::table, 0}), t.add("brx.idx.uni", {nullptr, flow::table, 0});
  t.add("ret", {nullptr, flow::leave, 0}), t.add("ret.uni", {nullptr, flow::leave, 0});
  t.add("exit", {nullptr, flow::leave, 0});
  for (const std::string bar : {"bar", "bar.cta", "barrier", "barrier.cta"}) {
    for (const std::string aligned : {"", ".aligned"}) {
      const auto add = [&](const std::string& name, int results, barrier_kind kind) {
        operation o{nullptr, flow::meet_block, results};
        o.variant = kind;
        t.add(bar + name, o);
      };
      add(".sync" + aligned, 0, plain_barrier);
      add(".red.and" + aligned + ".pred", 1, barrier_and);
      add(".red.or" + aligned + ".pred", 1, barrier_or);
      add(".red.popc" + aligned + ".u32", 1, barrier_popc);
    }
  }
  const action nothing = [](warp&, const instruction&, mask) {};
  t.add("nanosleep.u32", {nothing, flow::next, 0});
  // Launches run one after another, so that an earlier one is always done.
  t.add("griddepcontrol.wait", {nothing, flow::next, 0});
  t.add("griddepcontrol.launch_dependents", {nothing, flow::next, 0});
  t.add("trap",
        {[](warp& w, const instruction& i, mask set) { w.fail(i, std::countr_zero(set), "trap"); },
         flow::next, 0});
}

}  // namespace ptx
