"""One metrics file out of many attempts: one record a step, no gap, no duplicate.

In: attempts/*/metrics.jsonl as verl's FileLogger writes them, `{"step": N, "data": {…}}`, and each
attempt's start.json. Out: the run's metrics.jsonl, written whole, and a `MergeReport`. The files of
the attempts are never changed.

An attempt that goes on from step N abandons what earlier ones recorded beyond N: those steps are
trained again. At N itself (verl validates there once more) and between the two records that verl's
SFT trainer writes for one step, keys are merged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.atomic import write_text
from conf.errors import TrainingError
from conf.runs import Attempt, RunFolder

Data = dict[str, Any]
_VALIDATION = ("val-core/", "val-aux/", "val/")


@dataclass
class MergeReport:
    """What the merged metrics hold. Step 0 is the validation before training."""

    steps: list[int] = field(default_factory=list)  # every step with a record, rising
    trained: list[int] = field(default_factory=list)  # those with a training record, rising
    gaps: list[int] = field(default_factory=list)  # from 1 to the last step: not trained
    duplicates: list[str] = field(default_factory=list)  # a step trained twice in what is kept
    torn: list[str] = field(default_factory=list)  # lines that are no record: cut off by a kill

    @property
    def last_step(self) -> int:
        """The last step that was trained, 0 before the first."""
        return self.trained[-1] if self.trained else 0


def is_training_record(data: Data) -> bool:
    """Whether the record holds more than validation results."""
    return any(not key.startswith(_VALIDATION) for key in data)


def merge_metrics(run: RunFolder) -> MergeReport:
    """Write the run's metrics.jsonl from all attempts and say what is in it.

    Raises:
        RunFolderError: it cannot be written; the former file stays.
    """
    merged, report = _merge(run)
    lines = [
        json.dumps({"step": step, "data": data}, ensure_ascii=False) + "\n"
        for step, data in sorted(merged.items())
    ]
    if lines or run.metrics_file.exists():
        write_text(run.metrics_file, "".join(lines))
    return report


def read_report(run: RunFolder) -> MergeReport:
    """What `merge_metrics` would say, without writing: for a run that may be training now."""
    return _merge(run)[1]


def check_metrics(run: RunFolder, planned_steps: int) -> MergeReport:
    """Merge, and make sure that steps 1 to `planned_steps` are there, each exactly once.

    Raises:
        TrainingError: a gap, a duplicate, a missing or a surplus step.
    """
    report = merge_metrics(run)
    found, torn = read_metrics(run.metrics_file)
    steps = [step for step, _ in found]
    trained = {step for step, data in found if is_training_record(data)}
    planned = set(range(1, planned_steps + 1))
    problems = [*report.duplicates, *torn]
    if sorted(set(steps)) != steps:
        problems.append("steps are repeated or out of order")
    if missing := sorted(planned - trained):
        problems.append(f"no training record for {_ranges(missing)}")
    if surplus := sorted(set(steps) - planned - {0}):
        problems.append(f"records beyond the planned end {planned_steps}: {_ranges(surplus)}")
    if problems:
        raise TrainingError(
            f"{run.metrics_file} does not cover steps 1 to {planned_steps} once each: "
            + "; ".join(problems),
            "the same command resumes the run; the attempts' own files are untouched",
        )
    return report


def read_metrics(path: Path) -> tuple[list[tuple[int, Data]], list[str]]:
    """The records of one file in order, and a note for each line that is none.

    A missing file holds nothing.
    """
    records: list[tuple[int, Data]] = []
    torn: list[str] = []
    if not path.is_file():
        return records, torn
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            records.append((int(record["step"]), dict(record["data"])))
        except (ValueError, KeyError, TypeError):
            name = "/".join(path.parts[-2:])
            torn.append(f"{name} line {number} is cut off ({len(line)} bytes)")
    return records, torn


def start_of(attempt: Attempt, records: list[tuple[int, Data]]) -> int | None:
    """The step the attempt went on from; None when neither start.json nor a record tells."""
    try:
        return int(json.loads(attempt.start_file.read_text(encoding="utf-8"))["from_step"])
    except (OSError, ValueError, KeyError, TypeError):
        if not records:
            return None
    step, data = records[0]
    return step - 1 if is_training_record(data) else step


def _merge(run: RunFolder) -> tuple[dict[int, Data], MergeReport]:
    merged: dict[int, Data] = {}
    report = MergeReport()
    for attempt in run.attempts():
        records, torn = read_metrics(attempt.metrics_file)
        report.torn += torn
        start = start_of(attempt, records)
        if start is None:
            continue
        merged = {step: data for step, data in merged.items() if step <= start}
        written: dict[int, set[str]] = {}
        for step, data in records:
            again = written.setdefault(step, set()) & data.keys()
            before = step <= start and is_training_record(data)
            if again or before:
                report.duplicates.append(
                    f"attempt {attempt.number} (from step {start}) records step {step} "
                    + ("twice" if again else "again")
                )
            written[step] |= data.keys()
            merged[step] = {**merged[step], **data} if step in merged else data
    report.steps = sorted(merged)
    report.trained = [step for step in report.steps if is_training_record(merged[step])]
    last = report.steps[-1] if report.steps else 0
    report.gaps = sorted(set(range(1, last + 1)) - set(report.trained))
    return merged, report


def _ranges(steps: list[int]) -> str:
    """`step 3`, `steps 3-5, 8`: rising numbers, shortened."""
    parts: list[list[int]] = []
    for step in steps:
        if parts and step == parts[-1][1] + 1:
            parts[-1][1] = step
        else:
            parts.append([step, step])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts[:5])
    return f"step{'s' * (len(steps) > 1)} {shown}" + (", …" if len(parts) > 5 else "")
