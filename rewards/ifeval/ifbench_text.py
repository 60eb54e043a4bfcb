"""Words and sentences as IFBench's constraints speak of them (arXiv 2507.02833).

In: a response. Out: its words, its sentences, what kind a sentence is. A word is what stands
between white space ("the indices are word indices, split by whitespace"), dashes and ellipses,
without the signs around it: `don't` and `well-known` are one word, a bullet or an emoji is none.
HTML tags are no words; tags, headings and a list's marks are no part of a sentence. A number in
digits is a word where words are counted and none where letters are judged (`lettered`). Sentences
end as in `text`. Every function is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal

from rewards.ifeval import text

Kind = Literal["declarative", "interrogative", "exclamatory"]
VOWELS: Final = "aeiou"
_STOPS: Final = frozenset(".?!‽。！？؟")  # noqa: RUF001 (the stops of other scripts)
# Tags within a word leave it one word; all others part words. The bound keeps the scan linear.
_INLINE_TAG = re.compile(
    r"</?(?:i|em|b|strong|u|s|sub|sup|span|mark|code)\b[^<>]{0,200}>", re.IGNORECASE
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_BETWEEN_WORDS = re.compile(r"--+|\.{2,}|[—–―…]")
# A line that is a heading in Markdown or HTML, or wholly bold.
HEADING = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t][^\n]*|<h[1-6]\b[^\n]*</h[1-6]>|\*\*[^*\n]+\*\*:?)[ \t\r]*$",
    re.MULTILINE | re.IGNORECASE,
)
_LIST_MARK = re.compile(r"^[ \t]*(?:\d{1,3}[.)]|[-*•+]|#{1,6})[ \t]+", re.MULTILINE)


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """From a letter or digit to the last one before white space."""
    return re.compile(rf"[^\W_](?:\S*(?:[^\W_]|[{text.marks()}]))?")


def without_tags(response: str) -> str:
    """The text without HTML tags."""
    if "<" not in response:
        return response
    return _TAG.sub(" ", _INLINE_TAG.sub("", response))


def words(response: str) -> list[str]:
    """The words, as written."""
    spaced: str = _BETWEEN_WORDS.sub(" ", without_tags(response))
    return _word().findall(spaced)


def folded(response: str) -> list[str]:
    """The words in small letters, with straight apostrophes."""
    return words(response.replace("’", "'").lower())  # noqa: RUF001


def lettered(response: str) -> list[str]:
    """The words in small letters that hold a letter, without the accents."""
    if not response.isascii():
        parted = unicodedata.normalize("NFD", response)
        response = "".join(sign for sign in parted if not unicodedata.combining(sign))
    return [word for word in folded(response) if any(map(str.isalpha, word))]


def sentences(response: str) -> list[str]:
    """The sentences that hold a word, without tags and without their list's mark.

    A heading is none unless it ends as one; a plain line without a stop goes with what follows.
    """
    plain = HEADING.sub(lambda found: found[0] if _ends_as_sentence(found[0]) else "", response)
    plain = _LIST_MARK.sub("", without_tags(plain))
    return [part for part in text.sentences(plain) if any(map(str.isalnum, part))]


def _ends_as_sentence(heading: str) -> bool:
    return without_tags(heading).rstrip(" \t\r*:#")[-1:] in _STOPS


def kind_of(sentence: str) -> Kind:
    """Which kind a sentence is by the stops at its end; one without a stop is declarative.

    `?!` ends a question.
    """
    found = set()
    for sign in reversed(sentence):
        if sign.isalnum():
            break
        if sign in _STOPS:
            found.add(sign)
    if found & set("?‽？؟"):  # noqa: RUF001
        return "interrogative"
    return "exclamatory" if found & set("!！") else "declarative"  # noqa: RUF001


def has_word(response: str, word: str) -> bool:
    """Whether it stands there as a word of its own, in any case."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", response, re.IGNORECASE) is not None
