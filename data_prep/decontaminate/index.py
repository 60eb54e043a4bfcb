"""Evaluation questions as n-gram hashes, and the training texts that hold them.

In: questions, then batches of texts. Out: for each text the question it holds, how (whole, or by
the share of its n-grams), and where. A question of `SHORT` words or more is held by a text that has
`share` of the weight of its `n`-grams, each weighted by one over the number of questions that have
it, so the opening that all questions of a set begin with proves nothing. A shorter question has too
few n-grams for a share: its whole run of words must be there, and be at least `ALONE` words long or
`OF_TEXT` of the text or of a line of it, or a sentence by itself. Paraphrases are `paraphrase`'s.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from data_prep.filters.shingles import Words, hash_words, ngrams
from data_prep.filters.text import words_of

SHORT: Final = 13
ALONE: Final = 8
OF_TEXT: Final = 0.5
COMMON: Final = 64  # an n-gram of more questions than this is one of a template
_SENTENCE_END: Final = re.compile(r"(?<=[.?!:])\s+|\n")
_BITS: Final = np.uint64((1 << 20) - 1)


@dataclass(frozen=True, slots=True)
class Match:
    """A question found in a text.

    Attributes:
        text: position of the text in its batch.
        question: position of the question.
        how: `exact`: its whole run of words; `ngram`: the share of its n-grams.
        share: of the question's n-gram weight; 1 when exact.
        first: position in the text of the first word matched.
        last: of the last one.
    """

    text: int
    question: int
    how: Literal["exact", "ngram"]
    share: float
    first: int
    last: int


class Index:
    """The questions' n-grams.

    Args:
        questions: their texts.
        n: words in an n-gram.
        share: least weight of its n-grams by which a question counts as held.
    """

    def __init__(self, questions: Sequence[str], n: int = 8, share: float = 0.5) -> None:
        self.n, self.share = n, share
        words = hash_words(questions)
        lengths = words.counts
        long = lengths >= SHORT
        grams = ngrams(words, n, short=False)
        owner = np.repeat(np.arange(len(questions)), grams.counts)
        keys = np.unique(
            np.stack([grams.hashes, owner.astype(np.uint64)], axis=1)[long[owner]], axis=0
        )
        self._grams, first, self._frequency = np.unique(
            keys[:, 0], return_index=True, return_counts=True
        )
        self._postings = np.split(keys[:, 1].astype(np.int64), first[1:])
        weight = np.repeat(1 / self._frequency, self._frequency)
        self._total = np.bincount(
            keys[:, 1].astype(np.int64), weights=weight, minlength=len(questions)
        )
        # A text shares the n-grams that many questions have with all of them: it is held against a
        # question only for another n-gram, or where these alone reach the question's share.
        spread = np.repeat(self._frequency > COMMON, self._frequency)
        of_common = np.bincount(
            keys[spread, 1].astype(np.int64), weights=weight[spread], minlength=len(questions)
        )
        self._made_of_common = of_common >= share * self._total * (1 - 1e-9)
        self._whole: dict[int, dict[int, int]] = defaultdict(dict)  # length → hash → question
        for length in np.unique(lengths[(lengths > 0)]):
            runs = ngrams(words, int(length), short=False)
            for question in np.flatnonzero(lengths == length):
                key = int(runs.hashes[runs.starts[question]])
                self._whole[int(length)].setdefault(key, int(question))
        self._bits = np.zeros(int(_BITS) + 1, dtype=bool)
        for hashes in (self._grams, *(np.array(list(w), np.uint64) for w in self._whole.values())):
            self._bits[(hashes & _BITS).astype(np.int64)] = True

    def _known(self, hashes: np.ndarray) -> np.ndarray:
        """Positions of hashes that may be known; a cheap look that lets few others through."""
        return np.flatnonzero(self._bits[(hashes & _BITS).astype(np.int64)])

    def matches(self, texts: Sequence[str]) -> Iterator[Match]:
        """What the texts hold: for each text its best match, exact before n-gram."""
        words = hash_words(texts)
        best: dict[int, Match] = {}
        for match in (*self._exact(words, texts), *self._shares(words)):
            other = best.get(match.text)
            if other is None or (match.how, -match.share) < (other.how, -other.share):
                best[match.text] = match
        for text in sorted(best):
            yield best[text]

    def _exact(self, words: Words, texts: Sequence[str]) -> Iterator[Match]:
        for length, known in sorted(self._whole.items()):
            if length >= SHORT:  # a long question is whole only where it is the whole text
                few = np.flatnonzero(words.counts == length)
                if not len(few):
                    continue
                at = np.array([words.starts[i] for i in few])
                window = words.hashes[at[:, None] + np.arange(length)]
                starts = np.arange(len(few) + 1) * length
                hashes = ngrams(Words(window.ravel(), starts), length).hashes
                for text, key in zip(few.tolist(), hashes.tolist(), strict=True):
                    if key in known:
                        yield Match(text, known[key], "exact", 1.0, 0, length - 1)
                continue
            runs = ngrams(words, length, short=False)
            for position in self._known(runs.hashes).tolist():
                question = known.get(int(runs.hashes[position]))
                if question is None:
                    continue
                text = int(np.searchsorted(runs.starts, position, side="right")) - 1
                first = position - int(runs.starts[text])
                if length >= ALONE or self._fills(texts[text], length, first):
                    yield Match(text, question, "exact", 1.0, first, first + length - 1)

    @staticmethod
    def _fills(text: str, length: int, first: int) -> bool:
        """Whether a run of words is `OF_TEXT` of the text or of its line, or a whole sentence."""
        if length >= OF_TEXT * len(words_of(text)):
            return True
        for pieces, least in ((text.splitlines(), OF_TEXT), (_SENTENCE_END.split(text), 1.0)):
            seen = 0
            for piece in pieces:
                count = len(words_of(piece))
                if seen <= first < seen + count:
                    if first + length <= seen + count and length >= least * count:
                        return True
                    break
                seen += count
        return False

    def _shares(self, words: Words) -> Iterator[Match]:
        grams = ngrams(words, self.n, short=False)
        maybe = self._known(grams.hashes)
        if not len(maybe) or not len(self._grams):
            return
        place = np.searchsorted(self._grams, grams.hashes[maybe])
        place[place == len(self._grams)] = 0
        hit = self._grams[place] == grams.hashes[maybe]
        maybe, place = maybe[hit], place[hit]
        owners = np.searchsorted(grams.starts, maybe, side="right") - 1
        found: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        common: dict[int, dict[int, int]] = defaultdict(dict)
        for position, gram, text in zip(
            maybe.tolist(), place.tolist(), owners.tolist(), strict=True
        ):
            at = position - int(grams.starts[text])
            questions = self._postings[gram]
            if len(questions) > COMMON:
                common[text].setdefault(gram, at)
                questions = questions[self._made_of_common[questions]]
            for question in questions.tolist():
                found[text, question].setdefault(gram, at)
        most = {text: self._weight(more) for text, more in common.items()}
        for (text, question), where in sorted(found.items()):
            total = float(self._total[question])
            if self._weight(where) + most.get(text, 0.0) < self.share * total * (1 - 1e-9):
                continue
            for gram, at in common.get(text, {}).items():
                if self._holds(question, gram):
                    where[gram] = at
            weight = self._weight(where)
            if (share := weight / total) >= self.share:
                first, last = min(where.values()), max(where.values()) + self.n - 1
                yield Match(text, question, "ngram", share, first, last)

    def _weight(self, grams: Iterable[int]) -> float:
        return sum(1 / int(self._frequency[gram]) for gram in sorted(grams))

    def _holds(self, question: int, gram: int) -> bool:
        questions = self._postings[gram]
        place = int(np.searchsorted(questions, question))
        return place < len(questions) and int(questions[place]) == question
