"""Which rows of a source are used, and in what order rows stand in a file.

In: the 64-bit hash of each row's id, counts and a seed. Out: index arrays. The order is that of a
keyed mix of the hashes (splitmix64), not of a random generator: it depends on no version of numpy,
on no engine and on no other source, so adding a source leaves the choice within the others as it
was. Constant memory a row; nothing is read or written here.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def hash_text(text: str) -> int:
    """64 bits of a text, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def salt(seed: int, *words: str) -> np.uint64:
    """A key for one purpose: the seed and what it is for."""
    return np.uint64(hash_text("\0".join([str(seed), *words])))


def keys(hashes: Hashes, salted: np.uint64, copy: int = 0) -> Hashes:
    """Evenly spread sort keys: splitmix64's finalizer (Steele et al., OOPSLA 2014)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        mixed = (hashes ^ salted) + golden * np.uint64(copy + 1)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def choose(hashes: Hashes, taken: int, salted: np.uint64) -> tuple[Indices, Indices]:
    """Use `taken` rows: whole rounds of all, then a sample without replacement.

    Returns:
        Index and copy number of each use; ascending by copy, then index.
    """
    rows = len(hashes)
    rounds, rest = divmod(taken, rows) if rows else (0, 0)
    order = np.argsort(keys(hashes, salted), kind="stable")
    sample = np.sort(order[:rest])
    index = np.concatenate([np.tile(np.arange(rows), rounds), sample]).astype(np.int64)
    copies = np.concatenate([np.repeat(np.arange(rounds), rows), np.full(rest, rounds)])
    return index, copies.astype(np.int64)


def shuffled(hashes: Hashes, copies: Indices, salted: np.uint64) -> Indices:
    """The positions' rows: `result[p]` is the row that stands at position p."""
    made = np.empty(len(hashes), dtype=np.uint64)
    for copy in np.unique(copies):
        of_copy = copies == copy
        made[of_copy] = keys(hashes[of_copy], salted, int(copy))
    return np.argsort(made, kind="stable").astype(np.int64)


def graded(values: npt.NDArray[np.float64], order: Indices, descending: bool) -> Indices:
    """Rows in `order`, sorted by value and otherwise left in that order; NaN comes last."""
    ranked = values[order]
    ranked = -ranked if descending else ranked
    return order[np.argsort(ranked, kind="stable")]  # numpy sorts NaN to the end
