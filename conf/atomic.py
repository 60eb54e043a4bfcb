"""Files and folders that are written whole or not at all.

In: a path and its content. Out: the file, or a `RunFolderError` of one line with nothing
half-written. It knows nothing of what is written and takes no lock.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conf.errors import RunFolderError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating system error while writing `path` into one line with a way out.

    Raises:
        RunFolderError: disk full, quota, read-only, no permission, or another OS error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunFolderError(
                f"disk full: cannot write {path} ({os.strerror(error.errno)})",
                "free space there, or write to another disk: run.root=FOLDER",
            ) from error
        raise RunFolderError(
            f"cannot write {path}: {error.strerror or error}",
            "make it writable, or write elsewhere: run.root=FOLDER",
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all: a sibling temporary file, synced, then renamed.

    Raises:
        RunFolderError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # mkstemp makes it private; run folders are shared in teams
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_json(path: Path, data: Any) -> None:
    """Write `data` as indented JSON, whole or not at all.

    Raises:
        RunFolderError: see `write_text`.
    """
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A temporary sibling that becomes `folder` at the end; removed if anything fails.

    Raises:
        OSError: as the operating system says it; EEXIST or ENOTEMPTY when `folder` is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        staged.chmod(0o755)
        yield staged
        staged.rename(folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
