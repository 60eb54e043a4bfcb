"""What a response betrays whatever was asked: a refusal, a loop, another language than asked in.

In: text. Out: the evidence in a few words, "" where there is none. Rules alone, cheap tests first,
so that thousands of failures cost a second. Says nothing on whether an answer is right.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from conf.errors import RewardError
from eval.graders.refusal import refuses
from rewards.language import consistency, script, words
from rewards.language_id import NAMES, detect

OPENING_CHARS: Final = 350  # a refusal says so at once
TAILS: Final = (1200, 6000)  # a loop fills the end; the second for loops of whole paragraphs
DENSE: Final = 0.3  # compressed/plain size below which a text may be a loop; prose has 0.4-0.6
REPEATS: Final = 4  # times that a unit stands there before it is a loop
GRAM: Final = 4  # words
DISTINCT: Final = 0.4  # share of different 4-grams below which the text says the same again
MIN_GRAMS: Final = 80
LANGUAGE_CHARS: Final = 2000
HEAD_CHARS: Final = 400  # whose letters tell the script
MIN_WORDS: Final = 12  # fewer say nothing of the language
MIN_LATIN_WORDS: Final = 20  # names and units alone are taken for any language
COMMON_SHARE: Final = 0.12  # English prose has 0.3-0.5 of these words
OWN_SHARE: Final = 0.5  # of the words that must be in the expected language

_FENCE = re.compile(
    r"```.*?(?:```|\Z)|\\begin\{(\w+)\*?\}.*?(?:\\end\{\1\*?\}|\Z)|\[asy\].*?(?:\[/asy\]|\Z)"
    r"|\$\$.*?\$\$|\$[^$\n]*\$|\\\(.*?\\\)|\\\[.*?(?:\\\]|\Z)|\\[A-Za-z]+",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-zÀ-ɏ]{2,}")
# The commonest words of English running text, and those of worked answers.
_WORDS: Final = """
    the of and to is in that so we for are it with as be this on by have from or an at not which
    each then there total answer therefore has was will if can you your his her he she they how
    many number since find all one two first into per more than when let must would equal equals
    gives get where our its their were but
"""
_COMMON: Final = frozenset(_WORDS.split())
_BY_CODE: Final = {code: name for name, code in NAMES.items()}


def refusal(response: str) -> str:
    """The sentence by which a response declines, "" where it does not."""
    if not refuses(response):
        return ""
    opening = response.strip()[:OPENING_CHARS]
    sentences = re.split(r"(?<=[.!?])\s+|\n", opening)
    return next((one for one in sentences if refuses(one)), sentences[0])[:120]


def loop(response: str) -> str:
    """How a response repeats itself, "" where it does not."""
    for size in TAILS:
        tail = response[-size:]
        if not _dense(tail):
            continue
        found = _periodic(tail)
        if found:
            return found
        if len(response) <= size:
            break
    return _same_again(response) if _dense(response) else ""


def _dense(text: str) -> bool:
    if len(text) < 120:
        return False
    data = text.encode("utf-8", "replace")
    return len(zlib.compress(data, 1)) < DENSE * len(data)


def _periodic(tail: str) -> str:
    """The unit that a text ends with again and again, by the prefix function of its reverse."""
    back = tail[::-1]
    border = [0] * len(back)
    best = (0, 0)
    for at in range(1, len(back)):
        k = border[at - 1]
        while k and back[at] != back[k]:
            k = border[k - 1]
        border[at] = k + (back[at] == back[k])
        length, period = at + 1, at + 1 - border[at]
        if length >= REPEATS * period and length > best[0]:
            best = (length, period)
    length, period = best
    if length < max(100, len(tail) // 4):
        return ""
    return f"ends with {tail[-period:].strip()[:60]!r}, {length // period} times or more"


def _same_again(text: str) -> str:
    """Few different runs of words."""
    found = text.lower().split()
    grams = len(found) - GRAM + 1
    if grams < MIN_GRAMS:
        return ""
    share = len({tuple(found[i : i + GRAM]) for i in range(grams)}) / grams
    return f"only {share:.0%} of its {GRAM}-word runs are different" if share < DISTINCT else ""


def foreign(prompt: str, response: str, language: str | None = None) -> str:
    """Which language a response is in instead of the expected one, "" where it is in that one.

    Args:
        prompt: what was asked, whose language is expected.
        response: the model's text; code and formulas are left out.
        language: the expected language where the row declares one (code or English name).
    """
    text = _FENCE.sub(" ", response[:LANGUAGE_CHARS])
    expected = language or _expected(prompt)
    if expected is None or (expected == "en" and _reads_english(text)):
        return ""
    kinds = words(text)
    if len(kinds) < (MIN_LATIN_WORDS if set(kinds) == {"LATIN"} else MIN_WORDS):
        return ""
    try:
        share = consistency(text, expected)
        other = detect(text)
    except RewardError:  # without langdetect, or a language that it does not know
        return _by_script(text) if expected == "en" else ""
    if share is None or share >= OWN_SHARE or other is None or other == expected:
        return ""
    if not language and _mentions(prompt, other):
        return ""
    return f"{1 - share:.0%} of the words are not {expected}; reads as {other}"


def _reads_english(text: str) -> bool:
    found = _WORD.findall(text)
    head = text[:HEAD_CHARS]
    letters = 0
    if not head.isascii():
        letters = sum(script(char) not in ("", "LATIN") for char in head)
    if letters > 0.3 * len(head):
        return False
    if len(found) < MIN_WORDS:
        return letters == 0
    return sum(word.lower() in _COMMON for word in found) >= COMMON_SHARE * len(found)


@lru_cache(maxsize=1024)  # several samples and models answer the same prompt
def _expected(prompt: str) -> str | None:
    """The prompt's language; None where it cannot be told."""
    text = _FENCE.sub(" ", prompt[:LANGUAGE_CHARS])
    if _reads_english(text):
        return "en"
    try:
        return detect(text) if len(words(text)) >= MIN_WORDS else None
    except RewardError:
        return None


def _by_script(text: str) -> str:
    kinds: Sequence[str] = words(text)
    other = [kind for kind in kinds if kind != "LATIN"]
    if len(other) <= OWN_SHARE * len(kinds):
        return ""
    return f"written in {max(set(other), key=other.count).lower()} letters"


def _mentions(prompt: str, code: str) -> bool:
    """Whether the prompt names the language: a translation is asked for."""
    name = _BY_CODE.get(code.partition("-")[0])
    return name is not None and name in prompt.lower()
