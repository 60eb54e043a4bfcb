"""How many syllables may an English word have? By rules of spelling, without a dictionary.

In: a word in small letters. Out: the fewest and the most syllables that the rules allow. Spelling
does not settle every word: `ie` is one syllable in "field" and two in "quiet", "every" is said with
two or three. There both numbers come back, and who asks must take either. Digits say nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_GROUP = re.compile(r"[aeiouy]+")
_CLITIC = re.compile(r"'(s|m|d|re|ve|ll|t)$")
# `y` before a vowel is a consonant at a word's start and after a vowel: yes, beyond, saying.
_GLIDE = re.compile(r"(?:^|(?<=[aeiou]))y(?=[aeiou])")
# One sound, whatever its vowels: nation, special, precious, patient, gorgeous, region, quick.
_ONE_SOUND = re.compile(
    r"(?:(?<=[tcsgx])i|(?<=g)e)(?=ons?(?:$|[^aeiouy])|ous)|(?<=[tc])(?<!sc)i(?=al|an|en)"
    r"|(?<=[qg])(?<!arg)u(?=[aeiou])"
)
# Vowels that surely part: being, going, trying.
_TWO_SOUNDS = re.compile(r"(?<=[aeiouy])(?=ing(?:$|s$|ly$))")
# Vowels that may part: media, radio, actual, idea, quiet, fluid, cruel, poem, chaos, museum.
_MAY_PART = re.compile(
    r"ia|io|iu|ii|(?<!p)eo|ua|uo|ao|ae|(?<=[bcdfghjklmnpqrstvwxz])y[aeiou]|[aeiou]{3}"
    r"|(?<=cr)ea|rea(?=l|c|d?just)|(?<=id)ea|ea(?=ting?$|tr|tre)|(?<=ar)ea|(?<=lin)ea|thea"
    r"|ie(?=r|st$|t|nc|nd|nt|s)|ui(?=[dn]|t[yio]|st|ci)|ue(?=l|n|t)|oe(?=m|t|x|r)"
    r"|oi(?=nc|c$|d$)|eu(?=m|n)|ai(?=c|v)|oa(?=l|s)|ee(?=n?[vlm])|oo(?=p|r)|uy"
)
# What may be swallowed: every, different, interest, general, family, marriage; and a silent e
# within, which may as well be heard: movement, safety, homeland.
_FEWER = re.compile(
    r"(?<=.)[eo]r(?=y$|ies$|al|en|est|at|ab|ous)|ia(?:ge|ges)$|ement|ety$|famil|everyth?|busin"
    r"|wednes|choco|camera|vegeta|comfor|evenin|clothes"
    r"|[^aeiou]e(?:some|where|thing|time|work|land|line|body|one|way|man|men|power|like)"
)
# A silent e before these endings: careful, homeless, likeness, safely; and in some compounds.
_SILENT_WITHIN = re.compile(
    r"(?<=[^aeiou])e(?=(?:ful|fully|less|lessly|ness|ly)$)|(?<=som)e(?=[a-z])|(?<=ther)e(?=[fab])"
    r"|(?<=^lif)e(?=[a-z]{3})|(?<=^tim)e(?=[lstf])"
)
_SPOKEN_LE = re.compile(r"[^aeiouylwr]l(?:es?|ed)$")
_SYLLABIC = re.compile(r"sms?$|thms?$")
_SILENT_END = re.compile(r"[^aeiouy](?:e|es|ed)$")
# Where the e of -es and -ed is heard: houses, changes, wanted.
_HEARD_END = re.compile(r"(?:[sxzcg]|ch|sh)es$|[td]ed$")
_MOST_LETTERS: Final = 40  # nothing longer is an English word


class Range(NamedTuple):
    """The fewest and the most syllables."""

    least: int
    most: int


def _silent_end(plain: str) -> bool:
    """Whether the last e is not heard, as in time, times and walked."""
    if _SPOKEN_LE.search(plain) or _HEARD_END.search(plain):
        return False
    return _SILENT_END.search(plain) is not None


def _of_part(word: str) -> Range:
    """A word of letters alone."""
    plain = _GLIDE.sub("j", word)
    plain = _ONE_SOUND.sub("", _SILENT_WITHIN.sub("", plain))
    count = len(_GROUP.findall(plain))
    if count == 0:  # an abbreviation, spelt out or not
        return Range(1, max(2, len(word)))
    count -= count > 1 and _silent_end(plain)
    count += len(_SYLLABIC.findall(plain)) + len(_TWO_SOUNDS.findall(plain))
    rest = _TWO_SOUNDS.sub("|", plain)
    more = len(_MAY_PART.findall(rest))
    fewer = bool(_FEWER.search(word))
    return Range(max(1, count - fewer), count + more)


@lru_cache(maxsize=8192)
def syllables(word: str) -> Range | None:
    """How many syllables a word may have.

    Args:
        word: in small letters; its parts between hyphens add up.

    Returns:
        None where its spelling does not say: digits, other scripts, no word at all.
    """
    clitic = _CLITIC.search(word)
    base = word[: clitic.start()] if clitic else word
    parts = [part for part in re.split(r"[-/]", base) if part]
    if not parts or len(word) > _MOST_LETTERS:
        return None
    if not all(part.isascii() and part.isalpha() for part in parts):
        return None
    found = [_of_part(part) for part in parts]
    least, most = sum(one.least for one in found), sum(one.most for one in found)
    if clitic is None:
        return Range(least, most)
    if clitic[1] == "t":  # "didn't" has one more than "did", "don't" and "can't" have not
        more = base.endswith("n") and len(base) > 3
        return Range(least + (more and base[-2] not in "aeiour"), most + more)
    return Range(least, most + 1)  # "it'll", "could've", "boss's"
