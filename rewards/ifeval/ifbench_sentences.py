"""IFBench's constraints on sentences and on shares: `sentence:`, `ratio:` and two of `words:`.

In: a response that is not empty and the constraint's arguments, already checked for kind. Out:
whether the response follows it, exactly as written. A rule from one sentence to the next needs two
sentences to be followed at all: a single one would follow each of them.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

from rewards.ifeval.ifbench_lexicon import STOP_WORDS
from rewards.ifeval.ifbench_text import (
    folded,
    has_word,
    kind_of,
    lettered,
    sentences,
    words,
)

_TOLERANCE: Final = 2.0  # "±2%", in percentage points


def _kinds(response: str) -> tuple[int, int, int]:
    """How many sentences are declarative, interrogative and exclamatory."""
    found = Counter(map(kind_of, sentences(response)))
    return found["declarative"], found["interrogative"], found["exclamatory"]


def sentence_balance(response: str) -> bool:
    """As many declarative as interrogative as exclamatory sentences, and at least one of each."""
    declarative, interrogative, exclamatory = _kinds(response)
    return declarative == interrogative == exclamatory > 0


def sentence_type(response: str) -> bool:
    """Exactly two declarative sentences for each interrogative one; exclamations do not count."""
    declarative, interrogative, _ = _kinds(response)
    return declarative == 2 * interrogative > 0


def sentence_words(response: str) -> bool:
    """Three sentences of equally many characters, and no word twice.

    Every character of a sentence counts, its spaces and its stop as well. A word may be repeated
    neither in another sentence nor in its own.
    """
    found = sentences(response)
    if len(found) != 3 or len({len(one) for one in found}) != 1:
        return False
    used = folded(" ".join(found))
    return len(used) == len(set(used))


def stop_words(response: str, percentage: float) -> bool:
    """At most so many of 100 words are stop words, of the list in `ifbench_lexicon`.

    Of a contraction the part before the apostrophe decides: `it's` is one, `dog's` is none.
    """
    found = folded(response)
    heads = (word.removesuffix("n't").partition("'")[0] for word in found)
    count = sum(
        word in STOP_WORDS or head in STOP_WORDS or word in {"can't", "won't", "shan't"}
        for word, head in zip(found, heads, strict=True)
    )
    return 100 * count <= percentage * len(found)


def _trigrams(text: str) -> set[tuple[str, str, str]]:
    found = folded(text)
    return set(zip(found, found[1:], found[2:], strict=False))


def overlap(response: str, reference_text: str, percentage: float) -> bool:
    """So many of 100 trigrams of the response stand in the reference text, give or take 2.

    A trigram is three words in a row, whatever their case; each is counted once. The share is of
    the response's trigrams: of the reference's, a text of eight words has shares of sixths only,
    and "11% (±2%)", as one prompt asks of such a text, could not be reached.
    """
    own = _trigrams(response)
    if not own:
        return False
    share = 100 * len(own & _trigrams(reference_text)) / len(own)
    return abs(share - percentage) <= _TOLERANCE


def _longest_alliteration(sentence: str) -> int:
    longest = run = 0
    last = ""
    for word in lettered(sentence):
        run = run + 1 if word[0] == last else 1
        last = word[0]
        longest = max(longest, run)
    return longest


def alliteration_increment(response: str) -> bool:
    """Each sentence's longest run of words with one first letter is longer than the one before."""
    runs = [_longest_alliteration(one) for one in sentences(response)]
    return len(runs) > 1 and all(before < after for before, after in pairwise(runs))


def increment(response: str, small_n: int) -> bool:
    """Each sentence has exactly so many words more than the one before."""
    counts = [len(words(one)) for one in sentences(response)]
    return len(counts) > 1 and all(after - before == small_n for before, after in pairwise(counts))


def keyword(response: str, word: str, N: int) -> bool:
    """The Nth sentence holds the keyword, as a word of its own, in any case."""
    found = sentences(response)
    return len(found) >= N and has_word(found[N - 1], word)


def keywords_specific_position(response: str, keyword: str, n: int, m: int) -> bool:
    """The mth word of the nth sentence is the keyword, in any case."""
    found = sentences(response)
    if len(found) < n:
        return False
    there = folded(found[n - 1])
    return len(there) >= m and there[m - 1] == keyword.lower()


def last_first(response: str) -> bool:
    """The last word of each sentence is the first of the next, in any case."""
    found = [folded(one) for one in sentences(response)]
    if len(found) < 2 or not all(found):
        return False
    return all(before[-1] == after[0] for before, after in pairwise(found))
