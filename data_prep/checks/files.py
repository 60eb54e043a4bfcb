"""Read a file for checking: its rows, and what is against the file as a whole.

In: a path. Out: an `Opened` (kind, types of its columns, what is against them) and its records one
by one; a broken line is a finding, not the end. Judges no row: `data_prep.checks.rows` does.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from conf.errors import DataError
from data_prep.checks.chat import Found
from data_prep.readers import PARQUET_BATCH, READABLE, read_rows
from data_prep.rows_schema import Kind, kind_of

MAGIC: Final = b"PAR1"
NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    "rl": ("prompt", "data_source", "reward_model", "extra_info"),
    "sft": ("messages",),
    "preference": ("prompt", "chosen", "rejected"),
    "reward_pairs": ("prompt", "chosen", "rejected"),
}
_LISTS: Final = {"rl": ("prompt",), "sft": ("messages",), "preference": NEEDED["preference"]}
Record = tuple[int, dict[str, Any] | Found]


@dataclass(slots=True)
class Opened:
    """A file that was looked at.

    Attributes:
        path: where.
        kind: of its rows; None: it cannot be checked further.
        found: what is against the file, `(code, column, detail)` each.
        types: Arrow type of each column, nested ones with dots; empty for text files.
        rows: number of rows, where the file says.
    """

    path: Path
    kind: Kind | None = None
    found: list[Found] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    rows: int | None = None

    def against(self, code: str, column: str, detail: str) -> Opened:
        """Itself, with one thing more against it."""
        self.found.append((code, column, detail))
        return self


def open_file(path: Path) -> Opened:
    """What can be said of a file without reading its rows."""
    opened = Opened(path)
    if not path.is_file():
        return opened.against("no_file", "", "there is no such file")
    if not path.name.endswith(READABLE):
        return opened.against("file_kind", "", f"its name ends in {path.suffix or 'nothing'}")
    size = path.stat().st_size
    if not size:
        return opened.against("file_empty", "", "has 0 bytes")
    if path.name.endswith(".parquet"):
        return _open_parquet(opened, size)
    return opened


def _open_parquet(opened: Opened, size: int) -> Opened:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened.path.open("rb") as file:
        head = file.read(4)
        file.seek(max(size - 4, 0))
        tail = file.read(4)
    if head != MAGIC:
        return opened.against("file_broken", "", f"begins with {head!r}, so it is no Parquet")
    if tail != MAGIC:
        return opened.against("file_cut", "", f"Parquet without its end, cut at {size} bytes")
    try:
        with pq.ParquetFile(opened.path) as parquet:
            schema, opened.rows = parquet.schema_arrow, parquet.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        return opened.against("file_broken", "", str(error).splitlines()[0][:160])
    if not opened.rows:
        opened.against("no_rows", "", "holds no row")
    for name in schema.names:
        _flatten(name, schema.field(name).type, opened.types)
    note = (schema.metadata or {}).get(b"huggingface", b"")
    if b'"_type": "List"' in note or b'"_type":"List"' in note:
        opened.against("list_feature", "", "metadata holds the feature type List of datasets 4")
    for name, kind in opened.types.items():
        if kind == "struct<>":
            opened.against("empty_struct", name, "is a struct without fields")
    return _columns(opened, schema.names)


def _flatten(name: str, kind: Any, into: dict[str, str]) -> None:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        if not kind.num_fields:
            into[name] = "struct<>"
        for n in range(kind.num_fields):
            _flatten(f"{name}.{kind.field(n).name}", kind.field(n).type, into)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        _flatten(f"{name}[]", kind.value_type, into)
    else:
        into[name] = str(kind)


def _columns(opened: Opened, names: list[str]) -> Opened:
    """Kind and columns of a file with a schema."""
    try:
        opened.kind = kind = kind_of(names)
    except DataError as error:
        if "prompt" in names and "data_source" in names:
            opened.kind = kind = "rl"
        else:
            return opened.against("row_kind", "", error.message)
    if kind == "reward_pairs" and "prompt[].role" in opened.types:
        opened.kind = kind = "preference"  # without scores
    for name in NEEDED[kind]:
        if name not in names:
            opened.against("no_column", name, f"is not there; there is {', '.join(names)}")
    for name in _LISTS.get(kind, ()):
        there = [column for column in opened.types if column.split(".")[0].split("[")[0] == name]
        typed = bool(opened.types) and name in names
        if typed and not any(column.startswith(f"{name}[]") for column in there):
            seen = opened.types.get(name, "a struct")
            opened.against("column_type", name, f"got {seen}, need a list of messages")
    texts = ("string", "large_string", "dictionary<values=string, indices=int32, ordered=0>")
    for column, code in (("reward_model.ground_truth", "gold_type"), _index(kind)):
        got = opened.types.get(column)
        if got is not None and got not in texts:
            opened.against(code, column, f"got {got}, need string")
    return opened


def _index(kind: Kind) -> tuple[str, str]:
    return ("extra_info.index" if kind == "rl" else "index"), "index_type"


def kind_of_row(opened: Opened, row: dict[str, Any]) -> bool:
    """Take the kind of a file without a schema from its first row; False if there is none."""
    if opened.kind is None:
        _columns(opened, list(row))
        if opened.kind == "reward_pairs" and isinstance(row["prompt"], list):
            opened.kind = "preference"  # without scores
    return opened.kind is not None


def records(opened: Opened) -> Iterator[Record]:
    """The records of a file with their numbers; what cannot be read is a finding."""
    path = opened.path
    if path.name.endswith(".parquet"):
        yield from _parquet(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from _lines(path)
    else:
        number = 0
        try:
            for number, (_, row) in enumerate(read_rows(path), start=1):
                yield number, row
        except DataError as error:
            code = "not_object" if "need an object" in error.message else "file_broken"
            yield number + 1, (code, "", error.message.removeprefix(f"{path}: "))


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield number + 1, ("file_broken", "", str(error).splitlines()[0][:160])


def _lines(path: Path) -> Iterator[Record]:
    number = 0
    opener: Any = gzip.open if path.name.endswith(".gz") else open
    lines: IO[bytes]
    try:
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.isspace():
                    continue
                try:
                    row = json.loads(line)
                except UnicodeDecodeError as error:
                    yield (
                        number,
                        ("not_utf8", "", f"byte {error.start} of the line: {error.reason}"),
                    )
                except (ValueError, RecursionError) as error:
                    yield number, ("not_json", "", f"{error}")
                else:
                    if isinstance(row, dict):
                        yield number, row
                    else:
                        yield number, ("not_object", "", f"got a JSON {type(row).__name__}")
    except (OSError, EOFError, zlib.error) as error:
        yield number + 1, ("file_cut", "", f"unreadable from here: {error}")
