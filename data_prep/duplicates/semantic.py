"""Semantic duplicates: rows that mean the same, by the cosine of their embeddings.

In: rows, and an embedding model, local or on a server. Phase 1 gives one half-precision vector a
row, phase 2 findings. Up to `WHOLE` rows every pair is compared; beyond, rows are first put into
clusters by k-means and compared within their cluster (SemDeDup, Abbas et al. 2023,
arXiv:2303.09540), which misses pairs that a border parts. What cosine means "the same" depends on
the model: look at the evidence before dropping. Rows with other figures are not the same unless
told so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from data_prep.duplicates.keep import choose, preference
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
from data_prep.filters.text import numbers_of

WHOLE: Final = 20_000
CLUSTER_ROWS: Final = 5_000  # wanted in a cluster
BLOCK: Final = 1_024
ROUNDS: Final = 10
Embedder = Callable[[Sequence[str]], np.ndarray]


def clusters(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Spherical k-means (Dhillon and Modha 2001): the cluster of each vector.

    Args:
        vectors: of length 1, shape (rows, dimensions).
        count: clusters.
        seed: of the rows that the centres begin at.
    """
    generator = np.random.default_rng(seed)
    centres = vectors[np.sort(generator.choice(len(vectors), count, replace=False))].astype(
        np.float32
    )
    nearest = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(ROUNDS):
        for first in range(0, len(vectors), BLOCK):
            block = vectors[first : first + BLOCK].astype(np.float32)
            nearest[first : first + BLOCK] = (block @ centres.T).argmax(axis=1)
        for cluster in range(count):
            members = vectors[nearest == cluster]
            if len(members):
                centre = members.astype(np.float64).mean(axis=0)
                centres[cluster] = centre / max(float(np.linalg.norm(centre)), 1e-12)
    return nearest


def alike(
    vectors: np.ndarray, threshold: float, seed: int, *, whole: int = WHOLE
) -> Iterator[tuple[int, int, float]]:
    """Pairs of positions whose cosine is at least the threshold.

    Args:
        vectors: of length 1, shape (rows, dimensions).
        threshold: least cosine.
        seed: of the clusters.
        whole: up to so many rows every pair is compared.
    """
    groups = [np.arange(len(vectors))]
    if len(vectors) > whole:
        labels = clusters(vectors, -(-len(vectors) // CLUSTER_ROWS), seed)
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for group in groups:
        members = vectors[group].astype(np.float32)
        for first in range(0, len(group), BLOCK):
            cosines = members[first : first + BLOCK] @ members[first:].T
            rows, columns = np.nonzero(np.triu(cosines >= threshold, 1))
            values = cosines[rows, columns]
            left, right = group[first + rows], group[first + columns]
            yield from zip(left.tolist(), right.tolist(), values.tolist(), strict=True)


def load_embedder(model: str, server: str | None, batch: int) -> Embedder:
    """From texts to vectors of length 1, shape (texts, dimensions).

    Args:
        model: folder or hub name of a sentence-transformers model; or its name on the server.
        server: base URL of an OpenAI-compatible embedding server; None: the model runs here.
        batch: texts in one request.
    """
    if server is None:
        from data_prep.backends.sentence_model import SentenceModel

        return SentenceModel(model).embed
    from data_prep.filters.server import Server

    client = Server(server, model)

    def embed(texts: Sequence[str]) -> np.ndarray:
        vectors: list[list[float]] = []
        for first in range(0, len(texts), batch):
            vectors += client.embeddings([text or " " for text in texts[first : first + batch]])
        found = np.asarray(vectors, dtype=np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(lengths == 0, 1, lengths), dtype=np.float32)

    return embed


class SemanticDuplicates(Options):
    """The step `semantic_duplicates`.

    Attributes:
        model: folder or hub name of a sentence-transformers model; or its name on the server.
        server: base URL of an OpenAI-compatible embedding server; None: the model runs here.
        threshold: cosine from which two rows are duplicates.
        part: what is embedded.
        numbers: `same`: rows that name different numbers are different tasks; `any`: not so.
        batch: texts in one request to a server.
        seed: of the clusters.
        action: what happens to all but the first of a group.
    """

    name: ClassVar[str] = "semantic_duplicates"
    reasons: ClassVar[Mapping[str, str]] = {
        "duplicate_semantic": "means the same as a row that is kept, by its embedding",
        "duplicate_semantic_held_out": "a training row that means the same as a held-out one",
    }

    model: str
    server: str | None = None
    threshold: float = Field(default=0.95, gt=0, le=1)
    part: Part = "prompt"
    numbers: Literal["same", "any"] = "same"
    batch: int = Field(default=64, ge=1)
    seed: int = Field(default=1, ge=0)
    action: Action = "drop"

    @cached_property
    def _embedder(self) -> Embedder:
        return load_embedder(self.model, self.server, self.batch)

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """One vector of length 1 a row, its numbers' hash, and whether it is held out."""
        from data_prep.duplicates.near import hash_each

        texts = [text_of(row, self.part, system=False) for row in rows]
        vectors = self._embedder(texts)
        named = ["" if self.numbers == "any" else " ".join(numbers_of(text)) for text in texts]
        return {
            "semantic_vectors": vectors.astype(np.float16),
            "semantic_numbers": hash_each(named),
            "semantic_words": np.array([bool(text.strip()) for text in texts], dtype=bool),
            "semantic_held_out": np.array([split_of(row) != "train" for row in rows], dtype=bool),
        }

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """Findings by row id: each row that goes names the row that stays for it."""
        held_out = signatures["semantic_held_out"]
        numbers, words = signatures["semantic_numbers"], signatures["semantic_words"]
        similar = (
            (left, right, value)
            for left, right, value in alike(
                signatures["semantic_vectors"], self.threshold, self.seed
            )
            if numbers[left] == numbers[right] and words[left] and words[right]
        )
        findings = {}
        for position, (kept, value) in sorted(choose(similar, preference(held_out)).items()):
            if held_out[position]:
                continue  # an evaluation set is not ours to thin out
            findings[ids[position]] = Finding(
                "duplicate_semantic_held_out" if held_out[kept] else "duplicate_semantic",
                f"cosine {value:.3f} with {ids[kept]}",
                self.action,
                {"kept": ids[kept], "cosine": round(value, 4)},
            )
        return findings
