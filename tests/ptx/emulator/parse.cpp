#include "parse.hpp"

#include "tokens.hpp"

#include <map>

namespace ptx {
namespace {

std::size_t size_of(std::string_view type, int line) {
  static const std::map<std::string_view, std::size_t> sizes{
      {".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2},  {".u16", 2}, {".s16", 2},
      {".f16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4},  {".f32", 4}, {".b64", 8},
      {".u64", 8}, {".s64", 8}, {".f64", 8}, {".b128", 16}};
  const auto found = sizes.find(type);
  if (found == sizes.end())
    throw refusal("line " + std::to_string(line) + ": unknown type " + std::string(type));
  return found->second;
}

class parser {
 public:
  explicit parser(std::string_view text) : tokens_(tokens_of(text)) {}

  module read() {
    while (peek().is != token::kind::end) directive();
    return std::move(module_);
  }

 private:
  const token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  token take() { return tokens_[std::min(at_++, tokens_.size() - 1)]; }
  bool take_if(std::string_view what) {
    if (!(peek() == what)) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw refusal("line " + std::to_string(peek().line) + ": " + what + " at `" +
                  std::string(peek().text) + "`");
  }
  void expect(std::string_view what) {
    if (!take_if(what)) refuse("expected `" + std::string(what) + "`");
  }
  void skip_line() {
    const int line = peek().line;
    while (peek().line == line && peek().is != token::kind::end) ++at_;
  }

  void directive() {
    bool is_extern = false;
    for (;;) {
      if (take_if(".extern"))
        is_extern = true;
      else if (!take_if(".visible") && !take_if(".weak") && !take_if(".common"))
        break;
    }
    const token t = peek();
    if (t == ".version" || t == ".address_size" || t == ".file" || t == ".loc") {
      skip_line();
    } else if (take_if(".target")) {
      module_.target = std::string(take().text);
      while (take_if(",")) take();
    } else if (t == ".section") {
      while (!(peek() == "{") && peek().is != token::kind::end) ++at_;
      skip_block();
    } else if (take_if(".entry")) {
      entry();
    } else if (take_if(".func")) {
      // Not executed: a call is refused by name when an entry that holds one is launched.
      while (!(peek() == ";") && !(peek() == "{") && peek().is != token::kind::end) ++at_;
      if (!take_if(";")) skip_block();
    } else if (t == ".global" || t == ".const" || t == ".shared") {
      variable_line(module_.variables, is_extern);
    } else {
      refuse("unknown directive");
    }
  }

  void skip_block() {
    expect("{");
    for (int depth = 1; depth > 0;) {
      if (peek().is == token::kind::end) refuse("a block without end");
      const token t = take();
      depth += t == "{" ? 1 : t == "}" ? -1 : 0;
    }
  }

  /// `.space [.align n] [.attribute(..)] .type name [n][m] [= ...]`, without what ends it.
  variable declaration() {
    variable v;
    v.space = std::string(take().text.substr(1));
    std::size_t element = 0;
    while (peek().is == token::kind::word && peek().text[0] == '.') {
      if (take_if(".align"))
        v.alignment = take().bits;
      else if (take_if(".ptr"))
        ;  // a hint about what a parameter points to
      else if (peek() == ".global" || peek() == ".shared" || peek() == ".const")
        ++at_;
      else
        element = size_of(peek().text, peek().line), ++at_;
    }
    if (v.alignment < element) v.alignment = element;
    v.name = std::string(take().text);
    v.size = element;
    while (take_if("[")) {
      v.size *= peek() == "]" ? 0 : take().bits;
      expect("]");
    }
    if (take_if("=")) initial(v, element);
    return v;
  }

  void initial(variable& v, std::size_t element) {
    const auto one = [&] {
      const bool negative = take_if("-");
      if (peek().is != token::kind::number) refuse("an initial value that is not a number");
      const std::uint64_t bits = negative ? 0 - take().bits : take().bits;
      for (std::size_t k = 0; k < element; ++k)
        v.initial.push_back(static_cast<std::uint8_t>(bits >> (8 * k)));
    };
    if (take_if("{")) {
      while (!take_if("}")) one(), take_if(",");
    } else {
      one();
    }
    v.initial.resize(v.size);
  }

  void variable_line(std::vector<variable>& into, bool is_extern) {
    into.push_back(declaration());
    into.back().is_extern = is_extern;
    expect(";");
  }

  void entry() {
    function f;
    f.name = std::string(take().text);
    if (take_if("(")) {
      while (!take_if(")")) {
        f.parameters.push_back(declaration());
        take_if(",");
      }
    }
    while (!(peek() == "{")) {
      const token t = take();
      if (t == ".maxntid" || t == ".reqntid") {
        int product = static_cast<int>(take().bits);
        while (take_if(",")) product *= static_cast<int>(take().bits);
        f.max_threads = product;
      } else if (t == ".minnctapersm" || t == ".maxnreg" || t == ".maxnctapersm") {
        take();
      } else if (!(t == ".noreturn")) {
        throw refusal("line " + std::to_string(t.line) + ": unknown directive " +
                      std::string(t.text) + " of " + f.name);
      }
    }
    scopes_.assign(1, {});
    block(f);
    module_.entries.push_back(std::move(f));
  }

  void block(function& f) {
    expect("{");
    while (!take_if("}")) {
      const token t = peek();
      if (t.is == token::kind::end) refuse("a body without end");
      if (t == "{") {  // the names declared in it are its own
        scopes_.emplace_back();
        block(f);
        scopes_.pop_back();
      } else if (t == ".reg") {
        ++at_, registers(f);
      } else if (t == ".local" || t == ".shared" || t == ".param") {
        variable_line(f.variables, false);
      } else if (t == ".pragma") {
        ++at_, take(), expect(";");
      } else if (t == ".loc" || t == ".file") {
        skip_line();
      } else if (peek(1) == ":" && peek(2) == ".branchtargets") {
        branch_targets(f);
      } else if (peek(1) == ":") {
        f.labels.emplace_back(std::string(take().text), f.body.size());
        expect(":");
      } else {
        f.body.push_back(instruction());
      }
    }
  }

  void branch_targets(function& f) {
    const std::string name(take().text);
    at_ += 2;
    std::vector<std::string> targets;
    do targets.emplace_back(take().text);
    while (take_if(","));
    expect(";");
    f.branch_targets.emplace_back(name, targets);
  }

  /// `.reg .b32 %r<9>;` or `.reg .pred p, q;`. A name of an inner block gets a name of its own.
  void registers(function& f) {
    const bool is_predicate = take() == ".pred";
    do {
      const std::string name(take().text);
      if (take_if("<")) take(), expect(">");
      std::string own = name;
      if (scopes_.size() > 1)
        own = scopes_.back()[name] = name + "#" + std::to_string(inner_names_++);
      f.registers.push_back(own);
      if (is_predicate) f.predicates.push_back(own);
    } while (take_if(","));
    expect(";");
  }

  std::string resolved(std::string_view name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope)
      if (const auto found = scope->find(name); found != scope->end()) return found->second;
    return std::string(name);
  }

  statement instruction() {
    statement s;
    s.line = peek().line;
    if (take_if("@")) {
      s.guard_negated = take_if("!");
      s.guard = resolved(take().text);
    }
    s.opcode = std::string(take().text);
    while (!take_if(";")) {
      if (peek().is == token::kind::end) refuse("an instruction without end");
      if (s.opcode.starts_with("call")) {  // refused by name if its entry is ever launched
        ++at_;
        continue;
      }
      s.operands.push_back(operand_of());
      take_if(",");
    }
    return s;
  }

  operand operand_of() {
    operand o = single_operand();
    if (!take_if("|")) return o;
    operand pair;
    pair.is = operand::kind::pair;
    pair.parts = {o, single_operand()};
    return pair;
  }

  operand single_operand() {
    operand o;
    const bool negative = take_if("-");
    if (peek().is == token::kind::number) {
      o.is = operand::kind::number;
      o.bits = negative ? 0 - take().bits : take().bits;
    } else if (take_if("[")) {
      o.is = operand::kind::address;
      if (peek().is == token::kind::word) o.name = resolved(take().text);
      while (!take_if("]")) {
        const bool minus = peek() == "-";
        if (minus || peek() == "+") ++at_;
        const bool second = take_if("-");
        if (peek().is != token::kind::number) refuse("an address that is not [name+number]");
        o.bits += minus != second ? 0 - take().bits : take().bits;
      }
    } else if (take_if("{")) {
      o.is = operand::kind::vector;
      while (!take_if("}")) o.parts.push_back(single_operand()), take_if(",");
    } else {
      o.negated = take_if("!");
      if (peek().is != token::kind::word) refuse("not an operand");
      o.name = resolved(take().text);
      if (take_if("+")) o.bits = take().bits;  // name+number
    }
    return o;
  }

  std::vector<token> tokens_;
  std::size_t at_ = 0;
  module module_;
  std::vector<std::map<std::string, std::string, std::less<>>> scopes_;
  int inner_names_ = 0;
};

}  // namespace

module parse(std::string_view text) { return parser(text).read(); }

}  // namespace ptx
