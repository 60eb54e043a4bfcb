r"""Read a number as people and models write it, exactly, and never by evaluating text.

In: a short string such as `$1,234.50`, `**42**.`, `2 1/2`, `\frac{3}{4}`, `1.5 \times 10^5`,
`50\%`, `12 apples`, `3 million`. Out: a `Number` (an exact Fraction, and whether it was written
as a percentage), or None when the whole string is not one number. No floats, no tolerance, no
symbolic algebra; size is bounded before anything is computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from rewards.math.units import LETTER_UNITS, SHORT_UNITS, names_unit

MAX_CHARS: Final = 200  # longer is no final number
MAX_EXPONENT: Final = 300  # 10**e of a hostile e must not be built

_SCALES: Final = {
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_GROUPED = r"[1-9]\d{0,2}(?:,\d{3})+"  # 0,042 may be a decimal comma: not read
_DECIMAL = rf"(?:{_GROUPED}|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"""
    (?P<sign>[+-])?\s*
    (?:
        (?P<whole>\d+)\s+(?P<mnum>\d+)/(?P<mden>\d+)          # 2 1/2
      | (?P<num>{_GROUPED}|\d+)\s*/\s*(?P<den>{_GROUPED}|\d+)
      | (?P<decimal>{_DECIMAL})
        (?:[eE](?P<exp>[+-]?\d+)|\s*[x*]\s*10\s*\^\s*(?P<pow>[+-]?\d+))?
    )
    """,
    re.VERBOSE | re.ASCII,
)
_PLAIN = re.compile(r"-?\d+", re.ASCII)
_CURRENCY = re.compile(r"^(?:\\?[$€£¥]|USD )\s*")
_REMARK = re.compile(r"\(\s*([A-Za-z ]+)\s*\)$")
_SPACED = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?: \d{3})+)(?![\d,/])")  # 1 500
_UNIT = re.compile(r"(?:[A-Za-z]+(?:\^[23])?(?:\s+|$)){1,3}", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z]\s*=\s*", re.ASCII)
_FRAC = re.compile(r"\\[dt]?frac\s*(?:\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)\s*(\d))", re.ASCII)
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox|textit)\s*\{([^{}]*)\}")
_SPACES = re.compile(r"(?:\s|\\[,;:! ]|~|\\quad)+")
_TYPOGRAPHY = str.maketrans({"−": "-", "–": "-", "×": "x", "\u00a0": " ", "\u202f": " "})


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number.

    Attributes:
        value: as written; `50%` has the value 50.
        percent: whether a percent sign, or the word, followed.
        unit: the words that followed, `$` for a currency before it; "" when none.
    """

    value: Fraction
    percent: bool = False
    unit: str = ""

    def __str__(self) -> str:
        """Integers and fractions as Python writes them: `42`, `-5/2`, `50%`."""
        return f"{self.value}{'%' if self.percent else ''}"


def _clean(text: str) -> str:
    """Take off markup that does not change the value: Markdown, LaTeX wrappers, quotes."""
    text = text.translate(_TYPOGRAPHY).strip()
    text = re.sub(r"(?<=\d)(?:\\,|\\!|\{,\}|\\ )(?=\d{3}(?!\d))", ",", text)  # 1\,000  1{,}000
    text = _TEXT.sub(r" \1 ", text)
    text = text.replace("\\times", "x").replace("\\cdot", "*").replace("\\%", "%")
    text = text.replace("\\left", "").replace("\\right", "").replace("^\\circ", "°")
    text = re.sub(r"\^\s*\{\s*(\S+?)\s*\}", r"^\1", text)  # 10^{5}
    text = re.sub(r"\\[()\[\]]", "", text)
    text = _FRAC.sub(lambda m: f" {m[1] or m[3]}/{m[2] or m[4]} ", text)
    text = _SPACES.sub(" ", text).strip()
    text = _SPACED.sub(lambda m: m[1] + m[2].replace(" ", ""), text)
    previous = None
    while previous != text:
        previous = text
        text = text.strip(" \"'`").lstrip(":").rstrip(".,;:")  # a leading point is a decimal's
        for mark in ("**", "__", "*", "_", "$"):
            if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
                text = text[len(mark) : -len(mark)]
        text = text.removesuffix("**")  # what is left of "**Answer: 42**"
    return text


def _integer(digits: str) -> int:
    return int(digits.replace(",", ""))


def _value(match: re.Match[str]) -> Fraction | None:
    """The magnitude that the match spells; None for a zero denominator or a hostile exponent."""
    if match["whole"] is not None:
        if int(match["mden"]) == 0:
            return None
        return int(match["whole"]) + Fraction(int(match["mnum"]), int(match["mden"]))
    if match["num"] is not None:
        bottom = _integer(match["den"])
        return Fraction(_integer(match["num"]), bottom) if bottom else None
    exponent = int(match["exp"] or match["pow"] or 0)
    if abs(exponent) > MAX_EXPONENT:
        return None
    return Fraction(match["decimal"].replace(",", "")) * Fraction(10) ** exponent


class _Suffix(NamedTuple):
    scale: int
    percent: bool
    unit: str


def _suffix(tail: str) -> _Suffix | None:
    """Scale, percent and unit that the text after the number says; None if it says more."""
    text = tail.strip()
    remark = _REMARK.search(text)
    if remark is not None and names_unit(remark[1]):
        text = text[: remark.start()].strip()
    if text in {"", "$", "€", "£", "°"}:
        return _Suffix(1, False, {"": "", "°": "degree"}.get(text, "$"))
    if text.lower() in {"%", "percent", "per cent"}:
        return _Suffix(1, True, "")
    words = text.split()
    scale = _SCALES.get(words[0].lower(), 1)
    rest = " ".join(words[1:] if scale != 1 else words)
    if not rest:
        return _Suffix(scale, False, "")
    if (
        not _UNIT.fullmatch(rest)
        or not names_unit(rest)
        or _SCALES.keys() & set(rest.lower().split())
    ):
        return None
    gap = tail[:1].isspace() or scale != 1
    ok = all(_is_unit(word.partition("^")[0], gap) for word in rest.split())
    return _Suffix(scale, False, rest) if ok else None


def _is_unit(word: str, gap: bool) -> bool:
    """Whether a word names what is counted, and is no product of variables."""
    if len(word) == 1:
        return gap and word in LETTER_UNITS
    if len(word) < 4:
        vowel = gap and len(word) == 3 and re.search("[aeiou]", word.lower()) is not None
        return word in SHORT_UNITS or vowel
    return True


def parse_number(text: str) -> Number | None:
    """The number that the whole text says, or None.

    Args:
        text: an answer, markup and unit included; longer than 200 characters is refused.
    """
    if len(text) > MAX_CHARS:
        return None
    if _PLAIN.fullmatch(text):  # nearly all gold answers and most predictions
        return Number(Fraction(int(text)))
    text = _clean(text)
    text = _ASSIGNMENT.sub("", text, count=1) if _ASSIGNMENT.match(text) else text
    negative = text.startswith("-")
    text = text[1:].lstrip() if negative else text
    bare = _CURRENCY.sub("", text, count=1)
    money, text = "$" if bare != text else "", bare
    match = _NUMBER.match(text)
    if match is None or (negative and match["sign"]):
        return None
    value = _value(match)
    tail = text[match.end() :]
    suffix = _suffix(tail.rstrip())
    if value is None or suffix is None:
        return None
    if match["sign"] == "-" or negative:
        value = -value
    return Number(value * suffix.scale, suffix.percent, suffix.unit or money)
