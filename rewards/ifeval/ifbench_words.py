"""IFBench's `words:` constraints: what each word must be, and where words stand.

In: a response that is not empty and the constraint's arguments, already checked for kind. Out:
whether the response follows it, exactly as written. What a word is, `ifbench_text` says; where
letters are judged a number in digits is passed over. Two of the rules rest on knowledge of English
that is partial here: syllables come from spelling (`ifbench_syllables`), verbs from a list.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Final

from rewards.ifeval.ifbench_lexicon import VERBS
from rewards.ifeval.ifbench_syllables import syllables
from rewards.ifeval.ifbench_text import VOWELS, folded, lettered

_CLUSTER = re.compile(r"[b-df-hj-np-tv-z]{2}")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_PALINDROMES: Final = 10
_PALINDROME_LETTERS: Final = 5
_NO_T: Final = {"can't": "can", "won't": "will", "shan't": "shall"}


def alphabet(response: str) -> bool:
    """Each word begins with the letter after the one before, `a` after `z`; any letter may begin.

    One word alone has no next letter and does not follow it.
    """
    first = [ord(word[0]) - ord("a") for word in lettered(response)]
    if len(first) < 2 or not 0 <= first[0] < 26:
        return False
    return all(after == (before + 1) % 26 for before, after in pairwise(first))


def consonants(response: str) -> bool:
    """Each word holds two consonants in a row; `y` is a letter of the consonants."""
    found = lettered(response)
    return bool(found) and all(_CLUSTER.search(word) for word in found)


def no_consecutive(response: str) -> bool:
    """No word begins with the letter of the word before, whatever their case."""
    return all(before[0] != after[0] for before, after in pairwise(lettered(response)))


def odd_even_syllables(response: str) -> bool:
    """Words with an odd and an even number of syllables alternate; either may begin.

    Where spelling leaves the number open (`ifbench_syllables`) a word may pass for either; where it
    says nothing of half of the words, as in other scripts, the response does not follow. One word
    alone does not alternate.
    """
    counts = [syllables(word) for word in lettered(response)]
    if len(counts) < 2 or 2 * counts.count(None) >= len(counts):
        return False
    may = [None if one is None or one.least < one.most else one.least % 2 for one in counts]
    starts = {(parity + place) % 2 for place, parity in enumerate(may) if parity is not None}
    return len(starts) < 2


def palindrome(response: str) -> bool:
    """At least 10 different words of 5 letters or more that read the same backwards.

    A repeated one counts once, and a run of one letter is no word.
    """
    found = {
        word
        for word in lettered(response)
        if len(word) >= _PALINDROME_LETTERS and word.isalpha() and word == word[::-1]
    }
    return sum(len(set(word)) > 1 for word in found) >= _PALINDROMES


def paragraph_last_first(response: str) -> bool:
    """Each paragraph ends with the word it began with; a paragraph is a line that is not blank."""
    found = [folded(line) for line in response.split("\n") if line.strip()]
    return all(line and line[0] == line[-1] for line in found)


def _is_prime(number: int) -> bool:
    if number > 10_000:  # no word
        return False
    return number > 1 and all(number % n for n in range(2, int(number**0.5) + 1))


def prime_lengths(response: str) -> bool:
    """Each word has 2, 3, 5, 7, 11 … letters; apostrophes and hyphens are none."""
    lengths = {sum(map(str.isalnum, word)) for word in lettered(response)}
    return bool(lengths) and all(map(_is_prime, lengths))


def repeats(response: str, small_n: int) -> bool:
    """No word stands there more often than that, whatever its case."""
    return max(Counter(folded(response)).values(), default=0) <= small_n


def is_verb(word: str) -> bool:
    """Whether a word in small letters may be a verb: a base form, an -ing or an -ed form.

    The third person in -s is left out, except for is, has, does and their like: at the start of a
    response such a word is far more often a plural (Plans, Changes).
    """
    if word in VERBS:
        return True
    if word.endswith(("ify", "ize")) and len(word) > 5:
        return True
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1:
            forms = {stem, stem + "e"}
            if stem[-1] == stem[-2]:
                forms.add(stem[:-1])
            if ending == "ed" and stem[-1] == "i":
                forms.add(stem[:-1] + "y")
            if forms & VERBS:
                return True
    return False


def start_verb(response: str) -> bool:
    """The first word may be a verb, of the list in `ifbench_lexicon`.

    `Design` and `Plan` pass, whatever they are in their sentence: no parser is asked.
    """
    found = folded(response)
    if not found:
        return False
    first = found[0]
    plain = _NO_T.get(first) or first.removesuffix("n't").partition("'")[0]
    return is_verb(plain)


def vowel(response: str) -> bool:
    """One paragraph whose words together hold exactly three of a, e, i, o, u.

    Read of each word alone the rule would forbid next to nothing. `y` is no vowel; accents do not
    count; blank lines part paragraphs.
    """
    kinds = {letter for word in lettered(response) for letter in word} & set(VOWELS)
    return len(kinds) == 3 and len(_BLANK_LINE.split(response.strip())) == 1


def words_position(response: str, keyword: str) -> bool:
    """The second word and the last but one are the keyword, in any case."""
    found = folded(response)
    return len(found) > 2 and found[1] == found[-2] == keyword.lower()
