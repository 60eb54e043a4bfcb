"""Pairs of texts that are probably similar, without comparing all with all.

In: sketches. Out: `band_keys` (32 bits for each band of rows of a sketch) and `pairs` of positions
that share a key. Locality-sensitive hashing by bands, Indyk and Motwani 1998; Leskovec, Rajaraman
and Ullman, "Mining of Massive Datasets", section 3.4: with b bands of r rows a pair of similarity s
becomes a candidate with probability 1 - (1 - s**r)**b. Nothing is verified here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from data_prep.duplicates.minhash import BINS
from data_prep.filters.shingles import mix

WINDOW: Final = 32  # neighbours looked at in a bucket; only larger buckets lose pairs by it


def rows_per_band(threshold: float, recall: float = 0.999) -> int:
    """The most rows in a band by which a pair at the threshold is still found with `recall`."""
    fit = [r for r in range(1, 17) if 1 - (1 - threshold**r) ** (BINS // r) >= recall]
    return max(fit, default=1)


def band_keys(table: np.ndarray, rows: int, salt: np.ndarray | None = None) -> np.ndarray:
    """Keys of each text's bands.

    Args:
        table: sketches, shape (texts, BINS).
        rows: bins in a band.
        salt: one value a text; only texts of the same value can share a key.

    Returns:
        Array of shape (texts, BINS // rows), uint32.
    """
    bands = BINS // rows
    parts = table[:, : bands * rows].reshape(len(table), bands, rows)
    keys = np.tile(np.arange(bands, dtype=np.uint64), (len(table), 1))
    if salt is not None:
        keys ^= mix(salt)[:, None]
    for row in range(rows):
        keys = mix(keys ^ parts[:, :, row])
    return (keys >> np.uint64(32)).astype(np.uint32)


def pairs(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of positions that share a key of one band, band by band; the first is the smaller.

    In a bucket of more than `WINDOW` + 1 texts each is paired with the `WINDOW` before it only.

    Args:
        keys: one row a text, one column a band.
    """
    for band in range(keys.shape[1]):
        column = keys[:, band]
        order = np.argsort(column, kind="stable")
        sorted_keys = column[order]
        left = np.arange(len(order))
        for distance in range(1, min(WINDOW, len(order) - 1) + 1):
            left = left[left < len(order) - distance]
            left = left[sorted_keys[left] == sorted_keys[left + distance]]
            if not len(left):
                break
            yield order[left], order[left + distance]
