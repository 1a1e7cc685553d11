/// \file
/// The grammar of exact expressions, by recursive descent with a depth of at most 32 and a length
/// of at most 256 bytes, so that any input takes a bounded time. Literals are in expression.hpp.
/// Two grammars: plain arithmetic (+ - * / and parentheses over integers, countdown's) and that of
/// answers (LaTeX, powers, roots, decimals, mixed numbers, products without a sign).
#pragma once

#include <hence/reward/exact_sum.hpp>
#include <hence/reward/expression_cursor.hpp>

namespace hence::inline v0::reward {

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
      : in_{slice(s, 0, longest_expression + 1), g == grammar::answer}, literal_(literals) {}

  /// The value of the longest expression at the front; `end()` is where it ends.
  constexpr Value read() {
    if (in_.s.size() > longest_expression) return fail(exact_fault::depth);
    Value x = sum();
    // the first fault inside decides, whatever arithmetic made of it
    return fault_ == exact_fault::none ? x : fail(fault_);
  }
  constexpr std::size_t end() const { return in_.at; }
  /// Sums, products with a sign, powers and most quotients: what is left to compute. 3/4,
  /// `2\sqrt{3}` and `6.02 \times 10^{23}` have none.
  constexpr int operations() const { return operations_; }
  /// How many numbers were read, also those beyond the first `most_literals`.
  constexpr int literals() const { return literals_; }

 private:
  constexpr Value refuse(exact_fault f) {
    if (fault_ == exact_fault::none) fault_ = f;
    return fail(f);
  }
  constexpr Value sum() {
    if (++depth_ > deepest_expression) return refuse(exact_fault::depth);
    Value x = product();
    while (fault_ == exact_fault::none) {
      std::size_t size = 0;
      const symbol op = in_.peek(size);
      if (op != symbol::plus && op != symbol::minus) break;
      in_.at += size;
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
      const symbol op = in_.peek(size);
      if (op == symbol::times || op == symbol::over) {
        in_.at += size;
        after_times_ = op == symbol::times;
        operations_ += after_times_;
        const Value y = signed_factor();
        if (fault_ != exact_fault::none) break;
        x = op == symbol::times ? checked(multiply<Isa>(x, y)) : quotient(x, y);
      } else if (in_.answer && begins_factor(op)) {
        x = checked(multiply<Isa>(x, factor()));
        operations_ += op == symbol::none || x.rational();
      } else {
        break;
      }
    }
    return x;
  }
  /// 3/4 and `\frac{\sqrt3}{2}` are numbers. What comes out whole, divides fractions, or loses its
  /// roots is left to compute.
  constexpr Value quotient(const Value& x, const Value& y) {
    const Value z = checked(divide<Isa>(x, y));
    const exact above = single(x), below = single(y);
    operations_ += z.integer() || above.den != 1 || below.den != 1 ||
                   (z.rational() && !(above.rational() && below.rational()));
    return z;
  }
  /// Whether a product without a sign goes on here.
  constexpr bool begins_factor(symbol op) {
    if (op == symbol::pi || op == symbol::root || op == symbol::fraction) return true;
    const std::size_t before = in_.at;
    in_.skip();
    const bool found = in_.next_is('(');
    in_.at = before;
    return found;
  }

  constexpr Value signed_factor() {
    bool negative = false;
    int signs = 0;
    for (std::size_t size = 0;; ++signs) {  // a loop: a million signs are no depth
      const symbol op = in_.peek(size);
      if (op != symbol::plus && op != symbol::minus) break;
      in_.at += size;
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
    if (!in_.answer || fault_ != exact_fault::none) return x;
    std::size_t size = 0;
    const bool in_notation = scales && x.integer() && single(x).num == 10;
    if (in_.peek(size) == symbol::raised) {
      in_.skip();
      const superscript power = superscripts_at(in_.s, in_.at);
      in_.at += power.bytes;
      wide n = 0;
      for (std::size_t i = 0; i < power.places; ++i) n = n * 10 + (power.digits[i] - '0');
      return raise(x, {power.sign == '-' ? -n : n, 1, 1, 0, exact_fault::none}, in_notation);
    }
    const std::size_t before = in_.at;
    in_.skip();
    // a degree sign is a unit, not a power
    if (!in_.next_is('^') || stands_at(in_.s, in_.at, "^\\circ") ||
        stands_at(in_.s, in_.at, "^{\\circ")) {
      in_.at = before;
      return x;
    }
    ++in_.at;
    const exact n = single(exponent());
    if (fault_ != exact_fault::none) return x;
    if (in_.next_is('^')) return refuse(exact_fault::syntax);
    return raise(x, n, in_notation);
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
    in_.skip();
    if (in_.next_is('{') || in_.next_is('(')) return primary();
    bool negative = false;
    std::size_t size = 0;
    const symbol op = in_.peek(size);
    if (op == symbol::minus || op == symbol::plus) in_.at += size, negative = op == symbol::minus;
    const Value x = literal_value(false);
    return negative ? negated(x) : x;
  }

  constexpr Value primary() {
    in_.skip();
    if (in_.ends()) return refuse(exact_fault::syntax);
    if (in_.take('(')) {  // (1,234) is a pair, not a number
      ++parentheses_;
      const Value x = closed(')');
      --parentheses_;
      return x;
    }
    if (in_.answer && in_.take('{')) return closed('}');
    if (is_digit(in_.s[in_.at]) || (in_.s[in_.at] == '.' && in_.answer))
      return literal_value(in_.answer);
    if (!in_.answer) return refuse(exact_fault::syntax);
    std::size_t size = 0;
    switch (symbol_at<Isa>(in_.s, in_.at, size)) {
      case symbol::pi:
        in_.at += size;
        return exact{1, 1, 1, 1, exact_fault::none};
      case symbol::root:
        in_.at += size;
        return root();
      case symbol::fraction: {
        in_.at += size;
        const Value num = argument();
        const Value den = argument();
        return fault_ == exact_fault::none ? quotient(num, den) : num;
      }
      default:
        break;
    }
    for (const vulgar& v : vulgar_fractions)
      if (stands_at(in_.s, in_.at, v.form)) return vulgar_value(v);
    return refuse(exact_fault::syntax);
  }
  constexpr Value closed(char close) {
    const Value x = sum();
    in_.skip();
    if (fault_ == exact_fault::none && !in_.take(close)) return refuse(exact_fault::syntax);
    return x;
  }
  /// TeX's argument: a group, or one digit.
  constexpr Value argument() {
    in_.skip();
    if (in_.take('{')) return closed('}');
    if (in_.next_is_digit()) return exact{in_.s[in_.at++] - '0', 1, 1, 0, exact_fault::none};
    std::size_t size = 0;
    if (symbol_at<Isa>(in_.s, in_.at, size) == symbol::pi) {
      in_.at += size;
      return exact{1, 1, 1, 1, exact_fault::none};
    }
    return refuse(exact_fault::syntax);
  }
  constexpr Value root() {
    in_.skip();
    int order = 2;
    if (in_.take('[')) {
      const exact k = single(closed(']'));
      if (fault_ != exact_fault::none) return k;
      if (!k.integer() || k.num < 2 || k.num > 126) return refuse(exact_fault::not_exact);
      order = static_cast<int>(k.num);
      in_.skip();
    }
    const Value x = in_.next_is('{') || in_.next_is('(') ? primary()
                    : in_.next_is_digit()                ? literal_value(false)
                                                         : refuse(exact_fault::syntax);
    if (fault_ != exact_fault::none) return x;
    const Value y = checked(root_of<Isa>(x, order));
    operations_ += y.rational();  // sqrt(16) is left to compute, sqrt(12) is a number
    return y;
  }
  constexpr exact vulgar_value(const vulgar& v) {
    in_.at += v.form.size();
    return exact_ratio<Isa>(v.num, v.den);
  }

  constexpr Value literal_value(bool extended);
  constexpr Value fraction_part(exact whole);
  constexpr Value checked(const Value& x) { return x.ok() ? x : refuse(x.fault); }

  expression_cursor<Isa> in_;
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
