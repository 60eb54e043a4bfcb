"""Is a task new? ROUGE-L against all tasks so far, as Self-Instruct decides it.

In: tasks, one by one. Out: the greatest ROUGE-L F-measure with one of those kept
(ROUGE-L: Lin, 2004; the threshold 0.7: arXiv:2212.10560). Exact, and spared where the lengths and
the common words alone rule a match out. Keeps the words of what it is given; seeds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from data_prep.filters.text import words_of


def common_subsequence(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common subsequence, a word of bits a column (Hyyrö, 2004)."""
    places: dict[int, int] = {}
    for n, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << n
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        match = row & places.get(word, 0)
        row = (row + match) | (row - match)
        row &= full
    return len(left) - row.bit_count()


def f_measure(common: float, left: int, right: int) -> float:
    """Of precision and recall, both weighing the same."""
    return 2 * common / (left + right) if left + right else 0.0


class Novelty:
    """The tasks so far.

    Args:
        threshold: ROUGE-L from which on a task is not new.
    """

    def __init__(self, threshold: float = 0.7) -> None:
        self.threshold = threshold
        self._numbers: dict[str, int] = {}
        self._held: list[tuple[list[int], Counter[int]]] = []

    def _words(self, text: str) -> list[int]:
        return [self._numbers.setdefault(word, len(self._numbers)) for word in words_of(text)]

    def add(self, text: str) -> None:
        """Count a task as there."""
        words = self._words(text)
        self._held.append((words, Counter(words)))

    def is_new(self, text: str) -> bool:
        """Whether no task so far is that close; an empty one is never new."""
        words = self._words(text)
        if not words:
            return False
        bag = Counter(words)
        for other, its in self._held:
            most = min(len(words), len(other))
            if f_measure(most, len(words), len(other)) < self.threshold:
                continue
            shared = (bag & its).total()
            if f_measure(shared, len(words), len(other)) < self.threshold:
                continue
            common = common_subsequence(words, other)
            if f_measure(common, len(words), len(other)) >= self.threshold:
                return False
        return True
