"""Rows on their way, in parts that lie in the work folder, and what is done to one part.

In: sources and filters. Out: Arrow files of some thousand rows of one kind, split and source, and
for each a verdict file: which rows are kept, their ids' hashes, what the filters found. Every part
is written whole or not at all and never twice, so an interrupted preparation goes on from the last
one. The tasks are picklable and run under any engine; the same rows lie in the same parts.
"""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from conf.errors import DataError
from data_prep.filters.base import ASKS
from data_prep.intake import Intake, Tally
from data_prep.rows_schema import Kind, from_table, to_table
from data_prep.work import put, put_json

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS: Final = 8192
PART_BYTES: Final = 32 << 20  # Arrow bytes a part should not exceed by much
FIRST_ROWS: Final = 512  # of the first part, which tells how large the rows are
DONE: Final = "tally.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of rows.

    Attributes:
        path: the Arrow file.
        kind: of its rows.
        split: of its rows.
        source: position of its source.
        rows: their number.
        bytes: their size in memory.
    """

    path: str
    kind: Kind
    split: str
    source: int
    rows: int
    bytes: int


@dataclass
class Read:
    """What reading one source gave."""

    tally: Tally = field(default_factory=Tally)
    parts: list[Part] = field(default_factory=list)


def write_arrow(path: Path, table: pa.Table) -> None:
    """An Arrow file, whole or not at all."""
    import pyarrow as pa

    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(buffer, table.schema, options=options) as writer:
        writer.write_table(table)
    put(path, buffer.getbuffer())


def read_arrow(path: str | Path) -> pa.Table:
    """The table of an Arrow file."""
    import pyarrow as pa

    with pa.OSFile(str(path), "rb") as file:
        return pa.ipc.open_file(file).read_all()


def _with_questions(table: pa.Table, asks: Sequence[str | None]) -> pa.Table:
    """The rows, and beside them what each asks: known here alone, and no column of the output."""
    import pyarrow as pa

    return table.append_column(ASKS, pa.array(asks, pa.string()))


class PartWriter:
    """Cuts a stream of rows into parts, by kind and split."""

    def __init__(self, folder: Path, source: int) -> None:
        self.parts: list[Part] = []
        self._folder, self._source = folder, source
        self._held: dict[tuple[Kind, str], list[Intake]] = defaultdict(list)
        self._count: Counter[tuple[Kind, str]] = Counter()
        self._most: dict[tuple[Kind, str], int] = defaultdict(lambda: FIRST_ROWS)

    def add(self, one: Intake) -> None:
        """Take one row."""
        key = one.kind, one.split
        self._held[key].append(one)
        if len(self._held[key]) >= self._most[key]:
            self._flush(key)

    def _flush(self, key: tuple[Kind, str]) -> None:
        kind, split = key
        held = self._held.pop(key, [])
        if not held:
            return
        table = to_table(kind, [one.row for one in held])
        size = int(table.nbytes)
        path = self._folder / f"{kind}-{split}-{self._count[key]:06}.arrow"
        if not path.exists():  # an earlier attempt came so far
            write_arrow(path, _with_questions(table, [one.asks for one in held]))
        self.parts.append(Part(str(path), kind, split, self._source, len(held), size))
        self._count[key] += 1
        self._most[key] = max(1, min(PART_ROWS, PART_BYTES * len(held) // max(size, 1)))

    def close(self) -> list[Part]:
        """Write what is held; all parts, by kind and split, in the order of the rows."""
        for key in list(self._held):
            self._flush(key)
        return sorted(self.parts, key=lambda part: part.path)


def load_read(folder: Path) -> Read | None:
    """What an earlier attempt read of a source; None if it did not finish."""
    try:
        found = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    tally = Tally(**{key: Counter(counts) for key, counts in found["tally"].items()})
    parts = [Part(**one) for one in found["parts"]]
    return Read(tally, parts)


def save_read(folder: Path, read: Read) -> None:
    """Say that a source is read."""
    put_json(
        folder / DONE,
        {
            "tally": {key: dict(value) for key, value in vars(read.tally).items()},
            "parts": [asdict(part) for part in read.parts],
        },
    )


def rows_of(part: Part) -> list[dict[str, Any]]:
    """A part's rows as filters see them, `asks` among their keys."""
    return from_table(part.kind, read_arrow(part.path))


def _column(part: Part, name: str) -> pa.ChunkedArray:
    """One of the fields that every row has."""
    import pyarrow.compute as pc

    table = read_arrow(part.path)
    if part.kind == "rl":
        return pc.struct_field(table.column("extra_info"), name)
    return table.column(name)


def ids_of(part: Part) -> pa.ChunkedArray:
    """A part's ids."""
    return _column(part, "id")


def licences_of(part: Part) -> dict[str, int]:
    """How many of a part's rows state each licence."""
    counts = _column(part, "licence").value_counts().to_pylist()
    return {str(one["values"]): int(one["counts"]) for one in counts}


def unique_ids(hashes: Sequence[np.ndarray], labels: Sequence[str]) -> None:
    """Every row of a kind has an id of its own.

    Raises:
        DataError: two rows have the same.
    """
    if not hashes:
        return
    everything = np.sort(np.concatenate(hashes))
    twice = int((everything[1:] == everything[:-1]).sum())
    if twice:
        raise DataError(
            f"{twice} rows of {', '.join(labels)} have the id of another row",
            fix="give each source ids of its own; the same file under two names counts once",
        )


def batches(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Slices of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
