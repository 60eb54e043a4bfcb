"""Parquet files by their footers, and a sample of their rows: never a whole read.

In: the paths of a configuration. Out: `DataFile`s with row counts, schemas and sampled rows, or
what is wrong with them. Judges no content (`checks_data` does).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAMPLE_ROWS = 32  # rows read at each of the places of a file
SAMPLE_BYTES = 64 * 2**20  # a last row group above this is not decoded to get at its last row


@dataclass(frozen=True)
class DataFile:
    """One data file as far as it could be read.

    Attributes:
        path: as the configuration names it, `~` expanded.
        rows: rows by its footer; None when it could not be read or is no Parquet file.
        schema: its Arrow schema (`pyarrow.Schema`), None as above.
        sample: (row number, row) pairs of its first, some middle and its last rows.
        problem: what is wrong with it, empty when it could be read.
        remote: its scheme (`hdfs`, `s3`) when it is not a local path, else empty.
    """

    path: Path
    rows: int | None = None
    schema: Any = None
    sample: tuple[tuple[int, Mapping[str, Any]], ...] = field(default=(), repr=False)
    problem: str = ""
    remote: str = ""


def listed(value: Any) -> list[str]:
    """The paths of `data.train_files` or `data.val_files`: none, one, or a list of them."""
    if value is None or value == "":
        return []
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def total_rows(files: Sequence[DataFile]) -> int | None:
    """Rows of all files; None when there are none or any of them is not known."""
    counts = [item.rows for item in files]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def read_file(path: str, columns: Sequence[str], seed: int = 0) -> DataFile:
    """Look into one file.

    Args:
        path: local path, or an address with a scheme.
        columns: top-level columns to sample, those that are there.
        seed: chooses the middle rows.
    """
    if "://" in path:
        return DataFile(Path(path), remote=path.split("://", 1)[0])
    here = Path(path).expanduser()
    if here.is_dir():
        return DataFile(here, problem="is a folder")
    if not here.is_file():
        return DataFile(here, problem="does not exist")
    if here.suffix != ".parquet":
        return DataFile(here, remote=here.suffix.lstrip(".") or "no suffix")
    import pyarrow
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(here) as file:
            schema = file.schema_arrow
            rows = file.metadata.num_rows
            present = [name for name in columns if name in schema.names]
            sample = tuple(_sample(file, present, seed)) if rows and present else ()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DataFile(here, problem=f"is not readable Parquet ({reason[:120]})")
    return DataFile(here, rows, schema, sample)


def _sample(file: Any, columns: list[str], seed: int) -> list[tuple[int, dict[str, Any]]]:
    """Rows from the first row group, a random one, and the end of the last."""
    metadata = file.metadata
    groups = metadata.num_row_groups
    starts = [0]
    for index in range(groups):
        starts.append(starts[-1] + metadata.row_group(index).num_rows)
    chosen = {0, random.Random(seed).randrange(groups), groups - 1}
    found: list[tuple[int, dict[str, Any]]] = []
    for group in sorted(chosen):
        if metadata.row_group(group).num_rows == 0:
            continue
        small = metadata.row_group(group).total_byte_size <= SAMPLE_BYTES
        if small:
            table = file.read_row_group(group, columns=columns)
            # Slices, not `take`: that imports pandas, a second of CPU time.
            found += [
                (starts[group] + pick, table.slice(pick, 1).to_pylist()[0])
                for pick in _places(table.num_rows, seed)
            ]
        else:
            head = next(
                file.iter_batches(batch_size=SAMPLE_ROWS, row_groups=[group], columns=columns)
            )
            found += [(starts[group] + index, row) for index, row in enumerate(head.to_pylist())]
    return found


def _places(rows: int, seed: int) -> list[int]:
    """First, last and some random rows, in order, each once."""
    if rows <= 3 * SAMPLE_ROWS:
        return list(range(rows))
    edge = set(range(SAMPLE_ROWS)) | set(range(rows - SAMPLE_ROWS, rows))
    return sorted(edge | set(random.Random(seed).sample(range(rows), SAMPLE_ROWS)))
