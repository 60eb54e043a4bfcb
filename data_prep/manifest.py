"""What was prepared, from what, and what was left out: `manifest.json` beside the Parquet files.

In: a specification, counts and files. Out: a `Manifest` and its JSON, without times or folders of
the moment, so that the same specification gives the same bytes. Does not decide anything.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from conf.errors import DataError

FILE_NAME: Final = "manifest.json"


class FileEntry(BaseModel):
    """One file: its rows (None for an input), SHA-256 and size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int | None
    sha256: str
    bytes: int


class Manifest(BaseModel):
    """The record of one preparation.

    Attributes:
        source: name of the source.
        url: where the data comes from.
        licence: of the data.
        spec: the specification, `out` left out.
        seed: the specification's seed.
        examples_in: raw examples read, per split.
        examples_kept: those of which at least one row was made, per split.
        dropped: number of examples left out, per reason code.
        inputs: local files read, by name.
        files: files written, by name.
        versions: of temper, Python and pyarrow.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    url: str
    licence: str
    spec: dict[str, Any]
    seed: int
    examples_in: dict[str, int]
    examples_kept: dict[str, int]
    dropped: dict[str, int]
    inputs: dict[str, FileEntry]
    files: dict[str, FileEntry]
    versions: dict[str, str]

    def to_json(self) -> str:
        """Sorted, indented JSON, one newline at the end."""
        return json.dumps(self.model_dump(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared folder.

    Raises:
        DataError: there is none, or it is not one of ours.
    """
    path = folder / FILE_NAME
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{folder} holds no {FILE_NAME}", fix="python -m data_prep.prepare makes it"
        ) from error
    except (ValidationError, OSError) as error:
        raise DataError(
            f"{path} is no manifest of this version: {str(error).splitlines()[0]}",
            fix=f"remove {folder} and prepare it again",
        ) from error


def file_entry(path: Path, rows: int | None = None) -> FileEntry:
    """Hash a file, one block at a time."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(rows=rows, sha256=digest, bytes=path.stat().st_size)


def versions() -> dict[str, str]:
    """Versions that decide the bytes written."""
    try:
        temper = importlib.metadata.version("temper")
    except importlib.metadata.PackageNotFoundError:
        temper = "source"
    return {
        "temper": temper,
        "python": platform.python_version(),
        "pyarrow": importlib.metadata.version("pyarrow"),
    }
