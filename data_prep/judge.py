"""What the filters say of each part, and what the whole-corpus steps say of all rows together.

In: parts of rows; filters by name. Out: a verdict file a part (ids' hashes, kept or not, the value
to sort by), findings as JSON lines, and a `Corpus` per kind: one array entry a row. Row filters
come first, each on what the ones before left; then the corpus steps, likewise. A row is dropped for
one reason, and may be flagged for many. Rows are held one part at a time.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_prep.filters.base import (
    CorpusStep,
    Fetch,
    Finding,
    Row,
    Signatures,
    concatenate,
    id_of,
    text_of,
)
from data_prep.licence import licence_verdict
from data_prep.mix_order import hash_text
from data_prep.parts import Part, batches, ids_of, licences_of, read_arrow, rows_of, write_arrow
from data_prep.rows import meta
from data_prep.steps import load_steps
from data_prep.work import put

BATCH_ROWS: Final = 1024  # what a filter is given at a time
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Judge:
    """The task on one part: run every row filter, write the verdict.

    Attributes:
        folder: where verdicts go.
        filters: their names and options, as JSON.
        on_test: names of those that may drop test rows; the others' findings are flags there.
        measure: field to sort by later; None: nothing.
        commercial: drop rows whose own licence does not permit commercial use.
    """

    folder: str
    filters: str
    on_test: tuple[str, ...]
    measure: str | None
    commercial: bool

    def __call__(self, part: Part) -> str:
        """The verdict's path; judged once, whoever asks."""
        path = verdict_path(Path(self.folder), part)
        if path.exists():
            return str(path)
        ids, licences = ids_of(part).to_pylist(), licences_of(part)
        kept = np.ones(part.rows, dtype=bool)
        needed = self.commercial or self.measure is not None or self.filters != "{}"
        rows = rows_of(part) if needed else []
        lines: list[str] = []
        dropped: Counter[str] = Counter()
        flagged: Counter[str] = Counter()

        def note(name: str, rows_at: Sequence[int], findings: Sequence[Finding | None]) -> None:
            for at, finding in zip(rows_at, findings, strict=True):
                if finding is None:
                    continue
                if part.split != "train" and name not in (*self.on_test, "licence"):
                    finding = replace(finding, action="flag")
                lines.append(finding_line(name, rows[at], finding))
                (dropped if finding.action == "drop" else flagged)[finding.reason] += 1
                kept[at] = kept[at] and finding.action != "drop"

        if self.commercial:
            note("licence", range(len(rows)), [_licence(row) for row in rows])
        for one in load_steps(self.filters):
            for chosen in batches(np.flatnonzero(kept).tolist(), BATCH_ROWS):
                at = list(chosen)
                note(one.name, at, one.judge([rows[index] for index in at]))
        columns = {"hash": np.array([hash_text(one) for one in ids], dtype=np.uint64), "kept": kept}
        if self.measure is not None:
            columns["measure"] = np.array([measure_of(row, self.measure) for row in rows])
        counts = {"dropped": dropped, "flagged": flagged, "licences": licences}
        _save(path, columns, lines, counts)
        return str(path)


def verdict_path(folder: Path, part: Part) -> Path:
    """Where the verdict on a part lies."""
    return folder / str(part.source) / Path(part.path).name


def _licence(row: Row) -> Finding | None:
    licence = meta(row).licence
    verdict = licence_verdict(licence)
    return None if verdict == "commercial" else Finding(f"licence_{verdict}", licence)


def finding_line(name: str, row: Row, finding: Finding) -> str:
    """One line of `findings.jsonl`."""
    found = {
        "id": id_of(row),
        "filter": name,
        "reason": finding.reason,
        "action": finding.action,
        "detail": finding.detail,
        "evidence": dict(finding.evidence),
    }
    return json.dumps(found, sort_keys=True, ensure_ascii=False, default=str)


def measure_of(row: Row, name: str) -> float:
    """The number to sort by: a field of the row or of its `extra_info`; NaN if it has none.

    `length` is the characters of the row's text; of a text such as `Level 3` the number counts.
    """
    if name == "length":
        return float(len(text_of(row)))
    value = row.get(name)
    if value is None:
        value = (row.get("extra_info") or {}).get(name)
    if isinstance(value, str):
        number = _NUMBER.search(value)
        value = float(number[0]) if number else None
    return float("nan") if value is None else float(value)


def _save(
    path: Path,
    columns: Mapping[str, npt.NDArray[Any]],
    lines: Sequence[str],
    counts: Mapping[str, Mapping[str, int]],
) -> None:
    import pyarrow as pa

    put(path.with_suffix(".jsonl"), "".join(f"{line}\n" for line in lines).encode())
    table = pa.table(dict(columns)).replace_schema_metadata({"counts": json.dumps(counts)})
    write_arrow(path, table)  # last: it says that the part is judged


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
