"""The report of `data_prep.check`: counts of all problems, the first few of each in full.

In: problems as they are found. Out: lines for a person. Bounded in memory whatever a file holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from data_prep.checks.chat import Found
from data_prep.checks.codes import CODES, Problem

SHOWN: Final = 5


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        rows: rows read, per file.
        bad_rows: rows with an error, per file.
        counts: problems per code.
        examples: the first few problems of each code and file.
        shown: how many of them are kept.
        fixed: for each mended file, rows kept and rows rejected.
    """

    rows: dict[str, int] = field(default_factory=dict)
    bad_rows: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[Problem]] = field(default_factory=dict)
    shown: int = SHOWN
    fixed: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, path: Path, row: int, found: Found) -> None:
        """Count one problem, keep it if it is among the first."""
        code, column, detail = found
        self.counts[code] += 1
        held = self.examples.setdefault((str(path), code), [])
        if len(held) < self.shown:
            held.append(Problem(code, str(path), row, column, detail))

    @property
    def problems(self) -> list[Problem]:
        """Those kept, by file, row and column."""
        held = [one for several in self.examples.values() for one in several]
        return sorted(held, key=lambda one: (one.file, one.row, one.column, one.code))

    @property
    def errors(self) -> int:
        """Problems that are errors."""
        return sum(n for code, n in self.counts.items() if CODES[code].severity == "error")

    def lines(self) -> Iterator[str]:
        """The report, for a person."""
        yield from map(str, self.problems)
        more = self.counts.total() - len(self.problems)
        if more:
            counts = ", ".join(f"{code} {n}" for code, n in self.counts.most_common())
            yield f"… and {more} more of these; in all: {counts}"
        for name, (kept, rejected) in self.fixed.items():
            yield f"{name}: {kept} rows written, {rejected} rejected"
        total, bad = sum(self.rows.values()), sum(self.bad_rows.values())
        warnings = self.counts.total() - self.errors
        yield (
            f"{len(self.rows)} files, {total} rows: {self.errors} errors in {bad} rows, "
            f"{warnings} warnings"
        )
