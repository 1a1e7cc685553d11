"""All mutants of a header in one text, each chosen at run time, so that a test is compiled once for
all of them and not once for each. `switched` rewrites the smallest piece that holds a
mutant and can be chosen between:

  return E;            if (chosen(7)) return E'; return E;
  T x = E;  x = E;     T x = chosen(7) ? (E') : (E);
  if (C)  for (;C;)    if (chosen(7) ? (C') : (C))
  E;                   chosen(7) ? void(E') : void(E);
  f(A, B)  x[A]        f(A, (chosen(7) ? (B') : (B)))   where the statement has none of these forms

What fits none of these forms is not in the text: the caller compiles it alone. What a compiler
evaluates itself is never changed (`chosen` is false there): a mutant that only a static_assert sees survives.
"""
import re

PRELUDE = """#ifndef HENCE_MUTATION_SWITCH
#define HENCE_MUTATION_SWITCH
#include <cstdlib>
#include <type_traits>
namespace hence_mutation {
inline const int active = std::getenv("HENCE_MUTANT") ? std::atoi(std::getenv("HENCE_MUTANT")) : -1;
constexpr bool chosen(int n) { return !std::is_constant_evaluated() && active == n; }
}
#endif
"""
OPEN, CLOSE = "([{", ")]}"


def masked(text):
    """The text with nothing in its comments and literals that looks like code; every place stays where it is."""
    blank = lambda m: " " * len(m[0]) if m[0][0] == "/" else m[0][0] + "_" * (len(m[0]) - 2) + m[0][0]
    return re.sub(r"""//[^\n]*|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])*'""", blank, text)


def is_block(text, at):
    """Whether the brace at `at` opens statements and not a list of initial values."""
    before = text[:at].rstrip()
    return text[at - 1] in " \n" and not re.search(r"(\breturn|[=,({?:])$", before)


def piece(text, at):
    """[begin, end) of the statement around `at`, without what an `if (...)` before it asks, and
    whether it is a condition; None where there is none."""
    depth, begin = 0, at
    while begin > 0:
        c = text[begin - 1]
        if c in CLOSE:
            if c == "}" and depth == 0 and text[begin:begin + 1] in " \n":
                break  # the end of a block before
            depth += 1
        elif c in OPEN:
            if c == "{" and depth == 0 and is_block(text, begin - 1):
                break
            if depth == 0 and c == "(" and re.search(r"\b(if|while|for) $", text[:begin - 1]):
                return condition(text, begin, at)
            depth = max(depth - 1, 0)
        elif c == ";" and depth == 0:
            head = text.rfind("for (", 0, begin)
            if head >= 0 and balanced(text, head + 4) > at:
                return condition(text, head + 5, at)
            break
        begin -= 1
    end = text.find(";", at)
    if end < 0:
        return None
    while True:  # skip conditions in front of the statement
        m = re.match(r"(?:\s*#[^\n]*\n)+|\s*(?:if constexpr|if|while|for) (?=\()|\s*else\b|\s*(?:public|private):", text[begin:end])
        if not m:
            break
        begin += m.end()
        if text[begin:begin + 1] == "(":
            begin = balanced(text, begin)
        if begin > at:
            return None
    begin += len(text[begin:at]) - len(text[begin:at].lstrip())
    inner = text[begin:end]
    if "\n#" in inner or inner.count("(") != inner.count(")") or inner.count("{") != inner.count("}"):
        return None
    return begin, end, False


def balanced(text, at):
    """Where the parenthesis opened at `at` is closed, one past it."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in OPEN) - (text[i] in CLOSE)
        if depth == 0:
            return i + 1
    return len(text)


def condition(text, begin, at):
    """The condition in the parenthesis that opens before `begin`, or None where `at` is elsewhere in it."""
    inner = text[begin:balanced(text, begin - 1) - 1]
    parts, start, depth = [], 0, 0
    for i, c in enumerate(inner):
        depth += (c in OPEN) - (c in CLOSE)
        if c == ";" and depth == 0:
            parts.append((start, i))
            start = i + 1
    parts.append((start, len(inner)))
    is_for = text[:begin - 1].endswith("for ")
    if is_for and len(parts) != 3:
        return None
    first, last = parts[1] if is_for else parts[-1]
    first += len(inner[first:last]) - len(inner[first:last].lstrip())
    if not begin + first <= at < begin + last:
        return None
    return begin + first, begin + last, True


def assignment(statement):
    """Where the right-hand side of `T x = E` begins; 0: no assignment; -1: several."""
    depth = right = 0
    for i, c in enumerate(statement):
        depth += (c in OPEN) - (c in CLOSE)
        if depth == 0 and right and c == ",":
            return -1  # several variables
        if depth == 0 and not right and statement.startswith(" = ", i):
            right = i + 3
    return right


def argument(text, at, stop):
    """[begin, end) of the argument or index around [at, stop), or of a declarator's value; None where there is none."""
    depth, begin = 0, at
    while begin > 0 and (depth or text[begin - 1] not in OPEN + ",;"):
        depth += (text[begin - 1] in CLOSE) - (text[begin - 1] in OPEN)
        begin -= 1
    depth, end = 0, stop
    while end < len(text) and (depth or text[end] not in CLOSE + ",;"):
        depth += (text[end] in OPEN) - (text[end] in CLOSE)
        end += 1
    if text[begin - 1] == "{" or text[end] == "}" or re.search(r"\bconstexpr ?\($", text[:begin]):
        return None  # `chosen` is false where the compiler evaluates
    declared = re.match(r"\s*\w+ = ", text[begin:at])
    if text[begin - 1] == "," and declared:
        begin += declared.end()
    begin += len(text[begin:at]) - len(text[begin:at].lstrip())
    inner = text[begin:end]
    return None if "=" in re.sub(r"[<>=!]=", "", inner) or ">(" in inner else (begin, end, None)


def statement_takes(text, found, at, stop):
    """Whether the mutant at [at, stop) can be chosen in the statement or condition `found`."""
    if not found or stop > found[1]:
        return False
    statement = text[found[0]:found[1]]
    if found[2]:
        return True
    right = assignment(statement)
    return right >= 0 and at - found[0] >= right and not re.match(
        r"(static |inline )*constexpr |using |template|struct |(?!return )(const )?[\w:<>]+ \w+[({]", statement)


def switched(text, mutants, wanted):
    """The text with those of the wanted mutants [(begin, end, replacement)] that fit, and the line that each
    of them, by its index, has in it."""
    groups, code = {}, masked(text)
    for index in sorted(wanted):
        at, stop, replacement = mutants[index]
        found = piece(code, at)
        if not statement_takes(code, found, at, stop):
            found = None if found and "constexpr " in code[found[0]:found[1]] else argument(code, at, stop)
        if found and stop <= found[1]:
            groups.setdefault(found, []).append((index, at, stop, replacement))
    pieces, used = sorted(groups), {}
    for i in range(1, len(pieces)):  # pieces may not overlap: the later one is left out
        if pieces[i][0] < pieces[i - 1][1]:
            pieces[i] = pieces[i - 1]
    for begin, end, is_condition in sorted(set(pieces), reverse=True):
        old = text[begin:end]
        is_value = is_condition is None
        right = 0 if is_condition or is_value else assignment(code[begin:end])
        changed = []
        for index, at, stop, replacement in groups[begin, end, is_condition]:
            if right and at - begin < right:
                continue
            changed.append((index, text[begin:at] + replacement + text[stop:end]))
        if not changed:
            continue
        if is_value:
            new = "(" + "".join(f"hence_mutation::chosen({i}) ? ({t}) : " for i, t in changed) + f"({old}))"
        elif is_condition:
            new = "".join(f"hence_mutation::chosen({i}) ? bool({t}) : " for i, t in changed) + f"bool({old})"
        elif old.startswith("return"):
            new = "{ " + " ".join(f"if (hence_mutation::chosen({i})) {t};" for i, t in changed) + f" {old}; }}"
            end += 1  # the semicolon too: an `else` may follow
        elif right:
            new = old[:right] + "".join(f"hence_mutation::chosen({i}) ? ({t[right:]}) : "
                                        for i, t in changed) + f"({old[right:]})"
        else:
            new = "".join(f"hence_mutation::chosen({i}) ? void({t}) : " for i, t in changed) + f"void({old})"
        # on one line for each line before, so that a compiler's message names the line of the original
        new = " ".join(re.sub(r"//[^\n]*", "", new).split()) + "\n" * old.count("\n")
        text = text[:begin] + new + text[end:]
        used.update((i, text.count("\n", 0, begin) + 1) for i, _ in changed)
    return text, used
