"""All rows of one kind as arrays, and the steps that decide over all of them together.

In: verdicts on parts; corpus steps by name. Out: a `Corpus`, one array entry a row, whose `kept`
says what is left, and a line of evidence for each finding. Each step sees the rows that the ones
before left. Signatures are made part by part, under any engine; rows are held one part at a time.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.filters.base import CorpusStep, Fetch, Row, Signatures, concatenate
from data_prep.judge import BATCH_ROWS, finding_line, verdict_path
from data_prep.parts import Part, batches, ids_of, read_arrow, rows_of
from data_prep.steps import load_steps
from data_prep.work import put


@dataclass
class Corpus:
    """All rows of one kind, one array entry each, in the order of sources, splits and rows.

    Attributes:
        parts: the files that they lie in.
        part: position of a row's part.
        row: position within the part.
        hash: of its id.
        kept: whether it goes on.
        measure: the value to sort by; empty if there is none.
        dropped: counts by source and reason.
        flagged: the same of rows that stay.
        licences: rows by source and licence.
    """

    parts: list[Part]
    part: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    hash: npt.NDArray[np.uint64]
    kept: npt.NDArray[np.bool_]
    measure: npt.NDArray[np.float64]
    dropped: dict[int, Counter[str]] = field(default_factory=dict)
    flagged: dict[int, Counter[str]] = field(default_factory=dict)
    licences: dict[int, Counter[str]] = field(default_factory=dict)

    def of(self, source: int, split: str) -> npt.NDArray[np.int64]:
        """The kept rows of a source and split."""
        wanted = np.array([p.source == source and p.split == split for p in self.parts], bool)
        return np.flatnonzero(wanted[self.part] & self.kept).astype(np.int64)

    def rows_in(self, source: int, split: str) -> int:
        """How many rows of a source and split there were."""
        return sum(p.rows for p in self.parts if p.source == source and p.split == split)


def load_corpus(parts: Sequence[Part], verdicts: Sequence[str]) -> Corpus:
    """Put the verdicts of one kind's parts together."""
    tables = [read_arrow(path) for path in verdicts]

    def joined(name: str, kind: Any) -> Any:
        found = [table.column(name).to_numpy() for table in tables if name in table.column_names]
        return np.concatenate(found).astype(kind) if found else np.zeros(0, kind)

    lengths = [table.num_rows for table in tables]
    corpus = Corpus(
        list(parts),
        np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        np.concatenate([np.arange(n, dtype=np.int32) for n in lengths] or [np.zeros(0, np.int32)]),
        joined("hash", np.uint64),
        joined("kept", np.bool_),
        joined("measure", np.float64),
    )
    for part, table in zip(parts, tables, strict=True):
        counts = json.loads(table.schema.metadata[b"counts"])
        for name in ("dropped", "flagged", "licences"):
            held: dict[int, Counter[str]] = getattr(corpus, name)
            held.setdefault(part.source, Counter()).update(counts[name])
    return corpus


@dataclass(frozen=True, slots=True)
class Sign:
    """The task on one part: the corpus steps' signatures of the rows that the filters kept.

    Attributes:
        folder: where they go.
        verdicts: where the verdicts lie.
        steps: their names and options, as JSON.
    """

    folder: str
    verdicts: str
    steps: str

    def __call__(self, part: Part) -> tuple[str, int]:
        """The signatures' file, and how many rows it is of."""
        path = verdict_path(Path(self.folder), part).with_suffix(".npz")
        kept = read_arrow(verdict_path(Path(self.verdicts), part)).column("kept").to_numpy()
        if not path.exists():
            rows = [row for row, stays in zip(rows_of(part), kept, strict=True) if stays]
            arrays: dict[str, Any] = {}
            for number, step in enumerate(load_steps(self.steps)):
                made = [step.signatures(batch) for batch in batches(rows, BATCH_ROWS)]
                if made:
                    named = concatenate(made)
                    arrays.update({f"{number}/{name}": value for name, value in named.items()})
            buffer = io.BytesIO()
            np.savez(buffer, **arrays)
            put(path, buffer.getbuffer())
        return str(path), int(kept.sum())


def resolve_steps(corpus: Corpus, steps: str, signed: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Run each step over the rows that the ones before left; mark what goes.

    Args:
        corpus: changed in place: `kept` and the counts.
        steps: names and options as JSON, in order.
        signed: file and rows of each part, in the corpus's order.

    Yields:
        A line of `findings.jsonl` for each finding.
    """
    first = alive = np.flatnonzero(corpus.kept)
    ids = corpus_ids(corpus, alive)
    made: tuple[CorpusStep, ...] = load_steps(steps)
    for number, step in enumerate(made):
        if not len(alive):
            return
        signatures = _signatures(number, signed, first, alive)
        findings = step.resolve(signatures, ids, _fetcher(corpus, alive))
        stays = np.ones(len(alive), dtype=bool)
        for at, row_id in enumerate(ids):
            finding = findings.get(row_id)
            if finding is None:
                continue
            stays[at] = finding.action != "drop"
            source = corpus.parts[corpus.part[alive[at]]].source
            counts = corpus.flagged if stays[at] else corpus.dropped
            counts.setdefault(source, Counter())[finding.reason] += 1
            yield finding_line(step.name, {"id": row_id}, finding)
        corpus.kept[alive[~stays]] = False
        alive = alive[stays]
        ids = [row_id for row_id, one in zip(ids, stays, strict=True) if one]


def corpus_ids(corpus: Corpus, at: npt.NDArray[np.int64]) -> list[str]:
    """The ids of rows, in ascending order of position."""
    found: list[str] = []
    for number, rows in _by_part(corpus, at):
        found += ids_of(corpus.parts[number]).take(rows).to_pylist()
    return found


def _by_part(
    corpus: Corpus, at: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    """Ascending positions, part by part: the part's number and the rows within it."""
    numbers = corpus.part[at]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(at)], strict=True):
        yield int(numbers[start]), corpus.row[at[start:end]]


def _signatures(
    number: int,
    signed: Sequence[tuple[str, int]],
    first: npt.NDArray[np.int64],
    alive: npt.NDArray[np.int64],
) -> Signatures:
    """One step's arrays of the rows that are still there, of those that were signed at first."""
    made: list[Signatures] = []
    prefix = f"{number}/"
    still = np.isin(first, alive, assume_unique=True)
    start = 0
    for path, rows in signed:
        mask = still[start : start + rows]
        start += rows
        if not mask.any():
            continue
        with np.load(path) as arrays:
            made.append(
                {n.removeprefix(prefix): arrays[n][mask] for n in arrays if n.startswith(prefix)}
            )
    return concatenate(made)


def _fetcher(corpus: Corpus, alive: npt.NDArray[np.int64]) -> Fetch:
    """Gives a step the rows that it wants to see again; parts are read once a call."""

    def fetch(positions: Sequence[int]) -> Sequence[Row]:
        where = alive[np.asarray(positions, dtype=np.int64)]
        order = np.argsort(where, kind="stable")
        found: list[Row] = [{}] * len(where)
        place = 0
        for number, rows in _by_part(corpus, where[order]):
            held = rows_of(corpus.parts[number])
            for row in rows:
                found[int(order[place])] = held[int(row)]
                place += 1
        return found

    return fetch
