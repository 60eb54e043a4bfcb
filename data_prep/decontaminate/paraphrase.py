"""Paraphrases that keep the numbers: same quantities, mostly the same things spoken of.

In: evaluation questions, then texts. Out: for each text the question it most resembles, if it names
(nearly) the same numbers and shares enough of the question's content words. Words are weighted by
how rare they are among the questions (inverse document frequency) and cut to a stem, so "She bakes
muffins with four eggs" and "four of the eggs go into muffins" meet. It finds no paraphrase that
changes the story's nouns, and none of a question with fewer than `MIN_NUMBERS` different numbers or
`MIN_STEMS` content words: those are left to embeddings.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from data_prep.filters.text import NUMBER_WORDS, numbers_of, words_of

MIN_NUMBERS: Final = 2
MIN_STEMS: Final = 4  # of the question's content words that must be met, whatever their weight
NUMBERS: Final = 0.75  # Jaccard similarity of the sets of numbers named
WORDS: Final = 0.37  # least share of the question's word weight that the text holds
INFORMATION: Final = 26.0  # least weight of all that is shared, words and numbers, in nats
PRODUCT: Final = 16.5  # least product of the two: little in common must be nearly all, or rare

_STOP_TEXT: Final = (
    "a an and are as at be been but by can could did do does each every for from had has have he "
    "her hers him his how i if in into is it its many more most much my no not of off on one or "
    "our out over per she so some than that the their them then there they this those to under up "
    "us was we were what when which while who will with would you your s t re ll ve after all "
    "also any before between both find give given get gets just let make makes only other same "
    "solve such total use using very where number answer"
)
_STOP: Final = frozenset(_STOP_TEXT.split())
_ENDINGS: Final = ("ings", "ing", "ies", "ers", "est", "ed", "er", "es", "ly", "s", "e", "y")


def stem(word: str) -> str:
    """An English word without its ending, at least three letters of it."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def content_stems(text: str) -> set[str]:
    """Stems of the words that carry meaning; numbers and function words left out."""
    return {
        stem(word)
        for word in words_of(text)
        if word not in _STOP and word not in NUMBER_WORDS and not word[0].isdigit()
        and len(word) > 1
    }  # fmt: skip


def quantities(text: str) -> frozenset[str]:
    """The numbers a text names; one and zero are as often words as quantities."""
    return frozenset(numbers_of(text)) - {"0", "1"}


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a text resembles a question.

    Attributes:
        position: of the question.
        numbers: Jaccard similarity of the numbers named.
        words: share of the question's word weight that the text holds.
        information: weight of all that is shared, in nats.
    """

    position: int
    numbers: float
    words: float
    information: float


class Paraphrases:
    """The questions, indexed by their numbers.

    Args:
        texts: the evaluation questions.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._stems = [content_stems(text) for text in texts]
        self._numbers = [quantities(text) for text in texts]
        self._size = len(texts)
        self._words = Counter(word for found in self._stems for word in found)
        self._figures = Counter(number for found in self._numbers for number in found)
        self._total = [self._weight(found, self._words) for found in self._stems]
        self._by_number: dict[str, list[int]] = defaultdict(list)
        for position, numbers in enumerate(self._numbers):
            if len(numbers) >= MIN_NUMBERS and len(self._stems[position]) >= MIN_STEMS:
                for number in numbers:
                    self._by_number[number].append(position)

    def _weight(self, found: Iterable[str], frequency: Counter[str]) -> float:
        """Sum of inverse document frequencies, in a fixed order."""
        return sum(math.log(1 + self._size / max(1, frequency[word])) for word in sorted(found))

    def best(self, text: str) -> Likeness | None:
        """The question that the text most probably paraphrases, if there is one."""
        numbers = quantities(text)
        if len(numbers) < MIN_NUMBERS:
            return None
        # Sets as alike as NUMBERS share one of the rarest few (prefix filtering, Chaudhuri et al.
        # 2006), so the frequent numbers' long lists are never walked.
        rarest = sorted(numbers, key=lambda number: (self._figures[number], number))
        few = rarest[: len(rarest) - math.ceil(NUMBERS * len(rarest)) + 1]
        candidates = sorted({p for number in few for p in self._by_number.get(number, ())})
        stems: set[str] | None = None
        found = []
        for position in candidates:
            theirs = self._numbers[position]
            common = numbers & theirs
            alike = len(common) / len(numbers | theirs)
            if alike < NUMBERS or len(common) < MIN_NUMBERS:
                continue
            stems = content_stems(text) if stems is None else stems
            shared = stems & self._stems[position]
            if len(shared) < MIN_STEMS:
                continue
            weight = self._weight(shared, self._words)
            share = weight / self._total[position]
            information = weight + self._weight(common, self._figures)
            if share < WORDS or information < INFORMATION or share * information < PRODUCT:
                continue
            found.append(Likeness(position, alike, share, information))
        return max(found, key=lambda like: (like.words, -like.position), default=None)
