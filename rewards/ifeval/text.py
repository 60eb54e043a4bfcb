"""Counting in a text as IFEval counts: words, sentences, words in capitals, lines, paragraphs.

In: a response. Out: numbers and lists. A word is a run of letters, digits and underscores. A
sentence ends as in Kiss and Strunk's Punkt (Computational Linguistics 32, 2006), which the paper's
authors count with: at a full stop, question or exclamation mark before white space, whatever the
case of the next word, unless the full stop belongs to an abbreviation, an initial or an ellipsis.
Punkt learns abbreviations from a corpus; here they are a list. Every function is linear in the
text: no pattern can backtrack over it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_STOP = re.compile(r"[.?!]+|[。！？।॥؟]+")  # noqa: RUF001 (the stops of other scripts)
_CLOSERS: Final = "\"'”’»)]}*_"  # noqa: RUF001 (quotation marks that may follow a stop)
_OPENERS: Final = "\"'“‘«([{*_-#"  # noqa: RUF001
# Abbreviations, without their full stop, by what decides whether a sentence ends at it.
# fmt: off
# Nothing: it never does.
_NEVER_ENDS: Final = frozenset(
    {
        "mr", "mrs", "ms", "messrs", "dr", "prof", "st", "rev", "hon", "gen", "col", "maj",
        "capt", "lt", "cmdr", "sgt", "cpl", "sen", "rep", "gov", "pres", "supt", "det", "vs", "v",
        "cf", "e.g", "i.e", "viz", "approx", "est", "dept", "assn", "univ", "ave", "blvd", "rd",
        "hwy", "ft", "mt", "eds",
    }
)
# A capital letter after it.
_MAY_END: Final = frozenset(
    {
        "etc", "al", "inc", "ltd", "co", "corp", "bros", "jr", "sr", "a.m", "p.m", "u.s", "u.k",
        "u.n", "u.s.a", "d.c", "l.a", "ph.d", "m.d", "b.a", "m.a", "b.s", "m.s", "j.d", "m.b.a",
        "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
        "mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri",
    }
)
# They are words too: it does unless a number follows.
_BEFORE_NUMBER: Final = frozenset(
    {
        "no", "nos", "vol", "vols", "fig", "figs", "eq", "eqs", "sec", "ch", "p", "pp", "op",
    }
)
# fmt: on
ABBREVIATIONS: Final = _NEVER_ENDS | _MAY_END | _BEFORE_NUMBER
_SCAN: Final = 40  # characters looked at before a full stop; no abbreviation is longer
# English clitics that a tokenizer cuts off: "I'M" counts as two words, "DOG'S" as well.
_CLITIC = re.compile(r"(?<=\w)(?='(?:s|m|d|re|ve|ll)\b)|(?<=\w)(?=n't\b)", re.IGNORECASE)
_CAPITAL_CUT = re.compile(r"[\s,;:?!()\[\]{}<>\"“”]+|--+|\.{2,}")


@lru_cache(maxsize=1)
def marks() -> str:
    r"""The combining marks.

    `\w` alone knows none and would cut a Hindi or Telugu word at each vowel sign.
    """
    return "".join(chr(n) for n in range(0x300, 0x3100) if unicodedata.category(chr(n))[0] == "M")


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """A run of word characters and combining marks."""
    return re.compile(rf"\w[\w{marks()}]*")


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return len(_word().findall(text))


def _word_before(text: str, end: int) -> str:
    """The non-space characters before `end`, at most `_SCAN`, without opening marks."""
    piece = text[max(0, end - _SCAN) : end]
    words = piece.split()
    if not words or piece[-1].isspace():
        return ""
    return words[-1].lstrip(_OPENERS)


def _ends(text: str, stop: re.Match[str], after: str) -> bool:
    """Whether a sentence ends at this stop.

    Args:
        text: the whole text.
        stop: a run of stops, followed by white space.
        after: the first character of the next word that is no opening mark, "" if none.
    """
    marks = stop[0]
    if marks == ".":
        word = _word_before(text, stop.start())
        low = word.lower()
        if low in ABBREVIATIONS:
            may = low in _MAY_END and after.isupper()
            return may or (low in _BEFORE_NUMBER and not after.isdigit())
        if len(word) == 1 and word.isupper() and word != "I":
            return not after.isupper()  # the initial of a name
        if word.isdigit():
            return not after.islower()
        return True
    if set(marks) == {"."}:
        return after.isupper()  # an ellipsis
    return True


def count_sentences(text: str) -> int:
    """How many there are."""
    return len(sentences(text))


def sentences(text: str) -> list[str]:
    """The sentences, each with its stop; what follows the last stop is one if it is not blank."""
    found = []
    position = 0  # where the current sentence began
    for stop in _STOP.finditer(text):
        end = stop.end()
        while end < len(text) and text[end] in _CLOSERS:
            end += 1
        if end >= len(text):
            break
        wide = stop[0][0] not in ".?!" and stop[0][0] not in "।॥؟"  # no space after a CJK stop
        if not text[end].isspace() and not wide:
            continue
        after = _next_letter(text, end)
        if _ends(text, stop, after) and text[position:end].strip():
            found.append(text[position:end].strip())
            position = end
    rest = text[position:].strip()
    return [*found, rest] if rest else found


def _next_letter(text: str, start: int) -> str:
    """The first character from `start` on that is neither white space nor an opening mark."""
    for position in range(start, min(len(text), start + 200)):
        if not text[position].isspace() and text[position] not in _OPENERS:
            return text[position]
    return ""


def count_capital_words(text: str) -> int:
    """Words all of whose letters are capitals; `A`, `COVID-19` and `U.S.` are words."""
    spaced = _CLITIC.sub(" ", text)
    return sum(token.isupper() for token in _CAPITAL_CUT.split(spaced))


def split_outer(text: str, divider: re.Pattern[str]) -> list[str] | None:
    """The parts between dividers; None if one within the text is empty.

    An empty part at either end is left out: a divider may open or close the text.
    """
    parts = [part.strip() for part in divider.split(text)]
    if len(parts) > 1 and not parts[0]:
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1]:
        parts = parts[:-1]
    return parts if all(parts) else None
