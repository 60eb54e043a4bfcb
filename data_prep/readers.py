"""Read local files row by row, in constant memory.

In: JSONL, JSON (an array of objects) or CSV with a header, plain or gzipped, or Parquet. Out:
`(where, row)` pairs, `where` naming file and line or row. A file that cannot be read is a
`DataError` with that place; nothing is skipped in silence.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from conf.errors import DataError

SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".parquet")
READABLE: Final = (*SUFFIXES, ".json", ".json.gz", ".csv", ".csv.gz")
PARQUET_BATCH: Final = 1024  # rows held at a time
JSON_CHUNK: Final = 1 << 16  # characters read at a time
CSV_FIELD: Final = 1 << 27  # characters of a field; a problem's tests may be one
_SPACE_OR_COMMA = re.compile(r"[\s,]*")


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
    if path.name.endswith((".json", ".json.gz")):
        return _read_json(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path)
    raise DataError(f"{path}: unknown kind of file", fix=f"give one of {', '.join(READABLE)}")


def _open_text(path: Path) -> IO[str]:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


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


def _read_json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of one array, one at a time; a file of JSON lines under this name will do too.

    The buffer holds one chunk and the object at hand; it is read twice as far whenever that object
    goes on, so that even a long one is parsed in time linear in its length.
    """
    number = 0
    decoder = json.JSONDecoder()
    try:
        with _open_text(path) as file:
            buffer, at, step, ended = file.read(JSON_CHUNK), 0, JSON_CHUNK, False
            at = len(buffer) - len(buffer.lstrip())
            is_array = buffer[at : at + 1] == "["
            at += is_array
            while True:
                at = _SPACE_OR_COMMA.match(buffer, at).end()  # type: ignore[union-attr]
                if at < len(buffer):
                    if is_array and buffer[at] == "]":
                        return
                    try:
                        row, end = decoder.raw_decode(buffer, at)
                    except json.JSONDecodeError:
                        if ended:
                            raise
                    else:
                        number += 1
                        if not isinstance(row, dict):
                            raise DataError(
                                f"{path}: row {number}: got a JSON {type(row).__name__}, need an "
                                "object",
                                fix="an array of objects, or one object a line",
                            )
                        yield f"{path}: row {number}", row
                        at, step = end, JSON_CHUNK
                        continue
                elif ended:
                    if is_array:
                        raise DataError(
                            f"{path}: ends after row {number} without ]", fix="fetch the file again"
                        )
                    return
                more = file.read(step)
                buffer, at, step, ended = buffer[at:] + more, 0, step * 2, not more
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not JSON after row {number}: {error}", fix="mend or drop that row"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: unreadable after row {number}: {error}", fix="fetch the file again"
        ) from error


def _read_csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows under the header's names; every value is a string."""
    number = 0
    csv.field_size_limit(CSV_FIELD)
    try:
        with _open_text(path) as file:
            for number, row in enumerate(csv.DictReader(file, strict=True), start=1):
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}: row {number}: has {'more' if None in row else 'fewer'} fields "
                        "than the header",
                        fix="mend its quotes or commas",
                    )
                yield f"{path}: row {number}", row
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not CSV after row {number}: {error}", fix="mend or drop that row"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: unreadable after row {number}: {error}", fix="fetch the file again"
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


def find_files(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """The files of the first pattern that matches any, in order of their names.

    A pattern is taken from `folder`, unless it begins with `/` or `~`.
    """
    for pattern in patterns:
        where = Path(pattern).expanduser()
        base = Path(where.anchor) if where.is_absolute() else folder
        inner = str(where.relative_to(where.anchor)) if where.is_absolute() else pattern
        found = sorted(path for path in base.glob(inner) if path.is_file())
        if found:
            return found
    return []
