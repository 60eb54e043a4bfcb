"""The folder that a Ray job carries along: our packages, the recipe, files named by path.

In: the recipe's folder, files of the user's own, perhaps one more folder. Out: a fresh folder that
Ray's client zips and uploads as `working_dir`, which Ray puts first on the path of the driver and
of every worker. It holds an installed distribution's metadata too, since verl finds the CPU
platform by metadata alone: nodes need no temper of their own. Nothing is uploaded here, and no
hidden file, cache, run or data folder comes along.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.errors import ConfigError, PlatformError

PACKAGES = ("conf", "recipes", "rewards", "data_prep", "launch", "eval")
STAMP = "temper-upload.json"
"""At the top of an upload: `{"version", "fingerprint", "files"}`; there alone."""
LIMIT_BYTES = 200_000_000
"""Ray refuses 500 MiB zipped; this much is a mistake already, and a slow one."""
LEFT_OUT = {"__pycache__", "node_modules", "outputs"}
"""Folders of these names, at any depth, stay at home."""
_LEFT_OUT_AT_TOP = {"runs", "data", "checkpoints", "wandb"}


@dataclass(frozen=True)
class Package:
    """A staged upload.

    Attributes:
        folder: where it lies, for Ray's client.
        version: temper's version.
        fingerprint: SHA-256 of all names and contents, hex.
    """

    folder: Path
    version: str
    fingerprint: str


def stage(
    folder: Path,
    *,
    recipes: Sequence[Path],
    files: Mapping[str, Path] | None = None,
    working_dir: Path | None = None,
) -> Package:
    """Fill an empty folder with what the job needs.

    Args:
        folder: exists, empty; a symbolic link in what is copied becomes the file it names.
        recipes: the folders of the recipe and its bases; each becomes `recipes/<its name>`.
        files: path in the upload → file here, for files that the configuration names.
        working_dir: a folder of the user's whose content is importable in the job.

    Raises:
        ConfigError: `working_dir` hides one of our packages, or the whole is too large.
        PlatformError: this temper is incomplete.
    """
    if working_dir is not None:
        clash = sorted(set(PACKAGES) & {entry.name for entry in _kept(working_dir, top=True)})
        if clash and working_dir.resolve() != _home("launch").parent:
            raise ConfigError(
                f"{working_dir} holds {', '.join(clash)}, which would hide temper's own",
                "--working-dir with a folder of your modules alone",
            )
        if not clash:
            _copy(working_dir, folder, top=True)
    for name in PACKAGES:
        _copy(_home(name), folder / name)
    for home in recipes:
        target = folder / "recipes" / home.name
        shutil.rmtree(target, ignore_errors=True)
        _copy(home, target)
    for inside, file in (files or {}).items():
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / inside)
    version = _write_metadata(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LIMIT_BYTES:
        raise ConfigError(
            f"the upload is {size / 1e6:.0f} MB; {LIMIT_BYTES / 1e6:.0f} MB is the limit",
            "keep data and models out of the recipe's folder, on storage that the nodes share",
        )
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    fingerprint = fingerprint_of(folder, names)
    stamp = {"version": version, "fingerprint": fingerprint, "files": names}
    (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    return Package(folder, version, fingerprint)


def fingerprint_of(folder: Path, names: Iterable[str]) -> str:
    """SHA-256, hex, over the names and contents of some of a folder's files.

    A name without a file counts as such. What a job writes into the folder does not count.
    """
    digest = hashlib.sha256()
    for name in names:
        path = folder / name
        content = path.read_bytes() if path.is_file() else b"\0missing"
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def uploaded() -> dict[str, Any] | None:
    """The stamp of the upload that this process's `launch` comes from; None outside a job."""
    stamp = Path(__file__).resolve().parents[2] / STAMP
    if not stamp.is_file():
        return None
    content: dict[str, Any] = json.loads(stamp.read_text(encoding="utf-8"))
    return {**content, "folder": str(stamp.parent)}


def uploaded_version() -> dict[str, str] | None:
    """`version` and `fingerprint` of that upload, for environment.json; None outside a job."""
    stamp = uploaded()
    return None if stamp is None else {key: stamp[key] for key in ("version", "fingerprint")}


def _home(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PlatformError(f"package {package} of temper is missing", "pip install temper")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _kept(folder: Path, *, top: bool = False) -> Iterable[Path]:
    left_out = LEFT_OUT | (_LEFT_OUT_AT_TOP if top else set())
    for entry in sorted(folder.iterdir()):
        hidden = entry.name.startswith(".") or entry.suffix in (".pyc", ".egg-info", ".dist-info")
        if not hidden and entry.name not in left_out:
            yield entry


def _copy(source: Path, target: Path, *, top: bool = False) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in _kept(source, top=top):
        if entry.is_dir():
            _copy(entry, target / entry.name)
        elif entry.is_file():
            shutil.copyfile(entry, target / entry.name)


def _write_metadata(folder: Path) -> str:
    """Write temper's .dist-info into the upload; returns the version.

    A clone's pyproject.toml is the truth there, since installed metadata may be older than it.
    """
    project = _home("launch").parent / "pyproject.toml"
    if project.is_file():
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        version = str(table["version"])
        groups = {name: dict(entries) for name, entries in table["entry-points"].items()}
    else:
        try:
            distribution = importlib.metadata.distribution("temper")
        except importlib.metadata.PackageNotFoundError as error:
            raise PlatformError("temper has no metadata here", "pip install temper") from error
        version = distribution.version
        groups = {}
        for entry in distribution.entry_points:
            groups.setdefault(entry.group, {})[entry.name] = entry.value
    info = folder / f"temper-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: temper\nVersion: {version}\n", encoding="utf-8"
    )
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return version
