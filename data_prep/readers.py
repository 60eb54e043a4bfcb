"""Read local files row by row, in constant memory.

In: JSONL (plain or gzipped) or Parquet. Out: `(where, row)` pairs, `where` naming file and line or
row. A file that cannot be read is a `DataError` with that place; nothing is skipped in silence.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from conf.errors import DataError

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".parquet")
PARQUET_BATCH: Final = 1024  # rows held at a time


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row with its place.

    Raises:
        DataError: the file is missing, of an unknown kind, or broken at some line.
    """
    if not path.is_file():
        raise DataError(f"no file {path}", fix="check data_prep.local")
    if path.name.endswith(".parquet"):
        return _read_parquet(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _read_jsonl(path)
    raise DataError(f"{path}: unknown kind of file", fix=f"give one of {', '.join(SUFFIXES)}")


def _read_jsonl(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(
                        f"{path}:{number}: got a JSON {type(row).__name__}, need an object"
                    )
                yield f"{path}:{number}", row
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}:{number}: not JSON: {error}", fix="mend or drop the line"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: unreadable after line {number}: {error}", fix="fetch the file again"
        ) from error


def _read_parquet(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: unreadable Parquet after row {number}: {error}", fix="fetch the file again"
        ) from error


def find_split(folder: Path, split: str) -> list[Path]:
    """The files of a split in a folder: `train.jsonl`, `train.parquet`, `train-00000-of-….parquet`.

    Raises:
        DataError: there is none, or there are files of two kinds.
    """
    named = [folder / f"{split}{suffix}" for suffix in SUFFIXES]
    found = [[path] for path in named if path.is_file()]
    shards = sorted(folder.glob(f"{split}-*.parquet"))
    found += [shards] if shards else []
    if not found:
        raise DataError(
            f"{folder} has no {split} file",
            fix=f"give it one of {', '.join(path.name for path in named)}",
        )
    if len(found) > 1:
        names = ", ".join(files[0].name for files in found)
        raise DataError(f"{folder} has several {split} files: {names}", fix="leave one")
    return found[0]
