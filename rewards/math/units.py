"""Units of measure, as far as two answers may differ in them.

In: the words that stand behind a number. Out: a `Unit` (dimension and factor), `None` for a word
that names no measure (`apples`, `ways`). A missing unit is forgiven, a contradicting one is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """A known measure: what it measures, and how many base units it is."""

    dimension: str
    factor: Fraction


_KNOWN: Final[dict[str, tuple[str, str]]] = {
    **dict.fromkeys(("mm", "millimeter", "millimetre"), ("length", "1/1000")),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), ("length", "1/100")),
    **dict.fromkeys(("dm", "decimeter", "decimetre"), ("length", "1/10")),
    **dict.fromkeys(("m", "meter", "metre"), ("length", "1")),
    **dict.fromkeys(("km", "kilometer", "kilometre"), ("length", "1000")),
    **dict.fromkeys(("inch", "inche", "in"), ("length", "254/10000")),
    **dict.fromkeys(("foot", "feet", "ft"), ("length", "3048/10000")),
    **dict.fromkeys(("yard", "yd"), ("length", "9144/10000")),
    **dict.fromkeys(("mile", "mi"), ("length", "1609344/1000")),
    **dict.fromkeys(("mg", "milligram"), ("mass", "1/1000")),
    **dict.fromkeys(("g", "gram"), ("mass", "1")),
    **dict.fromkeys(("kg", "kilogram", "kilo"), ("mass", "1000")),
    **dict.fromkeys(("lb", "pound"), ("mass", "45359237/100000")),
    **dict.fromkeys(("oz", "ounce"), ("mass", "45359237/1600000")),
    **dict.fromkeys(("sec", "second"), ("time", "1")),
    **dict.fromkeys(("min", "minute"), ("time", "60")),
    **dict.fromkeys(("hr", "hour", "h"), ("time", "3600")),
    **dict.fromkeys(("day",), ("time", "86400")),
    **dict.fromkeys(("week",), ("time", "604800")),
    **dict.fromkeys(("month",), ("months", "1")),
    **dict.fromkeys(("year", "yr"), ("months", "12")),
    **dict.fromkeys(("cent", "penny", "pennie", "pence"), ("money", "1/100")),
    **dict.fromkeys(("dollar", "$", "euro", "buck"), ("money", "1")),
    **dict.fromkeys(("ml", "milliliter", "millilitre"), ("volume", "1/1000")),
    **dict.fromkeys(("liter", "litre", "l"), ("volume", "1")),
    **dict.fromkeys(("mph",), ("speed", "1609344/1000/3600")),
    **dict.fromkeys(("kmh", "kph"), ("speed", "1000/3600")),
    **dict.fromkeys(("degree", "deg"), ("angle", "1")),
    **{"am": ("forenoon", "1"), "pm": ("afternoon", "1")},
    **dict.fromkeys(("radian", "rad"), ("radian", "1")),
}
LETTER_UNITS: Final = frozenset("mglLshWVANJCF")
SHORT_UNITS: Final = frozenset(
    {name for name in _KNOWN if len(name) in (2, 3) and name not in {"in"}}
    | {"sq", "cu", "cc", "pm", "am", "mL", "Hz", "kW", "km"}
)
# Words behind a number that make another statement of it: "12 or 13", "5 squared", "6 is wrong".
NOT_UNITS: Final = frozenset(
    {
        *("or", "and", "not", "no", "minus", "plus", "times", "to", "of", "is", "if", "are", "was"),
        *("but", "wait", "e", "pi", "i", "factorial", "squared", "cubed", "mod", "base"),
        *("dozen", "half", "quarter", "third", "percent", "below", "zero", "bn", "mn", "less"),
        *("wrong", "incorrect", "false", "than", "too", "which", "ie", "could", "might", "fewer"),
        *("except", "tenth", "tenths", "hundredth", "hundredths", "thousandth", "thousandths"),
        *("gross", "lakh", "crore", "score", "invalid", "void", "red", "debt", "the"),
        *("point", "divided", "by", "rejected", "multiplied", "below", "above", "under", "deficit"),
        *("only", "maybe", "perhaps", "instead", "halves", "thirds", "quarters", "would", "mod"),
        *("isn't", "approximately", "about", "hundreds", "thousands", "millions", "negative"),
    }
)
_POWERS: Final = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}


def _base(word: str) -> tuple[str, Fraction] | None:
    word = word if word in _KNOWN else word.lower().replace(".", "")
    known = _KNOWN.get(word) or (_KNOWN.get(word[:-1]) if word.endswith("s") else None)
    if known is None:
        return None
    factor = Fraction(1)
    for count, part in enumerate(known[1].split("/")):
        factor = factor * int(part) if count == 0 else factor / int(part)
    return known[0], factor


def names_unit(words: str) -> bool:
    """Whether the words can be a unit: none of them makes another statement of the number."""
    first, *rest = words.lower().split() or [""]
    if first.strip("().,;") in NOT_UNITS:
        return False
    return not (NOT_UNITS - {"squared", "cubed"}) & {word.strip("().,;") for word in rest}


@lru_cache(maxsize=512)
def read_unit(text: str) -> Unit | None:
    """The measure that the words name; None when they name none that is known.

    Args:
        text: what follows the number: `cm^2`, `square feet`, `miles per hour`, `apples`.
    """
    text = re.sub(r"\s*\^\s*\{?\s*([23])\s*\}?", r"^\1", text).strip(" .")
    text = text.replace(" per ", "/").replace("/ ", "/")
    top, slash, bottom = text.partition("/")
    if slash:
        above, below = read_unit(top.strip()), read_unit(bottom.strip())
        if above is None or below is None:
            return None
        if (above.dimension, below.dimension) == ("length", "time"):
            return Unit("speed", above.factor / below.factor)
        return Unit(f"{above.dimension}/{below.dimension}", above.factor / below.factor)
    words = text.split()
    power = 1
    if words and words[0].lower() in _POWERS:
        power, words = _POWERS[words[0].lower()], words[1:]
    elif len(words) > 1 and words[-1].lower() in _POWERS:
        power, words = _POWERS[words[-1].lower()], words[:-1]
    if len(words) != 1:
        return None
    word, _, raised = words[0].partition("^")
    power = int(raised) if raised.isdigit() else power
    base = _base(word)
    if base is None:
        return None
    dimension = base[0] if power == 1 else f"{base[0]}^{power}"
    return Unit(dimension, base[1] ** power)


def ratio(pred: str, gold: str) -> Fraction | None:
    """What to multiply the response's figure with to have it in the gold answer's unit.

    1 when either has no unit or one that names no measure; None when the two contradict.
    """
    if pred == gold or not pred or not gold:
        return Fraction(1)
    left, right = read_unit(pred), read_unit(gold)
    if left is None or right is None:
        return Fraction(1)
    return left.factor / right.factor if left.dimension == right.dimension else None
