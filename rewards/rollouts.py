"""Saved responses, as the other tools of this package read them.

In: JSON lines, of a training run (`rollouts/<step>.jsonl`, `validation/<step>.jsonl`), of an
evaluation (`eval/records-<label>.jsonl`), or of one's own (`response`, `gold`); a Parquet file with
the same columns, or with verl's and a `response`; a folder of such files. Out: `Rollout`s, in
order. Grades nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from conf.errors import DataError
from rewards.registry import row_fields

PARQUET: Final = b"PAR1"  # the first bytes of every Parquet file
BATCH: Final = 1024  # rows in memory at once
RESPONSE: Final = ("response", "output")
GOLD: Final = ("gold", "ground_truth", "gts")
# What a reward may want of a row, where a file has it beside the response.
FIELDS: Final = (
    "data_source",
    "id",
    "index",
    "uid",
    "response_tokens",
    "truncated",
    "max_response_tokens",
)


@dataclass(frozen=True)
class Rollout:
    """One saved response.

    Attributes:
        where: `file:line`; of a Parquet file `file:row`, counted from 1.
        response: the model's text.
        gold: the ground truth.
        row: the row's other fields.
        score: what it was paid; None where the file does not say.
        acc: its recorded correctness; None where the file does not say.
        label: what a person says of it; None where nobody did.
        record: the line, or row, as it was.
    """

    where: str
    response: str
    gold: Any
    row: Mapping[str, Any]
    score: float | None
    acc: float | None
    label: bool | None
    record: Mapping[str, Any]


def read_rollouts(
    path: str | Path, limit: int | None = None, rows: Sequence[str] = ()
) -> list[Rollout]:
    """Read a file, or each `*.jsonl` and `*.parquet` of a folder (numbered ones by their number).

    Args:
        path: the file or folder.
        limit: most rollouts.
        rows: Parquet files of the rows that the responses are to; a rollout with an `id` (a run's
            dumps have it) gets that row's gold answer and fields, as it had them in training.

    Raises:
        DataError: there is no such file, it is neither JSON lines nor Parquet, or a line is no
            rollout.
    """
    known = _rows_by_id(rows)
    path = Path(path)
    if not path.exists():
        raise DataError(f"no file {path}", "a run's rollouts/STEP.jsonl, or eval/records-*.jsonl")
    files = [path]
    if path.is_dir():
        files = sorted([*path.glob("*.jsonl"), *path.glob("*.parquet")], key=_order)
    found: list[Rollout] = []
    for file in files:
        for rollout in _read(file):
            if limit is not None and len(found) >= limit:
                return found
            found.append(_with_row(rollout, known))
    if not found:
        raise DataError(
            f"{path} holds no rollouts", "JSON lines, or Parquet, with response and gold"
        )
    return found


def _parquet(file: str | Path, fix: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, a batch in memory at a time.

    Raises:
        DataError: it is none; `fix` is the way out.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH):
            yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot read {file}: {str(error).splitlines()[0]}", fix) from error


def _rows_by_id(files: Sequence[str]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for file in files:
        for row in _parquet(file, "--rows FILE.parquet"):
            info = row.get("extra_info") or {}
            name = info.get("id") or info.get("index")
            if name is not None and "reward_model" in row:
                known[str(name)] = row
    return known


def _with_row(rollout: Rollout, known: Mapping[str, Mapping[str, Any]]) -> Rollout:
    if not known:
        return rollout
    row = known.get(str(rollout.row.get("id") or rollout.row.get("index")))
    if row is None:
        raise DataError(
            f"{rollout.where} is of row {rollout.row.get('id')!r}, which --rows does not have",
            "--rows the file that the run was trained (or validated) on",
        )
    fields = {**row_fields(row["extra_info"]), "data_source": row.get("data_source"), **rollout.row}
    return replace(rollout, gold=row["reward_model"]["ground_truth"], row=fields)


def _order(file: Path) -> tuple[int, str]:
    return (int(file.stem), "") if file.stem.isdecimal() else (-1, file.name)


def _read(file: Path) -> Iterator[Rollout]:
    with file.open("rb") as lines:  # a line that is no text is a line that is no JSON
        if lines.peek(len(PARQUET)).startswith(PARQUET):
            for number, row in enumerate(_parquet(file, "write it again"), 1):
                yield rollout(row, f"{file}:{number}")
            return
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{file}:{number}"
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"{where} is no JSON: {error}",
                    "cut a torn line off; what is read are JSON lines and Parquet",
                ) from error
            if not isinstance(record, dict):
                raise DataError(f"{where} is no JSON object", "one rollout a line")
            yield rollout(record, where)


def rollout(record: Mapping[str, Any], where: str) -> Rollout:
    """One line's rollout; its gold answer may lie where verl's rows have it.

    Raises:
        DataError: it has no response, or no gold answer.
    """
    response = next((record[key] for key in RESPONSE if key in record), None)
    model = record.get("reward_model")
    golds = {**(model if isinstance(model, dict) else {}), **record}
    gold_key = next((key for key in GOLD if key in golds), None)
    if not isinstance(response, str) or gold_key is None:
        raise DataError(
            f"{where} has {', '.join(map(str, record))}; a rollout needs one of "
            f"{', '.join(RESPONSE)} and one of {', '.join(GOLD)}",
            "give a file of rollouts",
        )
    row = row_fields(record.get("extra_info"))
    row |= {key: record[key] for key in FIELDS if key in record}
    verdict = record.get("verdict") or record
    label = record.get("label")
    return Rollout(
        where=where,
        response=response,
        gold=golds[gold_key],
        row=row,
        score=_number(verdict.get("score")),
        acc=_number(verdict.get("acc")),
        # An evaluation's record has a label too: the model's, a word.
        label=bool(label) if isinstance(label, (bool, int, float)) else None,
        record=record,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None
