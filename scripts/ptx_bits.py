"""What is known of a whole number of a register, bit by bit and by bounds, and what follows for the numbers made of it."""


class Bits:
    """What is known of a number of `width` bits: bits that are 0, bits that are 1, the least and the greatest it may be."""

    def __init__(self, width, zero=0, one=0, low=0, high=None):
        mask = (1 << width) - 1
        self.width, self.mask = width, mask
        high = mask if high is None else high
        self.low, self.high = max(low, one), min(high, mask & ~zero)
        same = mask ^ ((1 << (self.low ^ self.high).bit_length()) - 1)  # leading bits that both bounds share
        self.zero, self.one = (zero | same & ~self.low) & mask, (one | same & self.low) & mask

    def key(self):
        return self.width, self.zero, self.one, self.low, self.high

    def known(self):
        return self.zero | self.one

    def trailing(self):
        """How many of the lowest bits are 0."""
        free = ~self.zero & self.mask
        return (free & -free).bit_length() - 1 if free else self.width

    def may_be(self, value):
        return self.low <= value <= self.high and not value & self.zero and not ~value & self.one

    def as_signed(self):
        """Least and greatest as a signed number."""
        top = 1 << (self.width - 1)
        if self.zero & top or self.one & top:
            return tuple(v - ((v & top) << 1) for v in (self.low, self.high))
        return -top, top - 1


def constant(width, value):
    value &= (1 << width) - 1
    return Bits(width, ~value & ((1 << width) - 1), value, value, value)


def joined(a, b):
    return Bits(a.width, a.zero & b.zero, a.one & b.one, min(a.low, b.low), max(a.high, b.high))


def inverse(a):
    return Bits(a.width, a.one, a.zero, a.mask - a.high, a.mask - a.low)


def total(a, b, carry):
    """a + b + carry, known bit by bit as far as the carries are."""
    mask = a.mask
    most = ((~a.zero & mask) + (~b.zero & mask) + carry) & mask
    least = (a.one + b.one + carry) & mask
    known = a.known() & b.known() & (~(most ^ a.zero ^ b.zero) | (least ^ a.one ^ b.one)) & mask
    out = ~most & known, least & known
    if a.high + b.high + carry <= mask:
        return Bits(a.width, *out, a.low + b.low + carry, a.high + b.high + carry)
    return Bits(a.width, *out)


def resized(a, width, is_signed):
    if width <= a.width:
        mask = (1 << width) - 1
        fits = a.high <= mask
        return Bits(width, a.zero & mask, a.one & mask, a.low if fits else 0, a.high if fits else mask)
    more = ((1 << width) - 1) ^ a.mask
    if not is_signed or a.high < 1 << (a.width - 1):
        return Bits(width, a.zero | more, a.one, a.low, a.high)
    return Bits(width, a.zero & (a.mask >> 1), a.one & (a.mask >> 1))


def shifted(kind, a, by, is_signed):
    by = min(by, a.width)
    if kind == "shl":
        fits = a.high << by <= a.mask
        return Bits(a.width, (a.zero << by | (1 << by) - 1) & a.mask, a.one << by & a.mask,
                    a.low << by if fits else 0, a.high << by if fits else a.mask)
    if is_signed and a.high >> (a.width - 1):
        return Bits(a.width)
    return Bits(a.width, a.zero >> by | (a.mask ^ a.mask >> by), a.one >> by, a.low >> by, a.high >> by)


def compared(relation, a, b, is_signed):
    """The outcome of an integer comparison as a bit: 0, 1 or either."""
    (p, q), (r, s) = (a.as_signed(), b.as_signed()) if is_signed else ((a.low, a.high), (b.low, b.high))
    differ = q < r or s < p or a.one & b.zero or a.zero & b.one
    outcome = {"lt": (q < r, p >= s), "le": (q <= r, p > s), "gt": (p > s, q <= r), "ge": (p >= s, q < r),
               "eq": (p == q == r == s, differ), "ne": (differ, p == q == r == s)}[relation]
    return constant(1, 1) if outcome[0] else constant(1, 0) if outcome[1] else Bits(1)


def exhaustive():
    """Every pair of known bits of 4-bit numbers: what is said of the result holds for all the numbers it stands for."""
    wrong = 0
    numbers = [Bits(4, z, o) for z in range(16) for o in range(16) if not z & o]
    for a in numbers:
        for b in numbers:
            for what, fact in ((lambda x, y: x + y, total(a, b, 0)), (lambda x, y: x - y, total(a, inverse(b), 1))):
                wrong += any(not fact.may_be(what(x, y) & 15) for x in range(16) if a.may_be(x) for y in range(16) if b.may_be(y))
            for relation, what in (("lt", lambda x, y: x < y), ("ge", lambda x, y: x >= y), ("eq", lambda x, y: x == y)):
                for sign in (False, True):
                    fact, bend = compared(relation, a, b, sign), 8 if sign else 0
                    wrong += any(not fact.may_be(int(what(x ^ bend, y ^ bend))) for x in range(16) if a.may_be(x)
                                 for y in range(16) if b.may_be(y))
        for by in range(5):
            for x in (x for x in range(16) if a.may_be(x)):
                wrong += not shifted("shl", a, by, False).may_be(x << by & 15)
                wrong += not shifted("shr", a, by, False).may_be(x >> by)
                wrong += not shifted("shr", a, by, True).may_be((x - ((x & 8) << 1)) >> by & 15)
    return wrong
