"""The filter `decontamination`: no training row may hold a question that the model is tested with.

In: rows; the evaluation sets found on this machine. Out: findings with their evidence (which set,
which question, what share, the words matched). Every turn of a training row is compared by whole
questions and n-grams, its prompt also for paraphrases that keep the numbers. What it catches of
GSM8K's test split, as `tests/contract/test_filters_real.py` measures: verbatim and
re-cased or re-punctuated copies, all; paraphrases with names and numbers kept, 31 of 32; with
another story around the numbers, none of 6; of tasks without numbers, none. An embedding model
(`embedding_model`) is what looks for those.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from data_prep.decontaminate.index import Index, Match
from data_prep.decontaminate.paraphrase import Paraphrases
from data_prep.decontaminate.sets import SETS, Item, SetFiles, load_sets
from data_prep.duplicates.semantic import Embedder, load_embedder
from data_prep.filters.base import Action, Finding, Options, Row, split_of, text_of, turns_of
from data_prep.filters.text import words_of

SHOWN: Final = 400  # characters of a text in the evidence
EMBEDDED_TOGETHER: Final = 64  # texts in one request to a server


class Decontamination(Options):
    """The filter `decontamination`.

    Attributes:
        sets: evaluation sets to compare with, by name.
        folders: where their files are looked for, before the model hub's cache.
        own: further sets by name.
        questions: further questions; those that a set has as well count once.
        cache: whether to look into the model hub's cache.
        ngram: words in an n-gram.
        share: least share of a question's n-gram weight that counts as holding it.
        paraphrases: what a paraphrase does, of either kind; `off`: those that keep the numbers are
            not looked for.
        embedding_model: sentence-transformers model (folder, hub name, or name on the server) to
            look for paraphrases of any kind; None: they are not looked for.
        embedding_server: base URL of an OpenAI-compatible embedding server.
        embedding_threshold: least cosine of a prompt and a question that mean the same.
        splits: splits that are judged; held-out rows are the test.
        action: what an exact or n-gram match does.
    """

    name: ClassVar[str] = "decontamination"
    reasons: ClassVar[Mapping[str, str]] = {
        "contaminated_exact": "holds a whole evaluation question, case and punctuation aside",
        "contaminated_ngram": "holds a large share of an evaluation question's n-grams",
        "contaminated_paraphrase": "says an evaluation question, with its numbers, in other words",
        "contaminated_semantic": "means what an evaluation question means, by its embedding",
    }

    sets: tuple[str, ...] = tuple(SETS)
    folders: tuple[Path, ...] = ()
    own: dict[str, SetFiles] = Field(default_factory=dict)
    questions: tuple[Item, ...] = ()
    cache: bool = True
    ngram: int = Field(default=8, ge=2, le=12)
    share: float = Field(default=0.5, gt=0, le=1)
    paraphrases: Literal["drop", "flag", "off"] = "drop"
    embedding_model: str | None = None
    embedding_server: str | None = None
    embedding_threshold: float = Field(default=0.9, gt=0, le=1)
    splits: tuple[str, ...] = ("train",)
    action: Action = "drop"

    @cached_property
    def _loaded(self) -> tuple[list[Item], dict[str, int], list[str]]:
        names = dict.fromkeys((*self.sets, *self.own))
        items, _, missing = load_sets(names, self.folders, self.own, cache=self.cache)
        known = {item.text for item in items}
        items += [item for item in self.questions if item.text not in known]
        counts = dict(Counter(item.set for item in items))
        return items, counts, [name for name in missing if name not in counts]

    @cached_property
    def _index(self) -> Index:
        return Index([item.text for item in self._loaded[0]], self.ngram, self.share)

    @cached_property
    def _paraphrases(self) -> Paraphrases:
        return Paraphrases([item.text for item in self._loaded[0]])

    @cached_property
    def _embedder(self) -> Embedder:
        return load_embedder(str(self.embedding_model), self.embedding_server, EMBEDDED_TOGETHER)

    @cached_property
    def _vectors(self) -> np.ndarray:
        return self._embedder([item.text for item in self._loaded[0]])

    @property
    def compared(self) -> dict[str, int]:
        """Questions of each set that rows are compared with, for the manifest."""
        return dict(self._loaded[1])

    @property
    def missing(self) -> list[str]:
        """Sets of which no file is here: nothing can be said of them, and the manifest says so."""
        return list(self._loaded[2])

    @property
    def digest(self) -> str:
        """SHA-256 of all questions."""
        digest = hashlib.sha256()
        for item in self._loaded[0]:
            digest.update(f"{item.set}\0{item.id}\0{item.text}\0".encode("utf-8", "replace"))
        return digest.hexdigest()

    def judge(self, rows: Sequence[Row]) -> list[Finding | None]:
        """One entry per row."""
        findings: list[Finding | None] = [None] * len(rows)
        judged = [i for i, row in enumerate(rows) if split_of(row) in self.splits]
        if not judged or not self._loaded[0]:
            return findings
        texts, owner = [], []
        for i in judged:
            for role, text in turns_of(rows[i]):
                if role != "system":
                    texts.append(text)
                    owner.append(i)
        for match in self._index.matches(texts):
            row = owner[match.text]
            if findings[row] is None or match.how == "exact":
                findings[row] = self._held(texts[match.text], match)
        if self.paraphrases != "off":
            for i in judged:
                if findings[i] is None:
                    findings[i] = self._paraphrase(rows[i])
        if self.embedding_model is not None:
            left = [i for i in judged if findings[i] is None]
            for i, found in zip(left, self._semantic([rows[i] for i in left]), strict=True):
                findings[i] = found
        return findings

    def _semantic(self, rows: Sequence[Row]) -> list[Finding | None]:
        """The question that each prompt is nearest to, where that is near enough."""
        if not rows:
            return []
        texts = [text_of(row, "prompt", system=False) for row in rows]
        cosines = self._embedder(texts) @ self._vectors.T
        findings: list[Finding | None] = []
        for text, row in zip(texts, cosines, strict=True):
            nearest = int(row.argmax())
            cosine = float(row[nearest])
            item = self._loaded[0][nearest]
            near = cosine >= self.embedding_threshold and bool(text.strip())
            findings.append(
                Finding(
                    "contaminated_semantic",
                    f"cosine {cosine:.3f} with {item.set} {item.id}",
                    "flag" if self.paraphrases == "flag" else "drop",
                    {**_evidence(item, text), "cosine": round(cosine, 4)},
                )
                if near
                else None
            )
        return findings

    def _held(self, text: str, match: Match) -> Finding:
        item = self._loaded[0][match.question]
        matched = " ".join(words_of(text)[match.first : match.last + 1])
        what = "whole question" if match.how == "exact" else f"{match.share:.0%} of the n-grams"
        return Finding(
            f"contaminated_{match.how}",
            f"{what} of {item.set} {item.id}",
            self.action,
            {
                **_evidence(item, text),
                "matched_share": round(match.share, 4),
                "matched": matched[:SHOWN],
            },
        )

    def _paraphrase(self, row: Row) -> Finding | None:
        text = text_of(row, "prompt", system=False)
        like = self._paraphrases.best(text)
        if like is None:
            return None
        item = self._loaded[0][like.position]
        return Finding(
            "contaminated_paraphrase",
            f"same numbers and {like.words:.0%} of the word weight of {item.set} {item.id}",
            "flag" if self.paraphrases == "flag" else "drop",
            {
                **_evidence(item, text),
                "numbers_share": round(like.numbers, 4),
                "words_share": round(like.words, 4),
            },
        )


def _evidence(item: Item, text: str) -> dict[str, object]:
    return {
        "set": item.set,
        "question_id": item.id,
        "question": item.text[:SHOWN],
        "text": text[:SHOWN],
    }
