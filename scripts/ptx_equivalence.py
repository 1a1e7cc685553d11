#!/usr/bin/env python3
"""Proves, whatever the input, that a kernel with one damaged instruction computes the same as before.

    scripts/ptx_equivalence.py --self-test

Facts are by register, not by place: a fact holds after every write of the register. Forwards: which bits are known and
between which unsigned numbers the value lies. Backwards: which bits anything reads; there only literals count as known, since
the damage may reach the other operand as well. An opcode that is not known here gives and asks for everything.
The damaged and the whole instruction then get the same facts, and may differ in bits that nothing reads.
"""

import collections
import re
import sys

from ptx_bits import Bits, compared, constant, exhaustive, inverse, joined, resized, shifted, total

INSTRUCTION = re.compile(r"^\s*(?:\{\s*)?(?:@(!?%p\d+)\s+)?([a-z][\w.:]*)\s+(.*?);[\s}]*$")
REGISTER = re.compile(r"%(?:rs|rd|fd|r|f|p|tmp)\d*\b")
NO_RESULT = {"st", "bra", "bar", "barrier", "red", "membar", "fence", "ret", "exit", "trap"}
SPECIAL = {"tid": (0, 1023), "ntid": (1, 1024), "ctaid": (0, 2**31 - 2), "nctaid": (1, 2**31 - 1)}


def width_of(register):
    kind = re.match(r"%([a-z]+)", register)[1]
    return {"rs": 16, "rd": 64, "fd": 64, "r": 32, "f": 32, "p": 1}.get(kind, 64)


class Instruction:
    """One line taken apart: guard, words of the opcode, operands."""

    def __init__(self, match):
        self.guard, opcode, rest = match.groups()
        self.changes = 0
        self.words = opcode.split(".")
        self.kind = self.words[0]
        self.operands = [o.strip() for o in re.split(r",\s*(?![^{]*\})", rest)]
        type_ = re.fullmatch(r"([busf]|pred)(\d*)", self.words[-1])
        self.type = type_[1] if type_ else "?"
        self.width = 1 if self.type == "pred" else int(type_[2] or 0) if type_ else 0
        self.writes = [] if self.kind in NO_RESULT else REGISTER.findall(self.operands[0])
        self.is_plain = len(self.writes) == 1 and self.operands[0] == self.writes[0]
        self.is_whole = self.type in ("b", "u", "s") and self.width > 0

    def reads(self):
        sources = self.operands if self.kind in NO_RESULT else self.operands[1:]
        return [r for o in sources for r in REGISTER.findall(o)] + REGISTER.findall(self.guard or "")


def parsed(line):
    match = INSTRUCTION.match(line)
    return Instruction(match) if match and not match[2].startswith(".") else None


def literal(operand):
    if re.fullmatch(r"-?\d+", operand):
        return int(operand)
    if match := re.fullmatch(r"0[fd]([0-9A-Fa-f]+)", operand):
        return int(match[1], 16)
    return None


def is_strange(line):
    """Whether a line writes registers in a way that is not understood here: calls, two instructions on one line."""
    text = line.strip()
    found = INSTRUCTION.match(text)
    if found and not found[2].startswith("."):
        return ";" in found[3] or found[2].startswith("call")
    return "%" in text and not text.startswith((".", "//", "{ .reg", "{.reg", "$"))


class Entry:
    """The facts of one kernel. `lines` are its whole text."""

    def __init__(self, lines):
        self.lines, self.code = lines, [i for i in map(parsed, lines) if i]
        self.facts, self.read, self.readers, self.writers = {}, {}, {}, {}
        for i in self.code:
            for register in i.reads():
                self.readers.setdefault(register, []).append(i)
            for register in i.writes:
                self.writers.setdefault(register, []).append(i)
        self.until_stable(self.step, self.readers)
        self.until_stable(self.step_back, self.writers)
        if any(is_strange(line) for line in lines):
            self.facts = None

    def until_stable(self, step, followers):
        """Takes steps at all instructions, then at those that depend on what changed, till nothing does."""
        waiting = collections.deque(self.code)
        queued = set(map(id, waiting))
        while waiting:
            i = waiting.popleft()
            queued.discard(id(i))
            for register in step(i):
                for other in followers.get(register, []):
                    if id(other) not in queued:
                        queued.add(id(other))
                        waiting.append(other)

    def of(self, operand, width):
        value = literal(operand)
        if value is not None:
            return constant(width, value)
        if REGISTER.fullmatch(operand) and width_of(operand) >= width and self.facts is not None:
            fact = self.facts.get(operand)
            return fact and resized(fact, width, False)
        return Bits(width)

    def result(self, i):
        """What an instruction with one register as its result writes there; None while nothing reaches it."""
        to = width_of(i.writes[0]) if i.writes else 0
        if not i.is_plain or not to:
            return Bits(to or 64)
        source, kind = i.operands[1:], i.kind
        if kind == "mov" and (match := re.fullmatch(r"%(\w+?)(\.[xyz])?", source[0])) and match[1] in SPECIAL:
            return Bits(to, 0, 0, *SPECIAL[match[1]])
        if kind == "mov" and source[0] == "%laneid":
            return Bits(to, 0, 0, 0, 31)
        if kind == "ld" and i.type in "bu" and 0 < i.width < to:
            return Bits(to, 0, 0, 0, (1 << i.width) - 1)
        if kind == "mov" and len(source) == 1 and i.width == to:
            return self.of(source[0], to)
        if kind == "setp" and i.is_whole and i.words[1] in ("eq", "ne", "lt", "le", "gt", "ge") and len(source) == 2:
            a, b = (self.of(s, i.width) for s in source)
            return a and b and compared(i.words[1], a, b, i.type == "s")
        if kind == "selp" and i.width == to:
            a, b, p = self.of(source[0], to), self.of(source[1], to), self.of(source[2], 1)
            if p is None or p.one:
                return p and a
            return b if p.zero else (joined(a, b) if a and b else a or b)
        if kind == "cvt" and len(i.words) == 3 and i.is_whole and i.words[1][0] in "us":
            wide = int(i.words[1][1:])
            a = self.of(source[0], i.width)
            # a register that is wider than the type is extended like the type of the result
            return a and resized(resized(a, wide, i.type == "s"), to, i.words[1][0] == "s")
        if kind == "mul" and i.words[1] == "wide" and i.type in "us" and 2 * i.width == to and len(source) == 2:
            a, b = self.of(source[0], i.width), self.of(source[1], i.width)
            if a is None or b is None:
                return None
            even = (1 << min(to, a.trailing() + b.trailing())) - 1
            return Bits(to, even, 0, a.low * b.low, a.high * b.high) if i.type == "u" else Bits(to, even)
        if i.width != to or not (i.is_whole or i.type == "pred") or (i.width < to):
            return Bits(to)
        if kind in ("shl", "shr") and len(i.words) == 2:
            a, by = self.of(source[0], to), literal(source[1])
            if a is None:
                return None
            if a.high == 0:
                return constant(to, 0)
            return Bits(to) if by is None or by < 0 else shifted(kind, a, by, i.type == "s")
        if kind == "not":
            a = self.of(source[0], to)
            return a and inverse(a)
        if len(source) != 2:
            return Bits(to)
        a, b = self.of(source[0], to), self.of(source[1], to)
        if a is None or b is None:
            return None
        if kind == "and":
            return Bits(to, a.zero | b.zero, a.one & b.one, 0, min(a.high, b.high))
        if kind == "or":
            return Bits(to, a.zero & b.zero, a.one | b.one, max(a.low, b.low))
        if kind == "xor":
            return Bits(to, a.zero & b.zero | a.one & b.one, a.zero & b.one | a.one & b.zero)
        if kind == "add" and len(i.words) == 2:
            return total(a, b, 0)
        if kind == "sub" and len(i.words) == 2:
            out = total(a, inverse(b), 1)
            return Bits(to, out.zero, out.one, a.low - b.high, a.high - b.low) if a.low >= b.high else out
        if kind == "mul" and i.words[1] == "lo":
            even = (1 << min(to, a.trailing() + b.trailing())) - 1
            fits = a.high * b.high <= a.mask
            return Bits(to, even, 0, a.low * b.low if fits else 0, a.high * b.high if fits else a.mask)
        if kind in ("min", "max") and i.type == "u":
            pick = min if kind == "min" else max
            return Bits(to, a.zero & b.zero, a.one & b.one, pick(a.low, b.low), pick(a.high, b.high))
        return Bits(to)

    def step(self, i):
        """Joins an instruction's result into its registers; those that changed."""
        changed = []
        for register in i.writes:
            new = self.result(i) if i.is_plain else Bits(width_of(register))
            old = self.facts.get(register)
            if new is None:
                continue
            if old is not None:
                new = joined(old, new)
                i.changes += 1
                if i.changes > 8 and (new.low, new.high) != (old.low, old.high):  # a counter: its bounds are given up
                    new = Bits(new.width, new.zero & old.zero, new.one & old.one)
            if old is None or old.key() != new.key():
                self.facts[register] = new
                changed.append(register)
        return changed

    def step_back(self, i):
        """Adds the bits that an instruction reads of its operands; the registers of which more is read."""
        changed, asked = [], self.asked(i)
        for register in i.reads():
            mask = asked.get(register, (1 << width_of(register)) - 1)
            if mask & ~self.read.get(register, 0):
                self.read[register] = self.read.get(register, 0) | mask
                changed.append(register)
        return changed

    def asked(self, i):
        """Register -> bits that an instruction reads of it. One that is not here is read as a whole."""
        if not i.is_plain or i.guard or i.type not in ("b", "u", "s"):
            return {}
        want, source, w = self.read.get(i.writes[0], 0), i.operands[1:], i.width
        first, second = source[0], source[1] if len(source) > 1 else ""
        if first == second or not REGISTER.fullmatch(first):
            return {}
        value, full = literal(second), (1 << w) - 1
        if i.kind == "setp" and i.type == "s" and i.words[1] in ("lt", "ge") and value == 0 and len(source) == 2:
            return {first: 1 << (w - 1)}
        if i.kind == "cvt" and len(i.words) == 3 and i.words[1] in (f"{t}{width_of(i.writes[0])}" for t in "us"):
            sign = 1 << (w - 1) if i.type == "s" and want >> w else 0
            return {first: want & full | sign}
        if w != width_of(i.writes[0]) or w != width_of(first):
            return {}
        if i.kind in ("and", "or") and value is not None:
            return {first: want & (value if i.kind == "and" else ~value) & full}
        if i.kind == "shl" and value is not None and value >= 0:
            return {first: want >> value}
        if i.kind == "shr" and value is not None and 0 <= value < w:
            sign = 1 << (w - 1) if i.type == "s" and want >> (w - 1 - value) else 0
            return {first: want << value & full | sign}
        if i.kind in ("add", "sub") and len(i.words) == 2 or i.kind == "mul" and i.words[1] == "lo":
            low = (1 << want.bit_length()) - 1
            return {r: low for r in (first, second) if REGISTER.fullmatch(r)}
        return {}

    def proof(self, line, new, is_of_both=False):
        """The rule by which a line may be exchanged for another, or '' if none is found."""
        a, b = parsed(line), parsed(new)
        if not a or not b or self.facts is None or a.guard != b.guard or a.operands[0] != b.operands[0] or not a.is_plain:
            return ""
        if len(a.operands) != len(b.operands) or a.width != b.width:
            return ""
        if self.is_choice_of_equals(line, a, b):
            return "a choice between equal numbers"
        to, facts = a.writes[0], (self.result(a), self.result(b))
        if None in facts:
            return ""
        full = facts[0].mask
        may_differ = full & ~(facts[0].one & facts[1].one | facts[0].zero & facts[1].zero)
        read = self.read.get(to, 0)
        if not may_differ and not is_of_both:
            return "both give the same number"
        may_differ &= self.difference(a, b, full)
        if not may_differ:
            return "the operands' known bits"
        if may_differ & read:
            return ""
        # From here on the two runs differ, so what is known and what is read has to hold in both of them.
        if not is_of_both:
            return Entry(self.lines + [new]).proof(line, new, True)
        return "what differs is never read"

    def is_choice_of_equals(self, line, a, b):
        """Whether the outcome, other for an x equal to a literal only, does nothing but choose between the two of them."""
        pairs = [{"gt", "ge"}, {"lt", "le"}, {"gtu", "geu"}, {"ltu", "leu"}]
        if a.kind != "setp" or a.type + b.type != "ff" or a.operands != b.operands or len(a.operands) != 3:
            return False
        if {a.words[1], b.words[1]} not in pairs or [a.words[2:], len(a.words)] != [b.words[2:], 3]:
            return False
        p, x, c = a.operands
        if self.lines.count(line) != 1 or a.words[2] != "f32" or not re.fullmatch("0f[0-9A-Fa-f]{8}", c):
            return False
        if not 0 < literal(c) & 0x7FFFFFFF <= 0x7F800000 or self.facts is None:  # 0 equals -0, which has other bits
            return False
        found = 0
        for text in self.lines[self.lines.index(line) + 1 :]:
            i = parsed(text)
            if i is None and text.strip() or i and i.kind in ("bra", "ret", "exit"):
                break  # the block ends
            if i and p in i.reads():
                if i.guard or i.kind != "selp" or sorted(i.operands[1:3]) != sorted([x, c]) or i.operands[3] != p:
                    return False
                found += 1
            if i and (x in i.writes or p in i.writes):
                break
        return found > 0 and found == sum(i.reads().count(p) for i in self.code)

    def difference(self, a, b, full):
        """Bits in which two instructions of the same operands, or of one other literal, may differ."""
        x, y, other = a.operands[1], a.operands[2] if len(a.operands) > 2 else "", b.operands[-1]
        if x != b.operands[1] or len(a.operands) != 3 or not (a.is_whole or a.type == "pred"):
            return full
        fx, fy = self.of(x, a.width), self.of(y, a.width)
        if fx is None or fy is None:
            return full
        kinds = {a.kind, b.kind}
        if y == other and kinds == {"and", "or"}:
            return full & ~(fx.one & fy.one | fx.zero & fy.zero)
        if y == other and kinds == {"add", "sub"} and len(a.words) == 2:
            return full & ~((2 << fy.trailing()) - 1)  # they differ by 2 y
        if a.kind == b.kind == "setp" and a.is_whole and a.type == b.type:
            return self.outcomes(a, b, fx, fy)
        old, new = literal(y), literal(other)
        if old is None or new is None or a.words != b.words:
            return full
        if a.kind == "and":
            return (old ^ new) & full & ~fx.zero
        if a.kind == "add" and len(a.words) == 2:
            changed = (old ^ new) & full
            if not changed & ~((1 << fx.trailing()) - 1):
                return changed  # added to bits that are 0: nothing is carried
            return full & ~((changed & -changed) - 1)
        return full

    def outcomes(self, a, b, fx, fy):
        """1 if two comparisons may differ, else 0."""
        old, new, kinds = literal(a.operands[2]), literal(b.operands[2]), {a.words[1], b.words[1]}
        full = (1 << a.width) - 1
        if a.operands[2] == b.operands[2] and kinds in ({"lt", "le"}, {"gt", "ge"}):
            apart = compared("eq", fx, fy, a.type == "s")
            return 0 if apart.zero else 1  # they differ for equal operands only
        if old is not None and new is not None and len(kinds) == 1 and abs(old - new) == 1:
            order = a.type == "s"
            return int(any(
                fx.may_be(v & full) and
                compared(a.words[1], constant(a.width, v), constant(a.width, old), order).key()
                != compared(a.words[1], constant(a.width, v), constant(a.width, new), order).key() for v in (old, new)))
        return 1


TESTS = [  # code, line that is damaged, damage, whether it is proved
    (["mov.u32 %r1, %tid.x;", "shl.b32 %r2, %r1, 2;", "and.b32 %r3, %r2, 124;", "st.shared.u32 [%r3], %r1;"],
     2, "and.b32 %r3, %r2, 125;", True),
    (["mov.u32 %r1, %tid.x;", "and.b32 %r3, %r1, 124;", "st.shared.u32 [%r3], %r1;"], 1, "and.b32 %r3, %r1, 125;", False),
    # a second write takes the fact away
    (["mov.u32 %r1, %tid.x;", "shl.b32 %r2, %r1, 2;", "add.s32 %r2, %r2, 1;", "and.b32 %r3, %r2, 124;",
      "st.shared.u32 [%r3], %r1;"], 3, "and.b32 %r3, %r2, 125;", False),
    (["ld.param.u64 %rd1, [n];", "shl.b64 %rd2, %rd1, 2;", "add.s64 %rd3, %rd2, 63;", "and.b64 %rd4, %rd3, -64;",
      "st.global.u64 [%rd4], %rd4;"], 2, "add.s64 %rd3, %rd2, 62;", True),
    (["ld.param.u64 %rd1, [n];", "shl.b64 %rd2, %rd1, 2;", "add.s64 %rd3, %rd2, 63;", "and.b64 %rd4, %rd3, -63;",
      "st.global.u64 [%rd4], %rd4;"], 2, "add.s64 %rd3, %rd2, 62;", False),
    (["ld.param.u64 %rd1, [n];", "add.s64 %rd3, %rd1, 63;", "and.b64 %rd4, %rd3, -64;", "st.global.u64 [%rd4], %rd4;"],
     1, "add.s64 %rd3, %rd1, 62;", False),
    # the same bits through a second reader
    (["ld.param.u64 %rd1, [n];", "shl.b64 %rd2, %rd1, 2;", "add.s64 %rd3, %rd2, 63;", "and.b64 %rd4, %rd3, -64;",
      "st.global.u64 [%rd4], %rd3;"], 2, "add.s64 %rd3, %rd2, 62;", False),
    (["mov.u32 %r1, %tid.x;", "shr.s32 %r2, %r1, 31;", "shr.u32 %r3, %r2, 27;", "st.shared.u32 [%r3], %r1;"],
     2, "shl.b32 %r3, %r2, 27;", True),
    (["ld.param.u32 %r1, [n];", "shr.s32 %r2, %r1, 31;", "shr.u32 %r3, %r2, 27;", "st.shared.u32 [%r3], %r1;"],
     2, "shl.b32 %r3, %r2, 27;", False),
    (["ld.param.u32 %r1, [n];", "mov.u32 %r2, %tid.x;", "shr.u32 %r3, %r2, 10;", "add.s32 %r4, %r1, %r3;",
      "st.shared.u32 [%r4], %r1;"], 3, "sub.s32 %r4, %r1, %r3;", True),
    (["ld.param.u32 %r1, [n];", "mov.u32 %r2, %tid.x;", "shr.u32 %r3, %r2, 9;", "add.s32 %r4, %r1, %r3;",
      "st.shared.u32 [%r4], %r1;"], 3, "sub.s32 %r4, %r1, %r3;", False),
    (["ld.param.u32 %r1, [n];", "shl.b32 %r2, %r1, 31;", "add.s32 %r4, %r1, %r2;", "st.shared.u32 [%r4], %r1;"],
     2, "sub.s32 %r4, %r1, %r2;", True),
    (["ld.param.u32 %r1, [n];", "shl.b32 %r2, %r1, 30;", "add.s32 %r4, %r1, %r2;", "st.shared.u32 [%r4], %r1;"],
     2, "sub.s32 %r4, %r1, %r2;", False),
    (["ld.global.u8 %rs1, [a];", "cvt.u32.u16 %r1, %rs1;", "setp.lt.u32 %p1, %r1, 256;", "selp.b32 %r2, 1, 2, %p1;",
      "st.shared.u32 [%r2], %r1;"], 2, "setp.le.u32 %p1, %r1, 256;", True),
    (["ld.global.u8 %rs1, [a];", "cvt.u32.u16 %r1, %rs1;", "setp.lt.u32 %p1, %r1, 255;", "selp.b32 %r2, 1, 2, %p1;",
      "st.shared.u32 [%r2], %r1;"], 2, "setp.le.u32 %p1, %r1, 255;", False),
    (["ld.global.s8 %rs1, [a];", "setp.lt.u16 %p1, %rs1, 256;", "selp.b32 %r2, 1, 2, %p1;", "st.shared.u32 [%r2], %r2;"],
     1, "setp.le.u16 %p1, %rs1, 256;", False),
    (["mov.u32 %r1, %tid.x;", "shl.b32 %r2, %r1, 1;", "setp.eq.s32 %p1, %r2, 7;", "@%p1 bra L;"],
     2, "setp.eq.s32 %p1, %r2, 6;", False),
    (["ld.param.u64 %rd1, [n];", "shl.b64 %rd2, %rd1, 2;", "setp.le.s64 %p1, %rd2, 5;", "@%p1 bra L;"],
     2, "setp.le.s64 %p1, %rd2, 6;", True),
    (["ld.param.u64 %rd1, [n];", "shl.b64 %rd2, %rd1, 2;", "setp.le.s64 %p1, %rd2, 4;", "@%p1 bra L;"],
     2, "setp.le.s64 %p1, %rd2, 3;", False),
    # signed and unsigned: a byte that is moved up to the sign
    (["ld.param.u32 %r1, [n];", "or.b32 %r2, %r1, -2147483648;", "setp.lt.s32 %p1, %r2, 0;", "@%p1 bra L;"],
     2, "setp.lt.s32 %p1, %r2, 1;", True),
    (["ld.param.u32 %r1, [n];", "and.b32 %r2, %r1, 2147483647;", "setp.lt.s32 %p1, %r2, 0;", "@%p1 bra L;"],
     2, "setp.lt.s32 %p1, %r2, 1;", False),
    # a loop's counter: 4 a step stays a multiple of 4 and nothing else
    (["mov.u32 %r1, 0;", "add.s32 %r1, %r1, 4;", "and.b32 %r2, %r1, 12;", "st.shared.u32 [%r2], %r1;"],
     2, "and.b32 %r2, %r1, 13;", True),
    (["mov.u32 %r1, 0;", "add.s32 %r1, %r1, 4;", "setp.lt.u32 %p1, %r1, 4096;", "@%p1 bra L;"],
     2, "setp.le.u32 %p1, %r1, 4096;", False),
    # both operands depend on what is damaged
    (["ld.param.u32 %r1, [n];", "and.b32 %r2, %r1, 2;", "xor.b32 %r3, %r2, 1;", "and.b32 %r4, %r2, %r3;",
      "st.shared.u32 [%r4], %r1;"], 1, "and.b32 %r2, %r1, 3;", False),
    # the damaged mask lets a bit in that was 0 before, and around the loop it is read as a bit of the operand
    (["mov.u32 %r1, 0;", "and.b32 %r2, %r1, 12;", "shl.b32 %r3, %r2, 1;", "add.s32 %r1, %r3, 4;", "and.b32 %r4, %r2, 8;",
      "st.shared.u32 [%r4], %r4;"], 1, "and.b32 %r2, %r1, 13;", True),
    (["ld.param.u32 %r1, [n];", "and.b32 %r4, %r1, 129;", "cvt.s8.s32 %r2, %r4;", "and.b32 %r3, %r2, 1048576;",
      "st.shared.u32 [%r3], %r3;"], 1, "and.b32 %r4, %r1, 128;", False),
    (["setp.gt.f32 %p1, %f1, 0f4B4000FE;", "selp.f32 %f2, 0f4B4000FE, %f1, %p1;", "st.shared.f32 [%r1], %f2;"],
     0, "setp.ge.f32 %p1, %f1, 0f4B4000FE;", True),
    (["ld.global.u16 %rs1, [a];", "mul.wide.u16 %r1, %rs1, 8192;", "and.b32 %r2, %r1, 12288;", "st.shared.u32 [%r2], %r2;"],
     2, "and.b32 %r2, %r1, 12289;", True),
    (["ld.global.u16 %rs1, [a];", "mul.wide.u16 %r1, %rs1, 8192;", "and.b32 %r2, %r1, 12288;", "st.shared.u32 [%r2], %r2;"],
     2, "and.b32 %r2, %r1, 20480;", False),
    (["setp.gt.f32 %p1, %f1, 0f80000000;", "selp.f32 %f2, 0f80000000, %f1, %p1;", "st.shared.f32 [%r1], %f2;"],
     0, "setp.ge.f32 %p1, %f1, 0f80000000;", False),
    (["setp.gt.f32 %p1, %f1, 0f4B4000FE;", "selp.f32 %f2, 0f4B4000FF, %f1, %p1;", "st.shared.f32 [%r1], %f2;"],
     0, "setp.ge.f32 %p1, %f1, 0f4B4000FE;", False),
    (["setp.gt.f32 %p1, %f1, 0f4B4000FE;", "add.rn.f32 %f1, %f1, %f1;", "selp.f32 %f2, 0f4B4000FE, %f1, %p1;"],
     0, "setp.ge.f32 %p1, %f1, 0f4B4000FE;", False),
    (["setp.gt.f32 %p1, %f1, 0f4B4000FE;", "selp.f32 %f2, 0f4B4000FE, %f1, %p1;", "@%p1 bra L;"],
     0, "setp.ge.f32 %p1, %f1, 0f4B4000FE;", False),
    (["setp.gt.f32 %p1, %f1, 0f4B4000FE;", "selp.f32 %f2, 0f4B4000FE, %f1, %p1;"], 0, "setp.geu.f32 %p1, %f1, 0f4B4000FE;", False),
    (["ld.param.v2.u32 {%r1, %r2}, [n];", "and.b32 %r3, %r2, 12;", "st.shared.u32 [%r3], %r1;"],
     1, "and.b32 %r3, %r2, 13;", False),
    # a carry takes the lowest bit up to one that is read
    (["ld.param.v2.u32 {%r1, %r2}, [n];", "and.b32 %r3, %r2, 12;", "add.s32 %r4, %r3, %r1;", "and.b32 %r5, %r4, 16;",
      "st.shared.u32 [%r5], %r5;"], 1, "and.b32 %r3, %r2, 13;", False),
    (["ld.param.v2.u32 {%r1, %r2}, [n];", "and.b32 %r3, %r2, 12;", "add.s32 %r4, %r3, %r1;", "and.b32 %r5, %r4, 16;",
      "st.shared.u32 [%r5], %r5;"], 1, "and.b32 %r3, %r2, 44;", True),
]


def self_test():
    wrong = 0
    for code, at, new, is_equal in TESTS:
        rule = Entry(code).proof(code[at], new)
        if bool(rule) != is_equal:
            wrong += 1
            print(f"{code[at]}  ->  {new}: proved '{rule}', expected {is_equal}")
    wrong += exhaustive()
    print(f"{len(TESTS)} pairs and all sums, differences and products of 4 bits: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else __doc__)
