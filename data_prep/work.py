"""The folder in which a preparation is under way, kept over interruptions.

In: the target and a key that says what is being made. Out: `.TARGET.work` beside it, locked, with
what an earlier attempt at the same key finished; and files in it that are whole or absent. Work of
another key, or of another version, is thrown away. The target appears by one rename at the end.
Knows nothing of rows.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conf.errors import DataError

KEY: Final = "key.json"
LOCK: Final = "lock"
FINAL: Final = "final"


def put(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all, whichever process dies when."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def put_text(path: Path, text: str, fix: str) -> None:
    """The same of a text that the user asked for.

    Raises:
        DataError: it cannot be written; the file is as it was.
    """
    try:
        put(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error}", fix=fix) from error


def put_json(path: Path, value: Any) -> None:
    """The same of a value as JSON."""
    put(path, json.dumps(value, sort_keys=True, ensure_ascii=False).encode())


def work_path(out: Path) -> Path:
    """Where the work on a target lies."""
    return out.parent / f".{out.name}.work"


@contextmanager
def work_folder(out: Path, key: str) -> Iterator[Path]:
    """The locked work folder of a target, with `final` in it empty.

    It stays when the block fails, so that the next attempt goes on from there.

    Raises:
        DataError: the folder cannot be written, the disk is full, or another process is at it.
    """
    folder = work_path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise _cannot(out, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"another process is preparing {out} (it holds {folder / LOCK})",
                fix="wait for it, or out=ANOTHER_FOLDER",
            ) from error
        try:
            _clear(folder, key)
            yield folder
        except OSError as error:
            raise _cannot(out, error) from error


def _clear(folder: Path, key: str) -> None:
    """Keep what an attempt at this key left; throw away the rest, and half-made finals."""
    try:
        same = json.loads((folder / KEY).read_text(encoding="utf-8")) == key
    except (OSError, ValueError):
        same = False
    for path in folder.iterdir():
        if path.name in (LOCK, KEY) or (same and path.name != FINAL):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not same:
        put_json(folder / KEY, key)
    (folder / FINAL).mkdir()


def publish(folder: Path, out: Path) -> None:
    """Make `final` the target, then remove the work.

    Raises:
        DataError: the target came to be meanwhile.
    """
    final = folder / FINAL
    for path in final.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    try:
        final.rename(out)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise DataError(
                f"{out} was made by another process meanwhile", fix="run again"
            ) from error
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _cannot(out: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write {out}: {error.strerror or error}",
        fix="free some space, or data_prep.out=FOLDER",
    )
