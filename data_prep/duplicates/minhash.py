"""Sketches whose agreement estimates the Jaccard similarity of two texts' word n-grams.

In: sets of hashed n-grams. Out: for each text `BINS` values of 64 bits; two texts agree in a bin
with a probability equal to their similarity J, so the agreeing share estimates J with a standard
error of sqrt(J(1-J)/BINS). No choice of pairs here (`lsh`), no text.

Method: fast similarity sketching, Dahlgaard, Knudsen and Thorup 2017 (arXiv:1704.04370): in round
i every n-gram falls into one random bin with one random value, the smallest wins, earlier rounds
win over later ones; bins still empty then take the minimum over all n-grams. Where we differ:
`ROUNDS` random rounds instead of one for each bin. For every bin the first round that reaches it
from the union of two texts decides, so agreement stays exactly J. An empty text has a sketch of its
own kind, all ones. The cost of a text is its length plus some `BINS` log `BINS`, where classic
MinHash (Broder 1997) takes the product of the two.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from data_prep.filters.shingles import Words, mix

BINS: Final = 128
ROUNDS: Final = 8
EMPTY: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_ROUND_BITS: Final = np.uint64(56)  # the top byte of a value is its round
_LOW: Final = np.uint64((1 << 56) - 1)


def _seeds(seed: int, count: int) -> np.ndarray:
    return mix(mix(np.arange(1, count + 1, dtype=np.uint64)) + np.uint64(seed))


def sketches(grams: Words, seed: int = 1) -> np.ndarray:
    """One sketch a text.

    Args:
        grams: hashed n-grams by text, from `filters.shingles.ngrams`.
        seed: sketches of different seeds are not comparable.

    Returns:
        Array of shape (texts, BINS), uint64.
    """
    texts = len(grams.counts)
    table = np.full(texts * BINS, EMPTY, dtype=np.uint64)
    seeds = _seeds(seed, ROUNDS + BINS)
    hashes, counts = grams.hashes, grams.counts
    base = np.repeat(np.arange(texts, dtype=np.int64) * BINS, counts)
    for number in range(ROUNDS):
        values = mix(hashes ^ seeds[number])
        bins = base + (values & np.uint64(BINS - 1)).astype(np.int64)
        values = ((values >> np.uint64(7)) & _LOW) | (np.uint64(number) << _ROUND_BITS)
        np.minimum.at(table, bins, values)
        short = (table.reshape(texts, BINS) == EMPTY).any(axis=1) & (counts > 0)
        if not short.any():
            break
        if not short.all():
            stay = np.repeat(short, counts)
            hashes, base = hashes[stay], base[stay]
            counts = np.where(short, counts, 0)
    _fill(table, grams, seeds[ROUNDS:])
    return table.reshape(texts, BINS)


def _fill(table: np.ndarray, grams: Words, seeds: np.ndarray) -> None:
    """Give every bin that no round reached the minimum over all n-grams of its text."""
    empty = np.flatnonzero(table == EMPTY)
    text, which = np.divmod(empty, BINS)
    counts = grams.counts[text]
    empty, text, which, counts = (a[counts > 0] for a in (empty, text, which, counts))
    if not len(empty):
        return
    firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    take = np.arange(firsts[-1]) + np.repeat(grams.starts[text] - firsts[:-1], counts)
    values = mix(grams.hashes[take] ^ np.repeat(seeds[which], counts)) & _LOW
    table[empty] = np.minimum.reduceat(values, firsts[:-1]) | (np.uint64(ROUNDS) << _ROUND_BITS)


def checks(table: np.ndarray) -> np.ndarray:
    """One byte for each bin, enough to estimate similarity (b-bit minwise hashing, b = 8).

    Li and König 2010 (arXiv:0910.3349).
    """
    return (mix(table) & np.uint64(255)).astype(np.uint8)


def estimate(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Similarity of pairs of `checks`: the agreeing share, less what agrees by chance.

    Args:
        left: shape (pairs, BINS).
        right: the same.
    """
    agree: np.ndarray = (left == right).mean(axis=1)
    return np.clip((agree - 1 / 256) / (1 - 1 / 256), 0.0, 1.0)
