#include "decode.hpp"

#include "ordering.hpp"
#include "table.hpp"

#include <algorithm>
#include <set>

namespace ptx {
namespace {

const std::set<std::string, std::less<>> special_registers{
    "%tid.x",       "%tid.y",       "%tid.z",
    "%ntid.x",      "%ntid.y",      "%ntid.z",
    "%ctaid.x",     "%ctaid.y",     "%ctaid.z",
    "%nctaid.x",    "%nctaid.y",    "%nctaid.z",
    "%laneid",      "%warpid",      "%nwarpid",
    "%lanemask_eq", "%lanemask_lt", "%lanemask_le",
    "%lanemask_gt", "%lanemask_ge", "%dynamic_smem_size"};

class decoder {
 public:
  decoder(const function& entry, const module& from, const symbols& globals)
      : entry_(entry), symbols_(globals) {
    declared_.insert(entry.registers.begin(), entry.registers.end());
    out_.name = entry.name;
    out_.max_threads = entry.max_threads;
    out_.parameters = entry.parameters;
    lay_out(from);
    for (const auto& [label, at] : entry.labels) labels_[label] = static_cast<std::uint32_t>(at);
  }

  kernel read() {
    for (const statement& s : entry_.body) {
      out_.code.push_back(instruction_of(s));
      out_.opcodes.push_back(s.opcode);
    }
    statement end;
    end.opcode = "ret";
    out_.code.push_back(instruction_of(end));
    out_.opcodes.push_back(end.opcode);
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const statement& s, const std::string& what) const {
    throw refusal("the emulator lacks " + what + " (" + entry_.name + ", line " +
                  std::to_string(s.line) + ": " + s.opcode + ")");
  }

  static std::size_t aligned(std::size_t at, std::size_t to) { return (at + to - 1) / to * to; }

  /// Offsets of parameters and of arrays in shared and local memory; dynamic shared memory is last.
  void lay_out(const module& from) {
    for (const variable& v : entry_.parameters) {
      const std::size_t at = aligned(out_.parameter_bytes, v.alignment);
      out_.parameter_offsets.push_back(at);
      symbols_[v.name] = at;
      out_.parameter_bytes = at + v.size;
    }
    std::vector<const variable*> arrays;
    for (const variable& v : from.variables)
      if (v.space == "shared" && is_used(v.name)) arrays.push_back(&v);
    for (const variable& v : entry_.variables) arrays.push_back(&v);
    for (const variable* v : arrays) {
      if (v->is_extern || v->space == "param") continue;
      std::size_t& bytes = v->space == "shared" ? out_.shared_bytes : out_.local_bytes;
      bytes = aligned(bytes, v->alignment);
      symbols_[v->name] = bytes;
      bytes += v->size;
    }
    for (const variable* v : arrays)
      if (v->is_extern) {
        out_.shared_bytes = aligned(out_.shared_bytes, std::max<std::size_t>(v->alignment, 16));
        symbols_[v->name] = out_.shared_bytes;
      }
  }

  bool is_used(const std::string& name) const {
    const auto names_it = [&](const operand& o, const auto& self) -> bool {
      return o.name == name || std::any_of(o.parts.begin(), o.parts.end(),
                                           [&](const operand& p) { return self(p, self); });
    };
    for (const statement& s : entry_.body)
      for (const operand& o : s.operands)
        if (names_it(o, names_it)) return true;
    return false;
  }

  std::uint32_t new_register() { return out_.registers++; }

  std::uint32_t constant(std::uint64_t value) {
    const auto [found, is_new] = constants_.try_emplace(value, 0);
    if (is_new) {
      found->second = new_register();
      out_.constants.emplace_back(found->second, value);
    }
    return found->second;
  }

  bool is_register(const std::string& name) const {
    if (declared_.contains(name)) return true;
    const std::size_t digits = name.find_last_not_of("0123456789") + 1;
    return digits < name.size() && declared_.contains(name.substr(0, digits));
  }

  bool is_predicate(const std::string& name) const {
    const std::string stem = name.substr(0, name.find_last_not_of("0123456789") + 1);
    const auto& all = entry_.predicates;
    return std::any_of(all.begin(), all.end(),
                       [&](const std::string& p) { return p == name || p == stem; });
  }

  /// The register of a name: its own, a special one's, or one that holds a symbol's address.
  std::uint32_t named(const statement& s, const operand& o) {
    if (o.negated) refuse(s, "the negated operand !" + o.name);
    if (o.name == "_") return sink;
    if (o.name == "WARP_SZ") return constant(warp_size);
    if (is_register(o.name)) {
      const auto [found, is_new] = registers_.try_emplace(o.name, 0);
      if (is_new) found->second = new_register();
      return found->second;
    }
    if (special_registers.contains(o.name)) {
      const auto [found, is_new] = registers_.try_emplace(o.name, 0);
      if (is_new) {
        found->second = new_register();
        out_.specials.push_back({o.name, found->second});
      }
      return found->second;
    }
    const auto symbol = symbols_.find(o.name);
    if (symbol == symbols_.end()) refuse(s, "the name " + o.name);
    return constant(symbol->second + o.bits);
  }

  std::uint32_t source(const statement& s, const operand& o) {
    return o.is == operand::kind::number ? constant(o.bits) : named(s, o);
  }

  void add(const statement& s, std::array<std::uint32_t, max_operands>& to, std::uint32_t& n,
           std::uint32_t reg) const {
    if (n == max_operands) refuse(s, "so many operands");
    to[n++] = reg;
  }

  void result(const statement& s, const operand& o, instruction& i) {
    if (o.is == operand::kind::vector) {
      for (const operand& part : o.parts) add(s, i.d, i.results, named(s, part));
    } else if (o.is == operand::kind::pair) {
      add(s, i.d, i.results, named(s, o.parts[0]));
      i.second = named(s, o.parts[1]);
    } else {
      add(s, i.d, i.results, named(s, o));
    }
  }

  void argument(const statement& s, const operand& o, instruction& i) {
    if (o.is == operand::kind::vector) {
      for (const operand& part : o.parts) add(s, i.s, i.sources, source(s, part));
    } else if (o.is == operand::kind::address) {
      operand base;
      base.name = o.name;
      (i.addresses++ == 0 ? i.offset : i.second_offset) = o.bits;
      add(s, i.s, i.sources, o.name.empty() ? constant(0) : named(s, base));
    } else {
      add(s, i.s, i.sources, source(s, o));
    }
  }

  std::uint32_t label(const statement& s, const std::string& name) const {
    const auto found = labels_.find(name);
    if (found == labels_.end()) refuse(s, "the label " + name);
    return found->second;
  }

  instruction instruction_of(const statement& s) {
    const normal n = normalised(s.opcode);
    const operation* o = opcodes().find(n.opcode);
    if (o == nullptr) refuse(s, "the instruction " + s.opcode);
    instruction i;
    i.run = o->run, i.moves = o->moves, i.variant = o->variant, i.where = o->where;
    i.line = s.line, i.ordering = n.ordering;
    if (!s.guard.empty()) {
      operand guard;
      guard.name = s.guard;
      i.guarded = true, i.guard_negated = s.guard_negated, i.guard = named(s, guard);
    }
    if (o->moves == flow::branch) {
      i.target = label(s, s.operands.at(0).name);
      return i;
    }
    if (o->moves == flow::table) {
      argument(s, s.operands.at(0), i);
      for (const auto& [name, targets] : entry_.branch_targets)
        if (name == s.operands.at(1).name)
          for (const std::string& t : targets) i.targets.push_back(label(s, t));
      return i;
    }
    const std::size_t count = s.operands.size();
    // of cp.async the fourth operand may be a count or ignore-src
    if (s.opcode.starts_with("cp.async.c") && count > 3 && is_predicate(s.operands[3].name))
      refuse(s, "the operand ignore-src");
    for (std::size_t k = 0; k < count; ++k) {
      if (k < static_cast<std::size_t>(o->results))
        result(s, s.operands[k], i);
      else if (o->members && k + 1 == count)
        i.members = source(s, s.operands[k]);
      else
        argument(s, s.operands[k], i);
    }
    if (o->is_aligned) i.members = constant(all_lanes);
    return i;
  }

  const function& entry_;
  symbols symbols_;
  kernel out_;
  std::set<std::string, std::less<>> declared_;
  std::map<std::string, std::uint32_t> registers_;
  std::map<std::uint64_t, std::uint32_t> constants_;
  std::map<std::string, std::uint32_t> labels_;
};

}  // namespace

kernel decode(const function& entry, const module& from, const symbols& globals) {
  return decoder(entry, from, globals).read();
}

}  // namespace ptx
