"""What the filters say of each part of the rows.

In: parts; filters by name. Out: a verdict file a part (ids' hashes, kept or not, the value to sort
by) and findings as JSON lines. Each filter sees what the ones before left: a row is dropped for one
reason, and may be flagged for many. Decisions over all rows together are in `data_prep.corpus`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_prep.filters.base import (
    Finding,
    Row,
    id_of,
    text_of,
)
from data_prep.licence import licence_verdict
from data_prep.mix_order import hash_text
from data_prep.numbers import number_in
from data_prep.parts import Part, batches, ids_of, licences_of, rows_of, write_arrow
from data_prep.rows import meta
from data_prep.steps import load_steps
from data_prep.work import put

FINDINGS: Final = "findings.jsonl"
BATCH_ROWS: Final = 1024  # what a filter is given at a time


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

        def note(
            name: str, rows_at: Sequence[int], findings: Sequence[Finding | None], may_drop: bool
        ) -> None:
            for at, finding in zip(rows_at, findings, strict=True):
                if finding is None:
                    continue
                if not may_drop:
                    finding = replace(finding, action="flag")
                lines.append(finding_line(name, rows[at], finding))
                (dropped if finding.action == "drop" else flagged)[finding.reason] += 1
                kept[at] = kept[at] and finding.action != "drop"

        if self.commercial:
            note("licence", range(len(rows)), [_licence(row) for row in rows], True)
        for name, one in zip(json.loads(self.filters), load_steps(self.filters), strict=True):
            may_drop = part.split == "train" or name in self.on_test
            for chosen in batches(np.flatnonzero(kept).tolist(), BATCH_ROWS):
                at = list(chosen)
                note(one.name, at, one.judge([rows[index] for index in at]), may_drop)
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
        try:
            value = number_in(value)
        except ValueError:  # the row stands with those that have none
            value = None
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
