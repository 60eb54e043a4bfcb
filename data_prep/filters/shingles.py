"""Word n-grams of many texts as 64-bit hashes, by array operations on their bytes.

In: strings. Out: `Words`, a batch's words as hashes with the text each belongs to, and `ngrams` of
them. A word's hash is a polynomial in its bytes over a fixed random table, mixed at the end, so
the same word has the same hash in every batch, process and machine. Words are those of
`filters.text.plain`. Not cryptographic: an adversary can make collisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from data_prep.filters.text import plain

U64 = np.ndarray
CHUNK: Final = 1 << 19  # bytes hashed at once: its arrays stay in the processor's cache
_BASE: Final = 0x9E3779B97F4A7C13  # odd, and 3 mod 4: swapped letters then never cancel
_STEP: Final = 0xD1342543DE82EF93


def mix(values: U64) -> U64:
    """A bijection of 64-bit values in which every bit depends on every other (splitmix64)."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


@lru_cache(maxsize=1)
def _tables() -> tuple[U64, np.ndarray]:
    """For each byte its random value, and whether it belongs to a word; upper case as lower."""
    numbers = mix(np.arange(1, 257, dtype=np.uint64) * np.uint64(_STEP))
    numbers[65:91] = numbers[97:123]
    word = np.zeros(256, dtype=bool)
    word[48:58] = word[65:91] = word[97:123] = word[128:] = True
    return numbers, word


@lru_cache(maxsize=1)
def _powers() -> tuple[U64, U64]:
    """The base to the powers 0 … CHUNK, and their inverses modulo 2**64."""
    inverse = pow(_BASE, -1, 1 << 64)
    up = np.full(CHUNK + 1, _BASE, dtype=np.uint64)
    down = np.full(CHUNK + 1, inverse, dtype=np.uint64)
    up[0] = down[0] = 1
    return np.multiply.accumulate(up), np.multiply.accumulate(down)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of texts, in order.

    Attributes:
        hashes: one for each word.
        starts: for each text the position of its first word; one more at the end.
    """

    hashes: U64
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Words of each text."""
        return np.diff(self.starts)


def _word_bytes(text: str) -> bytes:
    """UTF-8 in which every byte from 128 upwards belongs to a letter or digit."""
    return text.encode("ascii") if text.isascii() else plain(text).encode("utf-8", "replace")


def _chunks(encoded: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Runs of texts that fit one chunk together; a longer text is alone in its own."""
    first, size = 0, 0
    for position, text in enumerate(encoded):
        if position > first and size + len(text) + 1 > CHUNK:
            yield first, position
            first, size = position, 0
        size += len(text) + 1
    if len(encoded) > first:
        yield first, len(encoded)


def _hash_bytes(data: bytes) -> tuple[U64, np.ndarray]:
    """Hash and first byte of each word."""
    numbers, is_word = _tables()
    up, down = _powers()
    array = np.frombuffer(data, dtype=np.uint8)
    inside = is_word[array]
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    starts, ends = edges[0::2], edges[1::2]
    found = np.empty(len(starts), dtype=np.uint64)
    begin = done = 0
    while done < len(starts):  # once, but for a text longer than a chunk
        upto = int(np.searchsorted(ends, begin + CHUNK, side="right"))
        upto = max(upto, done + 1)
        stop = min(int(ends[upto - 1]), begin + CHUNK)
        sums = np.zeros(stop - begin + 1, dtype=np.uint64)
        np.cumsum(numbers[array[begin:stop]] * up[: stop - begin], out=sums[1:])
        here, there = starts[done:upto] - begin, np.minimum(ends[done:upto], stop) - begin
        found[done:upto] = (sums[there] - sums[here]) * down[here]
        done = upto
        begin = int(starts[done]) if done < len(starts) else stop
    return mix(found), starts


def hash_words(texts: Sequence[str]) -> Words:
    """The words of texts, hashed."""
    encoded = [_word_bytes(text) for text in texts]
    hashes: list[U64] = []
    counts: list[np.ndarray] = []
    for first, last in _chunks(encoded):
        values, starts = _hash_bytes(b" ".join(encoded[first:last]))
        lengths = np.fromiter((len(t) + 1 for t in encoded[first:last]), np.int64, last - first)
        ends = np.cumsum(lengths)
        hashes.append(values)
        counts.append(np.diff(np.searchsorted(starts, ends), prepend=0))
    total = np.concatenate([np.zeros(1, np.int64), *counts]) if counts else np.zeros(1, np.int64)
    return Words(np.concatenate(hashes) if hashes else np.zeros(0, np.uint64), np.cumsum(total))


def ngrams(words: Words, n: int, *, short: bool = True) -> Words:
    """Every run of `n` words within a text, hashed.

    Args:
        words: from `hash_words`.
        n: words in a run.
        short: a text of fewer words gives one run of all its words; False: it gives none.
    """
    grams = _runs(words.hashes, n)
    counts = words.counts
    wanted = np.maximum(counts - n + 1, 0)
    few = (counts > 0) & (counts < n) if short else np.zeros(len(counts), dtype=bool)
    wanted = wanted + few
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted)])
    owner = np.repeat(np.arange(len(counts)), wanted)
    position = words.starts[:-1][owner] + np.arange(starts[-1]) - starts[:-1][owner]
    out = np.zeros(len(position), dtype=np.uint64)
    full = ~few[owner]
    out[full] = grams[position[full]]
    for text in np.flatnonzero(few):
        run = words.hashes[words.starts[text] : words.starts[text + 1]]
        out[starts[text]] = _runs(run, len(run))[0]
    return Words(out, starts)


def _runs(hashes: U64, n: int) -> U64:
    """Hash of the `n` words from each position on; the length takes part in it."""
    count = len(hashes) - n + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    total = np.full(count, n, dtype=np.uint64)
    for offset in range(n):
        total *= np.uint64(_STEP)
        total += hashes[offset : offset + count]
    return mix(total)
