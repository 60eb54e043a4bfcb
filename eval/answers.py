"""Records as numbers: for each item the values of its samples, its cluster and its stratum.

In: records of one model on one task, in any order, of today's form or with `sample`, `stratum` and
`cluster`. Out: `Answered` items in the order of their index. A failed verdict (`verifier_error`,
`gold_error`) says nothing of the model: that sample is left out and counted, never a 0. Nothing
here estimates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eval.records import Record
from eval.statistics.mean import Codes, Floats, codes, stratum_weights
from rewards.verdict import BROKEN

ACCURACY: Final = "accuracy"


@dataclass(frozen=True, slots=True)
class Answered:
    """One item with its judged samples.

    Attributes:
        records: the judged ones, by sample number; at least one.
        values: one per record: 1 or 0 for accuracy, `acc` in [0, 1] for any other metric.
    """

    records: tuple[Record, ...]
    values: tuple[float, ...]

    @property
    def first(self) -> Record:
        """What all samples share: index, id, prompt, gold answer, stratum, cluster."""
        return self.records[0]

    @property
    def share(self) -> float:
        """Mean value of the samples."""
        return sum(self.values) / len(self.values)

    @property
    def stratum(self) -> str:
        """The item's stratum, empty when the records name none."""
        return str(self.first.get("stratum") or "")

    @property
    def cluster(self) -> str | None:
        """What the item shares with others; None, and an empty name: it stands alone."""
        found = self.first.get("cluster")
        return None if found is None else str(found) or None


def task_of(record: Record) -> str:
    """The task a record belongs to: its own word, else its data source."""
    return str(record.get("task") or record.get("data_source") or "task")


def naming(*sides: Iterable[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], str | int]:
    """What names an item in all of these records: its id where ids are unique, else its row."""
    for side in sides:
        rows: dict[Any, int] = {}
        for record in side:
            name, row = record.get("id"), record["index"]
            if name is None or rows.setdefault(name, row) != row:
                return lambda record: int(record["index"])
    return lambda record: str(record["id"])


def status_of(record: Record) -> str:
    """The verdict's status."""
    return str(record["verdict"]["status"])


def value_of(record: Record, metric: str = ACCURACY) -> float | None:
    """What a sample counts: None when its verdict failed."""
    status = status_of(record)
    if status in BROKEN:
        return None
    if metric == ACCURACY:
        return 1.0 if status == "correct" else 0.0
    acc = record["verdict"].get("acc")
    return None if acc is None else min(max(float(acc), 0.0), 1.0)


def answered(
    records: Sequence[Record],
    metric: str = ACCURACY,
    counts: Callable[[Record], float | None] | None = None,
) -> list[Answered]:
    """Items with at least one judged sample; of a sample that was recorded twice, the last.

    Args:
        records: of one model on one task.
        metric: what a sample counts (`value_of`).
        counts: the same for what is no metric: a number in [0, 1], None to leave the sample out.
    """
    latest: dict[int, dict[int, Record]] = {}
    for record in records:
        latest.setdefault(record["index"], {})[int(record.get("sample") or 0)] = record
    items = []
    for index in sorted(latest):
        judged = [
            (record, value)
            for _, record in sorted(latest[index].items())
            if (value := counts(record) if counts else value_of(record, metric)) is not None
        ]
        if judged:
            found, values = zip(*judged, strict=True)
            items.append(Answered(found, values))
    return items


def shares(items: Sequence[Answered]) -> Floats:
    """Mean value of each item."""
    return np.array([item.share for item in items], dtype=float)


def clusters_of(items: Sequence[Answered]) -> Codes | None:
    """Codes of the items' clusters; None when no two items share one."""
    found = codes([item.cluster for item in items])
    return None if np.unique(found).size == len(items) else found


def strata_of(items: Sequence[Answered]) -> Codes:
    """Codes of the items' strata."""
    return codes([item.stratum for item in items])


def weights_of(items: Sequence[Answered], population: Mapping[str, int] | None) -> Floats | None:
    """Weights that give each stratum its part of the population; None when none are needed."""
    if not population:
        return None
    return stratum_weights([item.stratum for item in items], population)
