"""Write a mended file beside a broken one.

In: a file that was opened for checking. Out: `NAME.fixed.parquet` in its kind's canonical schema
and `NAME.rejected.jsonl` with what could not be mended; both whole or not at all. How a row is
mended is `data_prep.checks.repair`'s matter; a row that still has an error is rejected.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conf.errors import DataError
from data_prep.checks.chat import Found
from data_prep.checks.codes import CODES, Problem
from data_prep.checks.files import Opened, records
from data_prep.checks.repair import repair
from data_prep.checks.rows import row_problems
from data_prep.writer import ParquetSink


def split_of_name(path: Path) -> str | None:
    """The split that a file's name says."""
    words = path.name.partition(".")[0].replace("-", "_").split("_")
    there = [word for word in words if word in ("train", "test")]
    return there[0] if len(there) == 1 else None


def beside(path: Path, ending: str) -> Path:
    """The path beside a file that has another ending."""
    name = path.name.removesuffix(".gz")
    return path.with_name(f"{name.rpartition('.')[0]}{ending}")


def mend(opened: Opened, reward: str | None = None) -> tuple[int, int]:
    """Write the mended file and the rejected rows beside a file; how many rows of each.

    Raises:
        DataError: they cannot be written.
    """
    path, kind = opened.path, opened.kind
    assert kind is not None
    split = split_of_name(path) or "train"
    stem = path.name.partition(".")[0]
    out, rejects = beside(path, ".fixed.parquet"), beside(path, ".rejected.jsonl")
    partial, lines = (p.with_name(f".{p.name}.{os.getpid()}.partial") for p in (out, rejects))
    kept, rejected = 0, 0
    ids: Counter[str] = Counter()
    try:
        with ExitStack() as stack:
            # One process at a time: the rows' own file stays, and names are taken at the end.
            sink = stack.enter_context(ParquetSink(partial, kind))
            file = stack.enter_context(lines.open("w", encoding="utf-8"))
            for number, record in records(opened):
                reasons: list[Found] = []
                if isinstance(record, tuple):
                    reasons, record = [record], {}
                else:
                    index = str(number - 1)
                    place = {
                        "id": f"{stem}/{split}/{index}", "index": index, "split": split,
                        "source": stem, "licence": "unknown",
                    }  # fmt: skip
                    row = repair(kind, record, place)
                    errors = row_problems(kind, row, reward)
                    reasons = [f for f in errors if CODES[f[0]].severity == "error"]
                    reasons = reasons or _unwritable(row)
                if reasons:
                    rejected += 1
                    told = [str(Problem(c, path.name, number, col, d)) for c, col, d in reasons]
                    entry = {"row": number, "reasons": told, "record": record}
                    file.write(json.dumps(entry, default=repr) + "\n")
                    continue
                holder = row["extra_info"] if kind == "rl" else row
                ids[holder["id"]] += 1
                if ids[holder["id"]] > 1:
                    holder["id"] = f"{holder['id']}#{ids[holder['id']]}"
                sink.add(row)
                kept += 1
        if kept:
            os.replace(partial, out)
        if rejected:
            os.replace(lines, rejects)
    except OSError as error:
        raise DataError(f"cannot write beside {path}: {error}", fix="free some space") from error
    finally:
        partial.unlink(missing_ok=True)
        lines.unlink(missing_ok=True)
    return kept, rejected


def _unwritable(row: Mapping[str, Any]) -> list[Found]:
    """What JSON cannot carry (images as bytes)."""
    try:
        json.dumps(row)
    except (TypeError, ValueError) as error:
        return [("column_type", "", f"cannot be carried: {error}")]
    return []
