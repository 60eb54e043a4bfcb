"""What an inspection shows of a file: seeded samples, and numbers over all rows.

In: the rows of one file. Out: a `Survey`: samples drawn by the seed, distributions (length, source,
difficulty, turns), the share of rows that pass each check with its interval, clusters of
near-duplicates. One pass over the file; what needs all rows keeps bytes a row, not the rows. Writes
nothing and shows nothing.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from conf.errors import DataError
from data_prep.checks.files import kind_of_row, open_file, records
from data_prep.checks.rows import row_problems, unpacked
from data_prep.duplicates.near import NearDuplicates
from data_prep.filters.base import Filter, Finding, concatenate, id_of, text_of, turns_of
from data_prep.filters.registry import find
from data_prep.judge import measure_of
from data_prep.rows_schema import Kind

CHECKS: Final = ("broken_markup", "cut_ending", "degenerate", "repetition", "privacy", "pairs")
Z: Final = 1.959963984540054  # normal quantile of 95%
BATCH: Final = 512
BINS: Final = 12
CLUSTERS: Final = 10


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of the rows looked at passed a check, with Wilson's 95% interval."""

    passed: int
    rows: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (JASA 22, 1927): right for shares near 0 and 1 too."""
        n = self.rows
        if not n:
            return 0.0, 1.0
        share, z2 = self.passed / n, Z * Z
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Sample:
    """One row to look at: its number in the file, and what the checks say of it."""

    number: int
    row: dict[str, Any]
    flags: tuple[str, ...]


@dataclass(slots=True)
class Survey:
    """A file, looked at.

    Attributes:
        path: of the file.
        kind: of its rows.
        seed: that the samples and the rows looked at were drawn with.
        rows: that it has.
        looked: how many of them the checks and the search for duplicates saw.
        samples: drawn at random, by number.
        values: numbers by name of the distribution (`characters`, `turns`, `difficulty`).
        names: counts by name of the distribution (`source`, `category`, `split`).
        rates: pass rate of each check.
        reasons: how often each reason was given.
        clusters: ids and beginning of near-duplicates of one another, the largest first.
        unread: records that could not be read.
    """

    path: Path
    kind: Kind
    seed: int
    rows: int = 0
    looked: int = 0
    samples: list[Sample] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    rates: dict[str, Rate] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    clusters: list[tuple[list[str], str]] = field(default_factory=list)
    unread: int = 0


def survey(path: Path, *, seed: int = 1, samples: int = 8, most: int = 20_000) -> Survey:
    """Look at a file.

    Args:
        path: of rows of one kind.
        seed: of the drawing.
        samples: rows to show.
        most: rows that the checks and the search for near-duplicates see, drawn at random.

    Raises:
        DataError: the file cannot be read, or its rows are of no kind.
    """
    opened = open_file(path)
    if opened.found and opened.kind is None:
        raise DataError(f"{path}: {opened.found[0][2]}", fix="python -m data_prep.check FILE")
    drawn, shown = random.Random(f"{seed} looked"), random.Random(f"{seed} shown")
    found: Survey | None = None
    kept: list[tuple[int, dict[str, Any]]] = []
    chosen: list[tuple[int, dict[str, Any]]] = []
    for number, record in records(opened):
        if isinstance(record, tuple):
            if found is not None:
                found.unread += 1
            continue
        if not kind_of_row(opened, record) or opened.kind is None:
            raise DataError(f"{path}: {opened.found[-1][2]}", fix="python -m data_prep.check FILE")
        found = found or Survey(path, opened.kind, seed)
        row, _ = unpacked(opened.kind, record)
        _count(found, row)
        _reservoir(kept, (number, row), found.rows, most, drawn)
        _reservoir(chosen, (number, row), found.rows, samples, shown)
    if found is None:
        raise DataError(
            f"{path}: holds no row that can be read", fix="python -m data_prep.check FILE"
        )
    kept.sort(key=lambda one: one[0])
    chosen.sort(key=lambda one: one[0])
    found.looked = len(kept)
    _judge(found, [row for _, row in kept])
    filters = _filters()
    for number, row in chosen:
        found.samples.append(Sample(number, row, tuple(_flags(found.kind, row, filters))))
    return found


def _reservoir(held: list[Any], one: Any, seen: int, most: int, chance: random.Random) -> None:
    """Each of the rows seen so far is among those held with the same probability."""
    if len(held) < most:
        held.append(one)
    elif (at := chance.randrange(seen)) < most:
        held[at] = one


def _count(found: Survey, row: Mapping[str, Any]) -> None:
    found.rows += 1
    extra = row.get("extra_info")
    holder = extra if isinstance(extra, Mapping) else row
    source = row.get("data_source") or holder.get("source") or "?"
    found.names["source"][str(source)] += 1
    for name in ("split", "category", "licence"):
        if holder.get(name):
            found.names[name][str(holder[name])] += 1
    found.values["characters"].append(len(text_of(row)))
    found.values["turns"].append(len(turns_of(row)))
    difficulty = measure_of(dict(row), "difficulty")
    if not math.isnan(difficulty):
        found.values["difficulty"].append(difficulty)


def _filters() -> list[Filter]:
    return [find(name)() for name in CHECKS]


def _flags(kind: Kind, row: Mapping[str, Any], filters: Sequence[Filter]) -> list[str]:
    """What checks and filters say of one row."""
    flags = [f"{code}: {column} {detail}" for code, column, detail in row_problems(kind, row)]
    for one in filters:
        for finding in _judged(one, [dict(row)]):
            if finding is not None:
                flags.append(f"{finding.reason}: {finding.detail}".rstrip(": "))
    return flags


def _judged(one: Filter, rows: Sequence[dict[str, Any]]) -> list[Finding | None]:
    """What a filter says; of a row too broken to be looked at, that."""
    try:
        return one.judge(rows)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if len(rows) == 1:
            return [Finding("unreadable", f"{one.name}: {type(error).__name__} {error}")]
        return [finding for row in rows for finding in _judged(one, [row])]


def _judge(found: Survey, rows: list[dict[str, Any]]) -> None:
    """Pass rates, and near-duplicates."""
    formed = [not any(True for _ in row_problems(found.kind, row)) for row in rows]
    found.rates["form"] = Rate(sum(formed), len(rows))
    for one in _filters():
        passed = 0
        for first in range(0, len(rows), BATCH):
            for finding in _judged(one, rows[first : first + BATCH]):
                passed += finding is None
                if finding is not None:
                    found.reasons[finding.reason] += 1
        found.rates[one.name] = Rate(passed, len(rows))
    found.clusters = clusters(rows)
    inside = sum(len(ids) for ids, _ in found.clusters)
    found.rates["near_duplicates"] = Rate(len(rows) - inside + len(found.clusters), len(rows))


def clusters(rows: Sequence[dict[str, Any]]) -> list[tuple[list[str], str]]:
    """Rows that are near-duplicates of one another, the largest cluster first."""
    if not rows:
        return []
    step = NearDuplicates()
    whole = [row for row in rows if text_of(row, system=False).strip()]
    if not whole:
        return []
    signed = concatenate(
        [step.signatures(whole[n : n + BATCH]) for n in range(0, len(whole), BATCH)]
    )
    parent = np.arange(len(whole))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = int(parent[at])
        return at

    for left, right, _ in step.similar(signed, lambda at: [whole[n] for n in at]):
        one, other = sorted((root(left), root(right)))
        parent[other] = one
    groups: dict[int, list[int]] = defaultdict(list)
    for n in range(len(whole)):
        groups[root(n)].append(n)
    found = [at for at in groups.values() if len(at) > 1]
    found.sort(key=lambda at: (-len(at), at))
    return [
        ([id_of(whole[n]) or f"row {n + 1}" for n in at], text_of(whole[at[0]], system=False)[:160])
        for at in found
    ]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of numbers between edges; one more edge than counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


def histogram(values: Sequence[float]) -> Histogram:
    """Whole numbers of few values each have their own bar; others lie in `BINS` equal ones."""
    array = np.asarray(values, dtype=float)
    low, high = float(array.min()), float(array.max())
    if high - low < BINS and bool((array == np.round(array)).all()):
        edges = np.arange(low, high + 2)
    else:
        edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(array, bins=edges)
    return Histogram(tuple(map(float, edges)), tuple(map(int, counts)))
