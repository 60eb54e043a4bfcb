"""Near-duplicates: rows that share most of their word n-grams, found by MinHash and LSH.

In: rows; phase 1 gives 258 bytes a row, phase 2 findings. A candidate pair is decided by its exact
Jaccard similarity when the rows can be fetched again, by the sketch's estimate otherwise (standard
error 0.04 at 0.7); rows of equal sketches need no comparing. The same rows in the same order give
the same findings, whatever the batches. Rows that say the same in other words are `semantic`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from data_prep.duplicates.keep import choose, preference
from data_prep.duplicates.lsh import band_keys, pairs, rows_per_band
from data_prep.duplicates.minhash import checks, estimate, sketches
from data_prep.filters.base import (
    Action,
    Fetch,
    Finding,
    Options,
    Part,
    Row,
    Signatures,
    split_of,
    text_of,
)
from data_prep.filters.shingles import hash_words, mix, ngrams
from data_prep.filters.text import figures_of

MARGIN: Final = 0.12  # three standard errors: what the estimate may be off by before it is exact
FETCH_PAIRS: Final = 4096


class NearDuplicates(Options):
    """The step `near_duplicates`.

    Attributes:
        threshold: Jaccard similarity from which two rows are near-duplicates.
        ngram: words in an n-gram; a shorter text is one n-gram.
        part: what is compared.
        numbers: `same`: rows whose figures differ, or come in another order, are different tasks,
            however alike their words; `any`: words alone decide.
        seed: of the sketch.
        action: what happens to all but the first of a group.
    """

    name: ClassVar[str] = "near_duplicates"
    reasons: ClassVar[Mapping[str, str]] = {
        "duplicate_near": "shares most of its word n-grams with a row that is kept",
        "duplicate_near_held_out": "a training row that nearly repeats one of a held-out split",
    }

    threshold: float = Field(default=0.7, gt=0, le=1)
    ngram: int = Field(default=5, ge=1, le=50)
    part: Part = "all"
    numbers: Literal["same", "any"] = "same"
    seed: int = Field(default=1, ge=0)
    action: Action = "drop"

    def _texts(self, rows: Sequence[Row]) -> list[str]:
        return [text_of(row, self.part, system=False) for row in rows]

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """Keys of LSH bands, check bytes, and whether the row has words and is held out."""
        texts = self._texts(rows)
        grams = ngrams(hash_words(texts), self.ngram)
        table = sketches(grams, self.seed)
        salt = None
        if self.numbers == "same":
            named = [" ".join(figures_of(text)) for text in texts]
            salt = hash_each(named)
        return {
            "near_bands": band_keys(table, rows_per_band(self.threshold), salt),
            "near_checks": checks(table),
            "near_words": grams.counts > 0,
            "near_held_out": np.array([split_of(row) != "train" for row in rows], dtype=bool),
        }

    def similar(
        self,
        signatures: Signatures,
        fetch: Fetch | None = None,
        among: np.ndarray | None = None,
    ) -> Iterator[tuple[int, int, float]]:
        """Pairs of positions at or over the threshold, with their similarity, in order.

        Args:
            signatures: of all rows.
            fetch: gives rows by position; None: the estimate decides.
            among: positions to look at, ascending; None: all that have words.
        """
        bytes_ = signatures["near_checks"]
        words = np.flatnonzero(signatures["near_words"]) if among is None else among
        found = _distinct(pairs(signatures["near_bands"][words]), len(words))
        left, right = words[found[0]], words[found[1]]
        least = self.threshold - MARGIN if fetch is not None else self.threshold
        for first in range(0, len(left), 1 << 16):
            near, far = left[first : first + (1 << 16)], right[first : first + (1 << 16)]
            values = estimate(bytes_[near], bytes_[far])
            good = values >= least
            near, far, values = near[good], far[good], values[good]
            if fetch is not None:
                values = self._exact(near, far, fetch)
                good = values >= self.threshold
                near, far, values = near[good], far[good], values[good]
            yield from zip(near.tolist(), far.tolist(), values.tolist(), strict=True)

    def _exact(self, left: np.ndarray, right: np.ndarray, fetch: Fetch) -> np.ndarray:
        """Exact Jaccard similarity of pairs of rows."""
        values = np.zeros(len(left))
        for first in range(0, len(left), FETCH_PAIRS):
            near, far = left[first : first + FETCH_PAIRS], right[first : first + FETCH_PAIRS]
            wanted = np.unique(np.concatenate([near, far]))
            grams = ngrams(hash_words(self._texts(fetch(wanted.tolist()))), self.ngram)
            sets = {
                int(position): np.unique(grams.hashes[grams.starts[i] : grams.starts[i + 1]])
                for i, position in enumerate(wanted)
            }
            for i, (a, b) in enumerate(zip(near.tolist(), far.tolist(), strict=True)):
                common = len(np.intersect1d(sets[a], sets[b], assume_unique=True))
                values[first + i] = common / (len(sets[a]) + len(sets[b]) - common)
        return values

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """Findings by row id: each row that goes names the row that stays for it."""
        held_out = signatures["near_held_out"]
        order = preference(held_out)
        # Rows of one sketch are one row as far as the others go; a set that repeats each row a
        # hundred times would else have thousands of pairs a row.
        words = order[signatures["near_words"][order]]
        first, inverse = _first_of_each(signatures["near_bands"], words)
        gone = choose(self.similar(signatures, fetch, np.sort(first)), order)
        copies = set()
        for position, stands in zip(words.tolist(), first[inverse].tolist(), strict=True):
            if position != stands:
                gone[position] = gone.get(stands, (stands, 1.0))
                copies.add(position)
        findings = {}
        for position, (kept, value) in sorted(gone.items()):
            if held_out[position]:
                continue  # an evaluation set is not ours to thin out
            exact = fetch is not None and position not in copies
            reason = "duplicate_near_held_out" if held_out[kept] else "duplicate_near"
            findings[ids[position]] = Finding(
                reason,
                f"{value:.2f} of the {self.ngram}-word runs are those of {ids[kept]}",
                self.action,
                {"kept": ids[kept], "jaccard": round(value, 4), "exact": exact},
            )
        return findings


def _first_of_each(keys: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of the rows of each sketch, and for each row in order which of these it is.

    Args:
        keys: one row a text, one column a band.
        order: positions, the ones to keep first.
    """
    whole = np.zeros(len(keys), dtype=np.uint64)
    for band in range(keys.shape[1]):
        whole = mix(whole ^ keys[:, band].astype(np.uint64))
    _, first, inverse = np.unique(whole[order], return_index=True, return_inverse=True)
    return order[first], inverse


def hash_each(texts: Sequence[str]) -> np.ndarray:
    """One 64-bit value a text, the same everywhere."""
    from hashlib import blake2b

    return np.frombuffer(
        b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts), dtype="<u8"
    ).astype(np.uint64)


def _distinct(
    found: Iterable[tuple[np.ndarray, np.ndarray]], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, in order."""
    codes = np.zeros(0, dtype=np.int64)
    waiting: list[np.ndarray] = []
    for left, right in found:
        waiting.append(left.astype(np.int64) * size + right)
        if sum(map(len, waiting)) > 1 << 22:
            codes, waiting = np.unique(np.concatenate([codes, *waiting])), []
    codes = np.unique(np.concatenate([codes, *waiting]))
    return np.divmod(codes, max(size, 1))  # type: ignore[return-value]
