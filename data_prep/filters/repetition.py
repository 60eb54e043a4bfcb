"""The filter `repetition`: answers that say the same over and over.

In: rows. Out: a finding for an answer that ends in a loop, or whose lines, paragraphs or n-grams
repeat beyond the bounds of Rae et al. 2021 (Gopher, arXiv:2112.11446, table A1), which count
characters: the share of the most frequent 2-, 3- and 4-gram, and of all words within 5- to 10-grams
that came before. Those bounds are for web pages; worked solutions repeat their subject more: as
published, from 50 words on, they drop 8% of GSM8K's and 9% of MATH's solutions. So the default
doubles them and begins at 100 words (0.1% and 1%). Shorter answers, and code, are judged by the
loop alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from pydantic import Field

from data_prep.filters.base import Finding, Row, RowFilter, answers_of
from data_prep.filters.markup import split_fences

TOP: Final = {2: 0.20, 3: 0.18, 4: 0.16}
AGAIN: Final = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
LINES: Final = 0.30
LINE_CHARS: Final = 0.20
LONGEST_LOOP: Final = 64  # words in the part that loops


def loop(words: Sequence[str], least: int) -> tuple[int, int] | None:
    """The loop in which words end: words in it, times it runs; None when there is none.

    Args:
        words: in order.
        least: times that it must run, and at least three words for each of them.
    """
    for period in range(1, min(LONGEST_LOOP, len(words) // least) + 1):
        same = 0
        while same + period < len(words) and words[-1 - same] == words[-1 - same - period]:
            same += 1
        times = same // period + 1
        if times >= least and times * period >= 3 * least:
            return period, times
    return None


def top_share(words: Sequence[str], n: int) -> float:
    """Share of the characters that lie in the most frequent n-gram, if it comes twice."""
    total = sum(map(len, words))
    counts = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    if not counts or not total:
        return 0.0
    gram, times = max(counts.items(), key=lambda item: (item[1], sum(map(len, item[0])), item[0]))
    return times * sum(map(len, gram)) / total if times > 1 else 0.0


def again_share(words: Sequence[str], n: int) -> float:
    """Share of the characters in n-grams that came before, each word counted once."""
    total = sum(map(len, words))
    seen: set[tuple[str, ...]] = set()
    repeated, upto = 0, 0
    for start in range(len(words) - n + 1):
        gram = tuple(words[start : start + n])
        if gram in seen:
            repeated += sum(map(len, words[max(start, upto) : start + n]))
            upto = start + n
        seen.add(gram)
    return repeated / total if total else 0.0


class Repetition(RowFilter):
    """The filter `repetition`.

    Attributes:
        min_words: answers of fewer words are judged by the loop alone.
        loops: times that the end must run in a loop.
        scale: the bounds are multiplied by this; 1: as published.
    """

    name: ClassVar[str] = "repetition"
    reasons: ClassVar[Mapping[str, str]] = {
        "loop": "the answer ends in a loop",
        "repeated_lines": "too many of its lines came before",
        "repeated_ngrams": "too much of it lies in n-grams that repeat",
    }

    min_words: int = Field(default=100, ge=10)
    loops: int = Field(default=5, ge=2)
    scale: float = Field(default=2.0, gt=0)

    def judge_row(self, row: Row) -> Finding | None:
        """The first answer that repeats itself."""
        for text in answers_of(row):
            found = self._judge_text(text)
            if found is not None:
                return found
        return None

    def _judge_text(self, text: str) -> Finding | None:
        ended = loop(text.split(), self.loops)
        if ended is not None:
            return self.found("loop", f"ends with {ended[0]} words {ended[1]} times")
        prose = split_fences(text)[0] if "```" in text or "~~~" in text else text
        words = prose.split()
        if len(words) < self.min_words:
            return None
        lines = [line.strip() for line in prose.splitlines() if len(line.split()) > 2]
        counts = Counter(lines)
        again = [line for line, times in counts.items() for _ in range(times - 1)]
        if len(again) > LINES * self.scale * len(lines):
            return self.found("repeated_lines", f"{len(again)} of {len(lines)} lines")
        if sum(map(len, again)) > LINE_CHARS * self.scale * len(prose):
            return self.found(
                "repeated_lines", f"{sum(map(len, again)) / len(prose):.0%} of the characters"
            )
        if len(set(words)) > 0.9 * len(words):
            return None  # nothing to repeat
        for bounds, share in ((TOP, top_share), (AGAIN, again_share)):
            for n, bound in bounds.items():
                value = share(words, n)
                if value > bound * self.scale:
                    return self.found("repeated_ngrams", f"{n}-grams: {value:.0%} of it")
        return None
