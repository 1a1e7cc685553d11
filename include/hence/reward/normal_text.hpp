/// \file
/// The normalised form of an answer that is not a number: one spelling per symbol, no layout, no
/// fonts. Read byte by byte, never stored, so that comparing takes one pass and no memory.
///
/// What is left out: white space (but where it keeps two numbers apart: 1 2, 1, 234 and 1. 5),
/// TeX's spaces, `\left` and `\right`, dollars of formulas, the braces of `\text{}` and of fonts.
/// What is rewritten: +`\infty` at the beginning of a term, `\dfrac` and `\tfrac`, `\frac12` and
/// `\sqrt2`, x^{2}, .5, operators and relations in LaTeX, Unicode or ASCII. Words of three ASCII
/// letters or more are lowered, and capitalised ones of two (No); single letters and AB keep their
/// case.
#pragma once

#include <hence/reward/tokens.hpp>

namespace hence::inline v0::reward {

namespace detail {

/// Forms that become one byte below 32; what begins with another form stands before it.
struct relation {
  text form;
  char code;
};
inline constexpr relation relations[] = {
    {"\\\\", 18},       {"\\leq", 1},         {"\\le", 1},      {"\u2264", 1},   {"<=", 1},
    {"\\geq", 2},       {"\\ge", 2},          {"\u2265", 2},    {">=", 2},       {"\\neq", 3},
    {"\\ne", 3},        {"\u2260", 3},        {"!=", 3},        {"\\infty", 4},  {"\u221E", 4},
    {"infinity", 4},    {"\\cup", 5},         {"\u222A", 5},    {"\\cap", 6},    {"\u2229", 6},
    {"\\in", 7},        {"\u2208", 7},        {"\\circ", 8},    {"\\degree", 8}, {"\u00B0", 8},
    {"\\emptyset", 11}, {"\\varnothing", 11}, {"\u2205", 11},   {"\\pm", 12},    {"\u00B1", 12},
    {"\\lt", '<'},      {"\\gt", '>'},        {"\\%", '%'},     {"\\$", '$'},    {"\\&", '&'},
    {"\\lbrace", 14},   {"\\{", 14},          {"\\rbrace", 15}, {"\\}", 15},
};
inline constexpr char code_pi = 16, code_end_of_command = 17;

/// Commands whose braces go with them.
inline constexpr text fonts[] = {
    "\\text",   "\\textbf", "\\textit",     "\\textrm", "\\mathrm",       "\\mathbf",
    "\\mathit", "\\mathbb", "\\mathcal",    "\\mbox",   "\\operatorname", "\\boxed",
    "\\fbox",   "\\mathsf", "\\textnormal", "\\texttt", "\\boldsymbol"};

/// Bytes of a font command with its brace at s[at], `brace` told apart; 0 where none stands.
template <class Isa> constexpr std::size_t font_at(text s, std::size_t at, bool& brace) {
  if (s[at] != '\\') return 0;
  for (const text name : fonts) {
    if (!command_at(s, at, name)) continue;
    std::size_t end = at + name.size();
    while (end < s.size() && is_space(s[end])) ++end;
    brace = end < s.size() && s[end] == '{';
    return end + brace - at;
  }
  return 0;
}

/// Gives the normalised bytes of a text, one at a time.
template <class Isa> class normal_reader {
 public:
  constexpr explicit normal_reader(text s) : s_(s) {}

  /// The next byte, or -1 at the end.
  constexpr int next() {
    while (queued_ == 0 && at_ < s_.size()) step();
    if (queued_ == 0 && dropped_ != 0) {  // a font's brace is never closed
      emit('{');
      dropped_ = 0;
    }
    if (queued_ == 0) return -1;
    const char c = queue_[read_++];
    if (read_ == queued_) read_ = queued_ = 0;
    last_ = c;
    return static_cast<unsigned char>(c);
  }

 private:
  constexpr void emit(char c) { queue_[queued_++] = c, gap_ = false; }
  constexpr void emit(text t) {
    for (const char c : t) emit(c);
  }
  constexpr char ahead(std::size_t i = 0) const { return at_ + i < s_.size() ? s_[at_ + i] : '\0'; }

  constexpr void step() {
    if (word_ > 0) return letters();
    if (std::size_t n = layout_at<Isa>(s_, at_); n != 0) {
      if (last_ == ',' && stands_at(s_, at_, "\\!"))  // 1,\! 234 is 1,234
        while (is_space(ahead(n))) ++n;
      gap_ |= is_gap(s_[at_], ahead(1));
      at_ += n;
      return;
    }
    const char c = s_[at_];
    if (is_digit(c)) {
      if (gap_ && (is_digit(last_) || last_ == '.' || (last_ == ',' && begins_group()))) emit(' ');
      emit(c);
      ++at_;
      return;
    }
    if (c == '$') {  // two formulas side by side
      gap_ = true;
      ++at_;
      return;
    }
    if (c == '{' || c == '}') return brace(c);
    bool has_brace = false;
    if (const std::size_t n = font_at<Isa>(s_, at_, has_brace); n != 0) {
      at_ += n;
      if (has_brace && depth_ < 64) dropped_ |= std::uint64_t{1} << depth_;
      depth_ += has_brace;
      return;
    }
    for (const relation& r : relations) {
      const bool is_word = is_letter(r.form.back());
      if (c != r.form[0] || !(is_word ? command_at(s_, at_, r.form) : stands_at(s_, at_, r.form)))
        continue;
      at_ += r.form.size();
      emit(r.code);
      return;
    }
    std::size_t size = 0;
    if (const symbol x = symbol_at<Isa>(s_, at_, size); x != symbol::none) {
      at_ += size;
      return x == symbol::raised ? power(superscripts_at(s_, at_ - size)) : operation(x);
    }
    if (c == '^' || c == '_') {
      emit(c);
      ++at_;
      if (ahead() == '{' && ahead(1) != '\\' && ahead(1) != '{' && ahead(2) == '}') {
        emit(ahead(1));
        at_ += 3;
      }
      return;
    }
    if (c == '.' && is_digit(last_) && gap_) emit(' ');
    if (c == '.' && !is_digit(last_) && is_digit(ahead(1))) emit('0');
    if (c == '\\' || is_letter(c)) return begin_word(c);
    emit(c);
    ++at_;
  }

  /// Whether layout that begins so sets numbers apart: TeX's thin spaces do not.
  static constexpr bool is_gap(char c, char next) {
    return c != '\\' || (next != ',' && next != '!');
  }
  /// Whether exactly three digits stand here: 1, 234 must not become 1,234.
  constexpr bool begins_group() const {
    return is_digit(ahead(1)) && is_digit(ahead(2)) && !is_digit(ahead(3));
  }

  constexpr void brace(char c) {
    const bool opens = c == '{';
    if (!opens && depth_ > 0) --depth_;
    const bool drop = depth_ < 64 && (dropped_ >> depth_ & 1) != 0;
    if (depth_ < 64) dropped_ &= ~(std::uint64_t{1} << depth_);
    if (opens || !drop) emit(c);
    depth_ += opens;
    ++at_;
  }

  /// Whether what is said next begins a term: a plus before infinity says nothing there.
  constexpr bool begins_term() const {
    return last_ == '\0' || last_ == '(' || last_ == '[' || last_ == ',';
  }
  constexpr bool infinity_follows() const {
    std::size_t at = at_;
    for (std::size_t n = layout_at<Isa>(s_, at); n != 0; n = layout_at<Isa>(s_, at)) at += n;
    return command_at(s_, at, "\\infty") || stands_at(s_, at, "\u221E");
  }

  constexpr void operation(symbol x) {
    switch (x) {
      case symbol::plus:
        if (begins_term() && infinity_follows()) return;
        return emit('+');
      case symbol::minus:
        return emit('-');
      case symbol::times:
        return emit('*');
      case symbol::over:
        return emit('/');
      case symbol::pi:
        return emit(code_pi);
      case symbol::root:
        emit("\\sqrt");
        return argument();
      case symbol::fraction:
      case symbol::raised:
      case symbol::none:  // the caller has neither
        emit("\\frac");
        argument();
        if (queue_[queued_ - 1] == '}') argument();
        return;
    }
  }
  /// x in superscripts as `^{x}`.
  constexpr void power(const superscript& x) {
    const bool group = x.places > 1 || x.sign != '\0';
    emit('^');
    if (group) emit('{');
    if (x.sign != '\0') emit(x.sign);
    emit(text(x.digits, x.places));
    if (group) emit('}');
  }
  /// `\frac1 2` and `\sqrt2`: one letter or digit as a group.
  constexpr void argument() {
    std::size_t at = at_;
    while (at < s_.size() && is_space(s_[at])) ++at;
    if (at >= s_.size() || !(is_digit(s_[at]) || is_letter(s_[at]))) return;
    emit('{'), emit(s_[at]), emit('}');
    at_ = at + 1;
  }

  /// A command keeps its letters and ends with a mark; a word is lowered.
  constexpr void begin_word(char c) {
    command_ = c == '\\';
    std::size_t end = at_ + command_;
    while (end < s_.size() && is_letter(s_[end])) ++end;
    word_ = end - at_;
    folded_ = !command_ && (word_ >= 3 || (word_ == 2 && is_lower(s_[at_ + 1])));
    letters();
  }
  constexpr void letters() {
    emit(folded_ ? lowered(s_[at_]) : s_[at_]);
    ++at_;
    if (--word_ == 0 && command_) emit(code_end_of_command);
  }

  text s_;
  std::size_t at_ = 0;
  std::size_t word_ = 0;       // letters left of the word being read
  std::uint64_t dropped_ = 0;  // bit d: the brace open at depth d came with a font
  std::size_t depth_ = 0;
  char queue_[24] = {};
  std::size_t queued_ = 0, read_ = 0;
  char last_ = '\0';
  bool gap_ = false, command_ = false, folded_ = false;
};

}  // namespace detail

/// Whether two texts have the same normalised form and it is not empty. O(a + b).
template <class Isa = native_isa> constexpr bool same_text(text a, text b) {
  detail::normal_reader<Isa> left(a), right(b);
  for (bool any = false;; any = true) {
    const int x = left.next(), y = right.next();
    if (x != y) return false;
    if (x < 0) return any;
  }
}

/// A hash of the normalised form (FNV-1a, 64 bits): equal for texts that are `same_text`, to find
/// duplicates. Not safe against someone who looks for collisions.
template <class Isa = native_isa> constexpr std::uint64_t hash_text(text s) {
  std::uint64_t h = 0xCBF29CE484222325u;
  detail::normal_reader<Isa> reader(s);
  for (int c = reader.next(); c >= 0; c = reader.next())
    h = (h ^ static_cast<std::uint64_t>(c)) * 0x100000001B3u;
  return h;
}

}  // namespace hence::inline v0::reward
