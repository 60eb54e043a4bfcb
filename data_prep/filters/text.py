"""How text is compared: normal forms, words, numbers. The one definition that all filters share.

In: a string. Out: `normal_form` (exact duplicates: case, white space, quotes and sentence
punctuation gone, operators and brackets kept), `plain` and `words_of` (overlap: letters and digits
alone), `figures_of` and `numbers_of` (the numbers a text names). Number words are English; no
semantics.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_TYPOGRAPHY: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),  # invisible, so no break
        "×": "*",
        "÷": "/",
        "…": "...",
    }
)
# Scripts written without spaces: each sign counts as a word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_PERIOD = re.compile(r"\.(?!\d)")
_MARKS_AND_OPERATORS: Final = str.maketrans(
    {**dict.fromkeys("\"',;:!?$\\", " "), **{sign: f" {sign} " for sign in "-+*/=<>^%&|~()[]{}"}}
)
_HYPHEN = re.compile(r"(?<=[^\W\d_])-+(?=[^\W\d_])|(?<!\S)-+(?!\S)")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NOT_PLAIN = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

_UNITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS: Final = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
NUMBER_WORDS: Final = {
    **{word: number for number, word in enumerate(_UNITS)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12,
    "once": 1, "twice": 2, "thrice": 3, "double": 2, "triple": 3,
}  # fmt: skip
_TENS_UNIT = re.compile(
    rf"\b({'|'.join(_TENS)})[- ]({'|'.join(_UNITS[1:10])})\b", re.IGNORECASE | re.ASCII
)


def unify(text: str) -> str:
    """One spelling for what Unicode spells in several ways; case folded; ASCII stays fast."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)
    return _UNSPACED.sub(lambda found: f" {found[0]} ", text.casefold())


def normal_form(text: str) -> str:
    """The form in which two texts are exact duplicates.

    Case, white space, quotes and sentence punctuation do not count; digits, decimal points,
    brackets and operators do: "3+4" and "3-4" are two questions, "8/(4/2)" and "8/4/2" too.
    """
    text = _GROUPED.sub("", unify(text))
    if "-" in text:
        text = _HYPHEN.sub(" ", text)
    return " ".join(_PERIOD.sub(" ", text).translate(_MARKS_AND_OPERATORS).split())


def plain(text: str) -> str:
    """Letters and digits in words with single spaces between them: the form of n-grams."""
    return _NOT_PLAIN.sub(" ", unify(text)).strip()


def words_of(text: str) -> list[str]:
    """The words of `plain`."""
    return plain(text).split()


def _canonical(number: str) -> str:
    whole, _, decimals = number.partition(".")
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")


def figures_of(text: str) -> list[str]:
    """The numbers that a text writes in digits, in its order; signs are left aside."""
    return [_canonical(number) for number in _NUMBER.findall(_GROUPED.sub("", unify(text)))]


def numbers_of(text: str) -> list[str]:
    """The numbers that a text names in digits or English words, sorted, as often as named.

    `1,000`, `1000` and `1000.0` are one number; `twenty-five` and `twice` are 25 and 2.
    """
    found = figures_of(text)

    def digits(pair: re.Match[str]) -> str:
        found.append(str(NUMBER_WORDS[pair[1]] + NUMBER_WORDS[pair[2]]))
        return " "

    text = _TENS_UNIT.sub(digits, unify(text))
    found += [str(NUMBER_WORDS[word]) for word in words_of(text) if word in NUMBER_WORDS]
    return sorted(found)
