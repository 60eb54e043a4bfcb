"""The filter `difficulty`: tasks that the model always or never solves teach it nothing.

In: rows, and solve rates: a field of the row, or a file of graded samples. Out: a finding at the
bounds and beyond (by default exactly 0 and 1, where every group of rollouts has the same reward
and so no advantage). The file is JSON lines: a task's `id` and `rate`; or one sample a line, as
`eval` records it (`id`, and `acc` within `verdict`) or as a run's rollouts hold it (`id`, and
`acc`, `correct` or `score` beside it); a task's rate is the mean over its samples. A sample whose
verifier failed says nothing of the model and does not count. Sampling is not done here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from conf.errors import DataError
from data_prep.filters.base import Finding, Row, RowFilter, id_of
from rewards.verdict import BROKEN

SAMPLE_FIELDS: Final = ("acc", "correct", "score")


def _number(value: object) -> float | None:
    """A finite number, or a text that is one; None for anything else."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _measured(record: Mapping[str, Any], where: str) -> tuple[str, float, float] | None:
    """A line's task, rate and number of samples; None where its verifier failed.

    Raises:
        DataError: it has no id or no number, or the number is no share.
    """
    verdict = record.get("verdict")
    sample = verdict if isinstance(verdict, Mapping) else record
    if sample.get("status") in BROKEN:
        return None
    name = record.get("id", record.get("row_id"))
    rate = _number(record.get("rate"))
    if rate is None:
        found = (_number(sample.get(field)) for field in SAMPLE_FIELDS)
        rate = next((value for value in found if value is not None), None)
    if name is None or rate is None:
        raise DataError(
            f"{where}: need id, and rate or one of {', '.join(SAMPLE_FIELDS)} "
            "(of the line or of its verdict)"
        )
    if not 0 <= rate <= 1:
        raise DataError(
            f"{where}: got {rate:g}, need a share from 0 to 1",
            fix="give acc, or correct: a shaped score is no solve rate",
        )
    return str(name), rate, _number(record.get("samples")) or 1


def read_rates(path: Path) -> dict[str, tuple[float, int]]:
    """Solve rate and number of samples by row id.

    Raises:
        DataError: the file cannot be read, or a line has no id or no share.
    """
    sums: dict[str, list[float]] = {}
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                record = json.loads(line)
                if not isinstance(record, Mapping):
                    raise DataError(
                        f"{path}, line {number}: got {line.strip():.40}, need an object"
                    )
                measured = _measured(record, f"{path}, line {number}")
                if measured is None:
                    continue
                name, rate, samples = measured
                total = sums.setdefault(name, [0.0, 0])
                total[0] += rate * samples
                total[1] += samples
    except OSError as error:
        raise DataError(f"solve rates {path}: {error.strerror}", fix="rates=FILE.jsonl") from error
    except json.JSONDecodeError as error:
        raise DataError(f"solve rates {path}, line {number}: no JSON: {error.msg}") from error
    return {name: (total / count, int(count)) for name, (total, count) in sums.items()}


class Difficulty(RowFilter):
    """The filter `difficulty`.

    Attributes:
        field: where a row says its solve rate: of the row or of its `extra_info`.
        rates: file of graded samples; it wins over the field.
        low: rates up to this are dropped.
        high: rates from this on are dropped.
        min_samples: a rate from fewer samples decides nothing (file only).
        unknown: what happens to rows without a rate; None flags them where there is a file of
            rates, so that a file about other rows is seen, and else keeps them.
    """

    name: ClassVar[str] = "difficulty"
    reasons: ClassVar[Mapping[str, str]] = {
        "never_solved": "the model's solve rate is at the lower bound",
        "always_solved": "the model's solve rate is at the upper bound",
        "rate_unknown": "the row has no solve rate",
    }

    field: str = "solve_rate"
    rates: Path | None = None
    low: float = Field(default=0.0, ge=0, le=1)
    high: float = Field(default=1.0, ge=0, le=1)
    min_samples: int = Field(default=1, ge=1)
    unknown: Literal["keep", "flag", "drop"] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Difficulty:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self

    @cached_property
    def _known(self) -> dict[str, tuple[float, int]]:
        return {} if self.rates is None else read_rates(self.rates)

    def _rate(self, row: Row) -> tuple[float, str] | None:
        """The row's solve rate and where it is from."""
        known = self._known.get(id_of(row))
        if known is not None and known[1] >= self.min_samples:
            return known[0], f"{known[1]} samples"
        extra: Any = row.get("extra_info")
        for holder in (row, extra):
            rate = _number(holder.get(self.field)) if isinstance(holder, Mapping) else None
            if rate is not None:
                if not 0 <= rate <= 1:
                    raise DataError(
                        f"row {id_of(row)}: {self.field} is {rate:g}, need a share from 0 to 1",
                        fix="divide percentages by 100",
                    )
                return rate, self.field
        return None

    def judge_row(self, row: Row) -> Finding | None:
        """Its rate against the bounds."""
        found = self._rate(row)
        if found is None:
            then = self.unknown or ("keep" if self.rates is None else "flag")
            return None if then == "keep" else Finding("rate_unknown", "", then)
        rate, source = found
        if rate <= self.low:
            return self.found("never_solved", f"{rate:.3f} ({source}), bound {self.low:g}")
        if rate >= self.high:
            return self.found("always_solved", f"{rate:.3f} ({source}), bound {self.high:g}")
        return None
