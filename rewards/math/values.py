r"""Values of terms: exact fingerprints in a prime field, and floats to tell far from near.

In: a `Term`. Out: `fingerprint`, the image of the term under a fixed ring homomorphism into the
integers modulo a prime P, letters going to fixed pseudo-random residues: two rational functions
that differ have the same image with probability below degree/P (Schwartz 1980, Zippel 1979; the
method for expressions: Martin, JACM 18, 1971; Gonnet, STOC 1984). P is 1 modulo 8 and modulo each
prime below 100, so that i and the roots of all products of those primes exist modulo P (quadratic
reciprocity) and surds are as exact as fractions. π and e are letters (transcendental; that they
are independent is assumed). What has no exact image (sines, logarithms, odd roots) gets one by its
form; its image then proves equality only, and `Value.exact` is False. `approximate` is the term as
complex float. Both refuse (`TooBig`) what would be large before they compute it, and so need no
deadline.
"""

from __future__ import annotations

import cmath
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rewards.math.terms import Term
from rewards.math.tokens import Unreadable

SMALL_PRIMES: Final = tuple(
    n for n in range(2, 100) if all(n % d for d in range(2, math.isqrt(n) + 1))
)
# The least prime k·8·∏p + 1 over the odd primes p below 100 (126 bits).
PRIME: Final = 5 * 8 * math.prod(SMALL_PRIMES[1:]) + 1
MAX_BITS: Final = 20_000  # of a number that is kept exactly
MAX_FACTORIAL: Final = 5000
MAX_BINOM: Final = 5000


class TooBig(Unreadable):
    """Well-formed, and not computed: it would cost too much."""


@dataclass(frozen=True, slots=True)
class Value:
    """The image of a term.

    Attributes:
        residue: modulo `PRIME`.
        rational: the number itself where it is rational and small enough to keep.
        exact: whether different images prove different terms.
        big: whether a rational was dropped for its size, so that it can be no exponent.
    """

    residue: int
    rational: Fraction | None = None
    exact: bool = True
    big: bool = False


def _hashed(*parts: object) -> int:
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=24).digest()
    return int.from_bytes(digest, "big") % PRIME


@lru_cache(maxsize=1024)
def _letter(name: str, seed: int) -> int:
    return modular_root(PRIME - 1) or 0 if name == "i" else _hashed("letter", name, seed)


@lru_cache(maxsize=4096)
def modular_root(square: int) -> int | None:
    """A square root modulo `PRIME` (Tonelli-Shanks), the smaller one; None where there is none."""
    if square == 0:
        return 0
    if pow(square, (PRIME - 1) // 2, PRIME) != 1:
        return None
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    other = next(z for z in range(2, 1000) if pow(z, (PRIME - 1) // 2, PRIME) == PRIME - 1)
    c, root, t = pow(other, odd, PRIME), pow(square, (odd + 1) // 2, PRIME), pow(square, odd, PRIME)
    while t != 1:
        order, power = 0, t
        while power != 1:
            power, order = power * power % PRIME, order + 1
        step = pow(c, 1 << (twos - order - 1), PRIME)
        twos, c = order, step * step % PRIME
        root, t = root * step % PRIME, t * c % PRIME
    return min(root, PRIME - root)


def _of(number: Fraction) -> Value:
    bottom = number.denominator % PRIME
    if bottom == 0:
        raise Unreadable("a multiple of the modulus")
    residue = number.numerator % PRIME
    return Value(residue if bottom == 1 else residue * pow(bottom, -1, PRIME) % PRIME, number)


def _small(number: Fraction) -> bool:
    return number.numerator.bit_length() + number.denominator.bit_length() <= MAX_BITS


def _joined(residue: int, number: Fraction | None, left: Value, right: Value) -> Value:
    """The value of a sum or product of two."""
    exact, big = left.exact and right.exact, left.big or right.big
    if number is not None and not _small(number):
        return Value(residue, None, exact, True)
    return Value(residue, number, exact, big)


def _add(left: Value, right: Value) -> Value:
    a, b = left.rational, right.rational
    number = None if a is None or b is None else a + b
    return _joined((left.residue + right.residue) % PRIME, number, left, right)


def _mul(left: Value, right: Value) -> Value:
    a, b = left.rational, right.rational
    number = None if a is None or b is None else a * b
    return _joined(left.residue * right.residue % PRIME, number, left, right)


def _inverse(value: Value) -> Value:
    if value.residue == 0:
        raise Unreadable("a division by zero")
    number = 1 / value.rational if value.rational else None
    return Value(pow(value.residue, -1, PRIME), number, value.exact, value.big)


def _neg(value: Value) -> Value:
    number = -value.rational if value.rational is not None else None
    return Value(-value.residue % PRIME, number, value.exact, value.big)


def _exact_root(number: int, index: int) -> int | None:
    """The whole root of a perfect power."""
    if number < 2:
        return number
    low, high = 1, 1 << (number.bit_length() // index + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**index < number:
            low = middle + 1
        else:
            high = middle
    return low if low**index == number else None


def _surd(number: Fraction, index: int) -> Value:
    """The real root of a positive rational, with what can be drawn out drawn out."""
    # (n/d)^(1/q) = (n·d^(q-1))^(1/q) / d
    rest, outside, image = number.numerator * number.denominator ** (index - 1), 1, 1
    exact = True
    if rest.bit_length() > 400:
        raise TooBig("a root of a large number")
    for prime in SMALL_PRIMES:
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        outside *= prime ** (count // index)
        if count % index and index == 2:
            image = image * (modular_root(prime) or 0) % PRIME
        elif count % index:
            image = image * _hashed("root", prime, index) ** (count % index) % PRIME
            exact = False
    whole = _exact_root(rest, index)
    if whole is not None:
        outside *= whole
    else:
        root = modular_root(rest % PRIME) if index == 2 and rest < 10**4 else None  # then prime
        image = image * (root or _hashed("root", rest, index)) % PRIME
        exact = exact and root is not None
    factor = _of(Fraction(outside, number.denominator))
    if image == 1:
        return factor
    return Value(factor.residue * image % PRIME, None, exact)


def _root(inner: Value, index: int) -> Value:
    number = inner.rational
    if number is not None:
        if number >= 0:
            return _surd(number, index) if number else inner
        if index == 2:
            return _mul(Value(_letter("i", 0)), _surd(-number, 2))
        if index % 2:
            return _neg(_surd(-number, index))
    root = modular_root(inner.residue) if index == 2 else None
    return Value(_hashed("root", inner.residue, index) if root is None else root, None, False)


def _power(base: Value, exponent: Value) -> Value:
    number = exponent.rational
    if exponent.big:
        raise TooBig("an exponent beyond all bounds")
    if number is None:
        return Value(_hashed("power", base.residue, exponent.residue), None, False, base.big)
    if number.denominator != 1:
        if number.denominator > 60:
            raise TooBig("a root of high order")
        root = _root(base, number.denominator)
        return _power(root, _of(Fraction(number.numerator)))
    whole = number.numerator
    if whole < 0:
        return _power(_inverse(base), _of(Fraction(-whole)))
    residue = pow(base.residue, whole % (PRIME - 1) or (PRIME - 1 if whole else 0), PRIME)
    if base.rational is None:
        return Value(residue, None, base.exact, base.big)
    bits = base.rational.numerator.bit_length() + base.rational.denominator.bit_length()
    if base.rational in (0, 1, -1) or bits * whole <= MAX_BITS:
        return Value(residue, base.rational**whole)
    return Value(residue, None, True, True)


def _floor(number: Fraction) -> Fraction:
    return Fraction(math.floor(number))


def _ceil(number: Fraction) -> Fraction:
    return Fraction(math.ceil(number))


_ROUNDED: Final[dict[str, Callable[[Fraction], Fraction]]] = {
    "abs": abs,
    "floor": _floor,
    "ceil": _ceil,
}


def _function(name: str, values: list[Value]) -> Value:
    first = values[0]
    number = first.rational
    if first.big and name not in ("sqrt", "root", "abs"):
        raise TooBig(f"the {name} of a number beyond all bounds")
    if name == "sqrt":
        return _root(first, 2)
    if name == "root":
        index = values[1].rational
        if index is None or index.denominator != 1 or not 2 <= index <= 60:
            raise Unreadable("a root of that order")
        return _root(first, int(index))
    if name == "factorial":
        if number is None or number.denominator != 1 or number < 0:
            return Value(_hashed(name, first.residue), None, False)
        if number > MAX_FACTORIAL:
            raise TooBig("the factorial of a large number")
        product = Fraction(math.factorial(int(number)))
        return _joined(product.numerator % PRIME, product, first, first)
    if name == "binom":
        below = values[1].rational
        if number is None or below is None or number.denominator * below.denominator != 1:
            return Value(_hashed(name, first.residue, values[1].residue), None, False)
        if number > MAX_BINOM:
            raise TooBig("a binomial of large numbers")
        if 0 <= below <= number:
            return _of(Fraction(math.comb(int(number), int(below))))
        return Value(_hashed(name, first.residue, values[1].residue), None, False)
    if number is not None and name in ("abs", "floor", "ceil"):
        return _of(_ROUNDED[name](number))
    return Value(
        _hashed("ln" if name == "log" else name, *(v.residue for v in values)), None, False
    )


def fingerprint(term: Term, seed: int = 0) -> Value:
    """The image of a term.

    Args:
        term: what to map.
        seed: another choice of the letters' residues.

    Raises:
        TooBig: it holds something that is not computed for its size.
        Unreadable: it has no value (a division by zero).
    """
    form = term[0]
    if form == "num":
        return _of(term[1])
    if form == "sym":
        return Value(_letter(term[1], seed))
    if form == "neg":
        return _neg(fingerprint(term[1], seed))
    if form == "fn":
        return _function(term[1], [fingerprint(part, seed) for part in term[2:]])
    if form == "call":
        inner = fingerprint(term[2], seed)
        return Value(_hashed("call", term[1], inner.residue, seed), None, inner.exact)
    left = fingerprint(term[1], seed)
    if form == "pow" and term[1][:2] == ("fn", "sqrt") and term[2] == ("num", Fraction(2)):
        return fingerprint(term[1][2], seed)
    right = fingerprint(term[2], seed)
    if form == "add":
        return _add(left, right)
    if form == "mul":
        return _mul(left, right)
    return _mul(left, _inverse(right)) if form == "div" else _power(left, right)


_CONSTANTS: Final = {"π": complex(math.pi), "e": complex(math.e), "i": 1j}
_FUNCTIONS: Final = {
    **{name: getattr(cmath, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"arcsin": cmath.asin, "arccos": cmath.acos, "arctan": cmath.atan, "sqrt": cmath.sqrt},
    **{"ln": cmath.log, "log": cmath.log},
    "cot": lambda z: 1 / cmath.tan(z),
    "sec": lambda z: 1 / cmath.cos(z),
    "csc": lambda z: 1 / cmath.sin(z),
    "abs": lambda z: complex(abs(z)),
}


def approximate(term: Term, seed: int = 0) -> complex | None:
    """The term as a float, its letters at fixed places in (0.5, 1.5); None where that fails."""
    try:
        value = _float(term, seed)
    except (ArithmeticError, ValueError):  # overflow, a pole, no such function
        return None
    return value if cmath.isfinite(value) else None


def _float(term: Term, seed: int) -> complex:
    form = term[0]
    if form == "num":
        return complex(float(term[1]))
    if form == "sym":
        known = _CONSTANTS.get(term[1])
        if term[1] == "∞":
            raise ValueError("infinite")
        return complex(0.5 + _letter(term[1], seed) / PRIME) if known is None else known
    if form == "neg":
        return -_float(term[1], seed)
    if form == "call":
        raise ValueError("a function that is only named")
    if form == "fn" and term[1] == "root":
        base, index = _float(term[2], seed), _float(term[3], seed)
        if base.imag == 0 and base.real < 0 and index.imag == 0 and index.real % 2 == 1:
            return complex(-((-base.real) ** (1 / index.real)))
        return complex(base ** (1 / index))
    if form == "fn":
        function = _FUNCTIONS.get(term[1])
        if function is None:
            raise ValueError(term[1])
        return complex(function(_float(term[2], seed)))
    left, right = _float(term[1], seed), _float(term[2], seed)
    if form == "add":
        return left + right
    if form == "mul":
        return left * right
    return left / right if form == "div" else complex(left**right)
