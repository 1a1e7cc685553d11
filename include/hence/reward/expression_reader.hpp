/// \file
/// The grammar of exact expressions, by recursive descent with a depth of at most 32 and a length
/// of at most 256 bytes, so that any input takes a bounded time. Literals are in expression.hpp.
/// Two grammars: plain arithmetic (+ - * / and parentheses over integers, countdown's) and that of
/// answers (LaTeX, powers, roots, decimals, mixed numbers, products without a sign).
#pragma once

#include <hence/reward/exact_sum.hpp>
#include <hence/reward/tokens.hpp>

namespace hence::inline v0::reward {

/// What an expression may hold.
enum class grammar : std::uint8_t { arithmetic, answer };

namespace detail {

inline constexpr std::size_t longest_expression = 256;
inline constexpr int deepest_expression = 32;
inline constexpr int most_literals = 64;

/// Reads one expression from the front of a text. `a b c` is (a b) c for equal precedence, a
/// product without a sign has the precedence of one with it: `1/2\pi` is (1/2) pi. -x^2 is -(x^2).
/// `Value` is `exact`, or `exact_sum` where several terms may stay.
template <class Isa, class Value = exact> class expression_reader {
 public:
  /// \param literals [most_literals], where the integers that are read go in order, or null.
  constexpr expression_reader(text s, grammar g, wide* literals = nullptr)
      : s_(slice(s, 0, longest_expression + 1)),
        answer_(g == grammar::answer),
        literal_(literals) {}

  /// The value of the longest expression at the front; `end()` is where it ends.
  constexpr Value read() {
    if (s_.size() > longest_expression) return fail(exact_fault::depth);
    Value x = sum();
    // the first fault inside decides, whatever arithmetic made of it
    return fault_ == exact_fault::none ? x : fail(fault_);
  }
  constexpr std::size_t end() const { return at_; }
  /// Sums, products with a sign, powers and quotients that come out whole: what is left to compute.
  /// 3/4, `2\sqrt{3}` and `6.02 \times 10^{23}` have none.
  constexpr int operations() const { return operations_; }
  /// How many numbers were read, also those beyond the first `most_literals`.
  constexpr int literals() const { return literals_; }

 private:
  constexpr Value refuse(exact_fault f) {
    if (fault_ == exact_fault::none) fault_ = f;
    return fail(f);
  }
  constexpr void skip() {
    if (answer_)
      for (std::size_t n = layout_at<Isa>(s_, at_); n != 0; n = layout_at<Isa>(s_, at_)) at_ += n;
    else
      while (at_ < s_.size() && is_space(s_[at_])) ++at_;
  }
  constexpr bool next_is(char c) const { return at_ < s_.size() && s_[at_] == c; }
  constexpr bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }
  /// The symbol after any layout, not taken; `size` reaches to its end.
  constexpr symbol peek(std::size_t& size) {
    const std::size_t before = at_;
    skip();
    std::size_t bytes = 0;
    symbol x = symbol_at<Isa>(s_, at_, bytes);
    if (!answer_ && x > symbol::over) x = symbol::none;
    if (x == symbol::times && stands_at(s_, at_, "**")) x = symbol::none;
    size = at_ + bytes - before;
    at_ = before;
    return x;
  }

  constexpr Value sum() {
    if (++depth_ > deepest_expression) return refuse(exact_fault::depth);
    Value x = product();
    while (fault_ == exact_fault::none) {
      std::size_t size = 0;
      const symbol op = peek(size);
      if (op != symbol::plus && op != symbol::minus) break;
      at_ += size;
      const Value y = product();
      const Value z = checked(add<Isa>(x, op == symbol::plus ? y : negated(y)));
      operations_ += !keeps_terms(x, y, z);
      x = z;
    }
    --depth_;
    return x;
  }

  constexpr Value product() {
    Value x = signed_factor();
    while (fault_ == exact_fault::none) {
      std::size_t size = 0;
      const symbol op = peek(size);
      if (op == symbol::times || op == symbol::over) {
        at_ += size;
        after_times_ = op == symbol::times;
        operations_ += after_times_;
        const Value y = signed_factor();
        if (fault_ != exact_fault::none) break;
        x = op == symbol::times ? checked(multiply<Isa>(x, y)) : quotient(x, y);
      } else if (answer_ && begins_factor(op)) {
        x = checked(multiply<Isa>(x, factor()));
        operations_ += op == symbol::none || x.rational();
      } else {
        break;
      }
    }
    return x;
  }
  constexpr Value quotient(const Value& x, const Value& y) {
    const Value z = checked(divide<Isa>(x, y));
    operations_ += z.integer();
    return z;
  }
  /// Whether a product without a sign goes on here.
  constexpr bool begins_factor(symbol op) {
    if (op == symbol::pi || op == symbol::root || op == symbol::fraction) return true;
    const std::size_t before = at_;
    skip();
    const bool found = next_is('(');
    at_ = before;
    return found;
  }

  constexpr Value signed_factor() {
    bool negative = false;
    int signs = 0;
    for (std::size_t size = 0;; ++signs) {  // a loop: a million signs are no depth
      const symbol op = peek(size);
      if (op != symbol::plus && op != symbol::minus) break;
      at_ += size;
      negative ^= op == symbol::minus;
    }
    const Value x = factor();
    const exact one = single(x);
    operations_ += signs > 1 || (negative && one.num < 0);  // --5 and -(-5)
    return negative ? negated(x) : x;
  }

  constexpr Value factor() {
    const bool scales = after_times_;
    after_times_ = false;
    Value x = primary();
    if (!answer_ || fault_ != exact_fault::none) return x;
    std::size_t size = 0;
    const symbol raised = peek(size);
    if (raised == symbol::square || raised == symbol::cube) {
      at_ += size;
      return raise(x, {raised == symbol::square ? 2 : 3, 1, 1, 0, exact_fault::none}, false);
    }
    const std::size_t before = at_;
    skip();
    // a degree sign is a unit, not a power
    if (!next_is('^') || stands_at(s_, at_, "^\\circ") || stands_at(s_, at_, "^{\\circ")) {
      at_ = before;
      return x;
    }
    ++at_;
    const exact n = single(exponent());
    if (fault_ != exact_fault::none) return x;
    if (next_is('^')) return refuse(exact_fault::syntax);
    return raise(x, n, scales && x.integer() && single(x).num == 10);
  }
  /// \param notation the power of "\times 10^n": neither it nor the product is left to compute.
  constexpr Value raise(const Value& x, const exact& n, bool notation) {
    if (!n.rational() || n.den > 126) return refuse(exact_fault::not_exact);
    const Value base = n.integer() ? x : checked(root_of<Isa>(x, static_cast<int>(n.den)));
    const Value y = checked(power<Isa>(base, n.num));
    // 2^3 and (1 + sqrt(2))^2 are left to compute, pi^2 and 2^{1/2} are not
    operations_ += notation ? -1 : y.rational() || !single(x).ok();
    return y;
  }
  constexpr Value exponent() {
    skip();
    if (next_is('{') || next_is('(')) return primary();
    bool negative = false;
    std::size_t size = 0;
    const symbol op = peek(size);
    if (op == symbol::minus || op == symbol::plus) at_ += size, negative = op == symbol::minus;
    const Value x = literal_value(false);
    return negative ? negated(x) : x;
  }

  constexpr Value primary() {
    skip();
    if (at_ >= s_.size()) return refuse(exact_fault::syntax);
    if (take('(')) {  // (1,234) is a pair, not a number
      ++parentheses_;
      const Value x = closed(')');
      --parentheses_;
      return x;
    }
    if (answer_ && take('{')) return closed('}');
    if (is_digit(s_[at_]) || (s_[at_] == '.' && answer_)) return literal_value(answer_);
    if (!answer_) return refuse(exact_fault::syntax);
    std::size_t size = 0;
    switch (symbol_at<Isa>(s_, at_, size)) {
      case symbol::pi:
        at_ += size;
        return exact{1, 1, 1, 1, exact_fault::none};
      case symbol::root:
        at_ += size;
        return root();
      case symbol::fraction: {
        at_ += size;
        const Value num = argument();
        const Value den = argument();
        return fault_ == exact_fault::none ? quotient(num, den) : num;
      }
      default:
        break;
    }
    for (const vulgar& v : vulgar_fractions)
      if (stands_at(s_, at_, v.form)) return vulgar_value(v);
    return refuse(exact_fault::syntax);
  }
  constexpr Value closed(char close) {
    const Value x = sum();
    skip();
    if (fault_ == exact_fault::none && !take(close)) return refuse(exact_fault::syntax);
    return x;
  }
  /// TeX's argument: a group, or one digit.
  constexpr Value argument() {
    skip();
    if (take('{')) return closed('}');
    if (at_ < s_.size() && is_digit(s_[at_]))
      return exact{s_[at_++] - '0', 1, 1, 0, exact_fault::none};
    std::size_t size = 0;
    if (symbol_at<Isa>(s_, at_, size) == symbol::pi) {
      at_ += size;
      return exact{1, 1, 1, 1, exact_fault::none};
    }
    return refuse(exact_fault::syntax);
  }
  constexpr Value root() {
    skip();
    int order = 2;
    if (take('[')) {
      const exact k = single(closed(']'));
      if (fault_ != exact_fault::none) return k;
      if (!k.integer() || k.num < 2 || k.num > 126) return refuse(exact_fault::not_exact);
      order = static_cast<int>(k.num);
      skip();
    }
    const Value x = next_is('{') || next_is('(')           ? primary()
                    : at_ < s_.size() && is_digit(s_[at_]) ? literal_value(false)
                                                           : refuse(exact_fault::syntax);
    if (fault_ != exact_fault::none) return x;
    const Value y = checked(root_of<Isa>(x, order));
    operations_ += y.rational();  // sqrt(16) is left to compute, sqrt(12) is a number
    return y;
  }
  constexpr exact vulgar_value(const vulgar& v) {
    at_ += v.form.size();
    return exact_ratio<Isa>(v.num, v.den);
  }

  /// Appends a digit; false where the value might leave 126 bits.
  static constexpr bool append(wide& value, char digit) {
    if (bit_width(magnitude(value)) > 122) return false;
    value = value * 10 + (digit - '0');
    return true;
  }
  /// Appends digits; false if there are too many.
  constexpr bool digits(wide& value, int& places) {
    for (places = 0; at_ < s_.size() && is_digit(s_[at_]); ++at_, ++places)
      if (!append(value, s_[at_])) return false;
    return true;
  }
  constexpr Value literal_value(bool extended);
  constexpr Value fraction_part(exact whole);
  constexpr Value checked(const Value& x) { return x.ok() ? x : refuse(x.fault); }

  text s_;
  bool answer_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int parentheses_ = 0;
  wide* literal_;
  int literals_ = 0;
  int operations_ = 0;
  bool after_times_ = false;
  exact_fault fault_ = exact_fault::none;
};

}  // namespace detail

}  // namespace hence::inline v0::reward
