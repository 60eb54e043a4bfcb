"""Write Parquet files into a folder that appears whole or not at all.

In: rows of one kind. Out: files in a staging folder beside the target, renamed to it at the end.
Whatever happens before the rename leaves the target as it was; staging folders of processes that
are gone are cleared by the next run on that machine. Knows nothing of sources.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

from conf.errors import DataError
from data_prep.rows_schema import Kind, from_table, schema, to_table

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP: Final = 4096


class ParquetSink:
    """One Parquet file, written in groups of rows; made on the first row.

    With `jsonl` the same rows go into a file of JSON lines beside it, for reading.
    """

    def __init__(self, path: Path, kind: Kind, *, jsonl: bool = False) -> None:
        """Remember where and what; nothing is created yet."""
        self.path = path
        self.rows = 0
        self._kind = kind
        self._held: list[Mapping[str, Any]] = []
        self._writer: Any = None
        self._lines: TextIO | None = None
        self._jsonl = path.with_suffix(".jsonl") if jsonl else None

    def __enter__(self) -> ParquetSink:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is held and close, also when another part failed."""
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()
        if self._lines is not None:
            self._lines.close()

    @property
    def paths(self) -> list[Path]:
        """The files written."""
        return [path for path in (self.path, self._jsonl) if path is not None and self.rows]

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) >= ROWS_PER_GROUP:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Take a table of the kind's canonical schema, of any length."""
        self.rows += table.num_rows
        for start in range(0, table.num_rows, ROWS_PER_GROUP):
            self._write(table.slice(start, ROWS_PER_GROUP))

    def _flush(self) -> None:
        if self._held:
            self._write(to_table(self._kind, self._held))
            self._held = []

    def _write(self, table: pa.Table) -> None:
        """One row group."""
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, schema(self._kind), compression="zstd")
        self._writer.write_table(table)
        if self._jsonl is None:
            return
        if self._lines is None:
            self._lines = self._jsonl.open("w", encoding="utf-8")
        for row in from_table(self._kind, table):
            self._lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def _staging_name(out: Path) -> str:
    host = re.sub(r"\W", "_", socket.gethostname())
    return f".{out.name}.{host}.{os.getpid()}.partial"


def _clear_stale(out: Path) -> None:
    """Remove staging folders of this target whose process, on this machine, is gone."""
    host = re.sub(r"\W", "_", socket.gethostname())
    for folder in out.parent.glob(f".{out.name}.{host}.*.partial"):
        pid = folder.name.split(".")[-2]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` when the block ends well.

    Raises:
        DataError: `out` cannot be made, the disk is full, or `out` came to be meanwhile.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_stale(out)
        staging = out.parent / _staging_name(out)
        staging.mkdir()
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error}", fix="data_prep.out=FOLDER") from error
    try:
        yield staging
        for path in staging.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        staging.rename(out)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise DataError(
                f"{out} was made by another process meanwhile", fix="run again"
            ) from error
        raise DataError(
            f"cannot write {out}: {error.strerror or error}",
            fix="free some space, or data_prep.out=FOLDER",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
