"""Write Parquet files into a folder that appears whole or not at all.

In: rows of one schema. Out: files in a staging folder beside the target, renamed to it at the end.
Whatever happens before the rename leaves the target as it was; staging folders of processes that
are gone are cleared by the next run on that machine. Knows nothing of sources.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from conf.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP: Final = 4096


class ParquetSink:
    """One Parquet file, written in groups of rows; made on the first row."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Remember where and what; nothing is created yet."""
        self.path = path
        self.rows = 0
        self._schema = schema
        self._held: list[Mapping[str, Any]] = []
        self._writer: Any = None

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

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._held:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._held, schema=self._schema))
        self._held = []


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
