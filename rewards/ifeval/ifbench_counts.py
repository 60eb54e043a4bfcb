"""IFBench's `count:` constraints: so many of something.

In: a response that is not empty and the constraint's arguments, already checked for kind. Out:
whether the response follows it, exactly as written. What a word is, `ifbench_text` says. Knows
English alone where a class of words is counted.
"""

from __future__ import annotations

import re
from typing import Final

from rewards.ifeval.ifbench_lexicon import COORDINATING, NAMES, PRONOUNS
from rewards.ifeval.ifbench_text import folded, words

# "Include keyword … once, … twice, … three times, … five times, and … seven times".
_TIMES: Final = (1, 2, 3, 5, 7)
# A number may have signs within (1,000 or 3.14) and letters after it (2nd, 1990s, 5km).
_NUMBER = re.compile(r"(?<!\w)(?<!\w[.,])\d+(?:[.,]\d+)*")
_ENGLISH_WORD = re.compile(r"[A-Za-z]+")
_INTERROBANG = re.compile(r"\?!|!\?|[‽⁈⁉]")
_MARKS: Final = (".", ",", ";", ":", "?", "!", "'’‘", '"“”', "(", ")", "-–—")  # noqa: RUF001
# Hiragana, katakana and the Chinese characters that Japanese is written with.
_JAPANESE: Final = (
    *((0x3005, 0x3007), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
    *((0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x20000, 0x2FA1F)),
)


def conjunctions(response: str, small_n: int) -> bool:
    """At least so many different ones of for, and, nor, but, or, yet, so."""
    return len(COORDINATING.intersection(folded(response))) >= small_n


def keywords_multiple(
    response: str, keyword1: str, keyword2: str, keyword3: str, keyword4: str, keyword5: str
) -> bool:
    """The keywords stand there exactly once, twice, 3, 5 and 7 times.

    As words of their own, in any case: `lamps` is not the keyword `lamp`.
    """
    keywords = (keyword1, keyword2, keyword3, keyword4, keyword5)
    low = response.lower()
    return all(
        len(re.findall(rf"(?<!\w){re.escape(word.lower())}(?!\w)", low)) == times
        for word, times in zip(keywords, _TIMES, strict=True)
    )


def numbers(response: str, N: int) -> bool:
    """Exactly so many numbers in digits.

    `1,000` and `3.14` are one number, `10:30` and `1/2` are two, `2nd` holds one, `H2O` and `GPT4`
    none. Numbers in words are not counted: "one" is as often a pronoun.
    """
    return len(_NUMBER.findall(response)) == N


def person_names(response: str, N: int) -> bool:
    """At least so many different ones of the prompt's fifty names, capitalised as there."""
    return len(set(NAMES).intersection(_ENGLISH_WORD.findall(response))) >= N


def pronouns(response: str, N: int) -> bool:
    """At least so many pronouns; each occurrence counts, also in `it's` and `I'll`.

    `US` and `IT` in capitals are names, a small `i` is a variable.
    """
    found = _ENGLISH_WORD.findall(response)
    return sum(word.lower() in PRONOUNS and word not in {"US", "IT", "i"} for word in found) >= N


def punctuation(response: str) -> bool:
    """Every standard mark: . , ; : ? ! apostrophe, quotation mark, ( ), dash, and the interrobang.

    "Every standard punctuation mark … including semicolons, colons, and the interrobang (?!)": the
    marks that English prose is written with; brackets, braces, slash and ellipsis are no such. The
    `?` and the `!` of an interrobang count for it alone. A hyphen is a dash, and an apostrophe may
    be a single quotation mark.
    """
    rest, interrobangs = _INTERROBANG.subn(" ", response)
    return interrobangs > 0 and all(any(sign in rest for sign in mark) for mark in _MARKS)


def unique_word_count(response: str, N: int) -> bool:
    """At least so many different words, whatever their case."""
    return len(set(folded(response))) >= N


def word_count_range(response: str, min_words: int, max_words: int) -> bool:
    """From the one number of words to the other, both included."""
    return min_words <= len(words(response)) <= max_words


def _is_japanese(word: str) -> bool:
    letters = [ord(sign) for sign in word if sign.isalpha()]
    return bool(letters) and all(
        any(first <= code <= last for first, last in _JAPANESE) for code in letters
    )


def words_japanese(response: str, N: int) -> bool:
    """Every Nth word is written in kana or kanji alone; the others may be anything.

    A response without an Nth word does not follow it.
    """
    every = words(response)[N - 1 :: N]
    return bool(every) and all(map(_is_japanese, every))
