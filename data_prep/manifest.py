"""What was prepared, from what, and what was left out: `manifest.json` beside the Parquet files.

In: a specification, counts and files. Out: a `Manifest` and its JSON, without times or folders of
the moment, so that the same specification gives the same bytes. Does not decide anything.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from conf.errors import DataError, RewardError
from conf.run_identity import Difference
from rewards.registry import correctness, load_correctness

FILE_NAME: Final = "manifest.json"
SETS: Final = "evaluation sets"  # among the inputs: their questions decide what is dropped
PLACES: Final = ("local", "eval_sets")
REWARD: Final = ("reward", "reward_options")  # what gold answers are checked by


class FileEntry(BaseModel):
    """One file: its rows (None for an input), SHA-256 and size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int | None
    sha256: str
    bytes: int


class SourceEntry(BaseModel):
    """What one source of several gave.

    `examples_in` is `examples_kept` and `examples_dropped` together, each raw example once,
    whatever kinds and splits it is read for; for each file, `rows_in` is `rows_kept` and the rows
    that filters and corpus steps dropped.

    Attributes:
        url: where the data comes from.
        licence: as declared.
        licences: rows per licence that the rows themselves state.
        group: that its share of the mix counts for.
        examples_in: raw examples read, per split.
        examples_kept: those of which at least one row was made, per split.
        examples_dropped: those that gave none, per reason.
        examples_lacking: of those kept, the ones that gave no row of one kind, per `kind: reason`.
        rows_in: rows made of them, per file.
        rows_kept: rows that passed the filters and corpus steps, per file.
        rows_dropped: the others, per reason.
        rows_flagged: findings on rows that stayed, per reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    licence: str
    licences: dict[str, int]
    group: str
    examples_in: dict[str, int]
    examples_kept: dict[str, int]
    examples_dropped: dict[str, int]
    examples_lacking: dict[str, int] = {}
    rows_in: dict[str, int]
    rows_kept: dict[str, int]
    rows_dropped: dict[str, int]
    rows_flagged: dict[str, int]


class GoldEntry(BaseModel):
    """What was done with a source's gold answers.

    Attributes:
        reward: the verifier of its rows; None: the source names none.
        tried: `answers`: each was given as a response, and had to be right. `solutions`: for each
            one was searched. `references`: the reference program of each that holds one was run.
            `read`: the verifier had to be able to read each; no answer follows from it. `nothing`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reward: str | None
    tried: str


class Portion(BaseModel):
    """A source's part of a training file.

    Attributes:
        available: rows that there were to choose from.
        taken: rows written; a row that is used twice counts twice.
        asked: share of the file that was asked for.
        share: share that it has.
        epochs: uses of each row, on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    available: int
    taken: int
    asked: float
    share: float
    epochs: float


class MixEntry(BaseModel):
    """What a file is mixed of.

    Attributes:
        rows: of the file, all shards together.
        order: how they stand in it.
        unmeasured: rows without a value to sort by, which stand last.
        sources: the portion of each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    order: str
    unmeasured: int
    sources: dict[str, Portion]


class Manifest(BaseModel):
    """The record of one preparation.

    Attributes:
        source: name of the source, or of several with commas.
        url: where the data comes from.
        licence: of the data.
        spec: the specification, `out` left out.
        seed: the specification's seed.
        examples_in: raw examples read, per split.
        examples_kept: those of which at least one row was made, per split.
        dropped: number of examples and rows left out, per reason code.
        inputs: what decided the rows, by name: local files, declarations, code, evaluation sets.
        files: files written, by name.
        versions: of temper, Python and pyarrow.
        sources: each source's own counts; None for a plain conversion.
        flagged: findings on rows that stayed, per reason code; None for a plain conversion.
        mix: what each training file is mixed of; None for a plain conversion.
        decontaminated: questions of each evaluation set that training rows were compared with; a
            source's own test questions stand under its name, in stages under `test rows`. None:
            they were not compared.
        not_found: evaluation sets that were not on this machine, so not compared with.
        golds: what was done with the gold answers of each source that gives RL rows.
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
    sources: dict[str, SourceEntry] | None = None
    flagged: dict[str, int] | None = None
    mix: dict[str, MixEntry] | None = None
    decontaminated: dict[str, int] | None = None
    not_found: list[str] | None = None
    golds: dict[str, GoldEntry] | None = None

    def to_json(self) -> str:
        """Sorted, indented JSON, one newline at the end; what does not apply is left out."""
        content = {
            key: value
            for key, value in self.model_dump().items()
            if value is not None or Manifest.model_fields[key].is_required()
        }
        return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


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


def sets_entry(compared: Mapping[str, int], digest: str) -> FileEntry:
    """Evaluation sets among the inputs: how many questions, and their hash."""
    return FileEntry(rows=sum(compared.values()), sha256=digest, bytes=0)


def existing(out: Path, spec: dict[str, Any], inputs: dict[str, FileEntry]) -> Manifest | None:
    """The manifest of an `out` that already holds this very specification; None if there is none.

    Of a composed reward only the part counts that gold answers are checked by: the rest shapes the
    training and drops no row.

    Args:
        out: the folder.
        spec: the specification, `out` left out.
        inputs: what would decide the rows; of `local` only the hashes of its files count.

    Raises:
        DataError: `out` holds something else, or its files are not those of its manifest.
        RewardError: another reward is asked for than the one there, and it does not load.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    away = f"data_prep.out=ANOTHER_FOLDER, or remove {out}"
    if not (out / FILE_NAME).is_file():
        raise DataError(f"{out} exists and was not made by data_prep", fix=away)
    manifest = read_manifest(out)
    asked, made = (_by_correctness(without_places(one)) for one in (spec, manifest.spec))
    different = sorted(
        key
        for key in asked.keys() | made.keys()
        if key not in asked or key not in made or asked[key] != made[key]
    )
    if different:
        if different[0] in REWARD:
            # A slip in its name is the nearer cause, and says so.
            load_correctness(str(spec.get("reward")), spec.get("reward_options"))
        key = different[0]
        there = made.get(key, "nothing")
        here = asked.get(key, "nothing")
        raise DataError(
            f"{out} holds data of another specification ({key}: {there!r} there, {here!r} "
            f"asked{f', and {len(different) - 1} more' if len(different) > 1 else ''})",
            fix=f"{_as_made(different, manifest.spec)}{away}",
        )
    changed = sorted(
        name
        for name in inputs.keys() | manifest.inputs.keys()
        if inputs.get(name) != manifest.inputs.get(name)
    )
    if changed:
        name = changed[0]
        how = (
            "is gone" if name not in inputs else "differs" if name in manifest.inputs else "is new"
        )
        raise DataError(
            f"{out} was made of inputs that have changed since: {name} {how}"
            f"{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}",
            fix=away,
        )
    for name, entry in manifest.files.items():
        path = out / name
        if not path.is_file() or file_entry(path, entry.rows) != entry:
            raise DataError(f"{path} is not the file that the manifest records", fix=away)
    return manifest


def without_places(spec: Any) -> Any:
    """A specification without the places of its inputs, of which only the content counts."""
    if isinstance(spec, dict):
        return {k: without_places(v) for k, v in spec.items() if k not in PLACES}
    return [without_places(one) for one in spec] if isinstance(spec, list) else spec


def _by_correctness(spec: Any) -> Any:
    """A specification with each reward as the part of it that gold answers are checked by."""
    if isinstance(spec, list):
        return [_by_correctness(one) for one in spec]
    if not isinstance(spec, dict):
        return spec
    found = {key: _by_correctness(value) for key, value in spec.items()}
    if isinstance(spec.get("reward"), str):
        try:
            name, options = correctness(spec["reward"], spec.get("reward_options"))
        except RewardError:  # no formula: it can only be equal to itself
            return found
        found |= {"reward": name, "reward_options": options}
    return found


def _as_made(different: Sequence[str], made: Mapping[str, Any]) -> str:
    """The overrides that keep the check of gold answers, where it is all that differs."""
    if not set(different) <= set(REWARD):
        return ""
    words = [Difference(f"data_prep.{key}", made.get(key), None).override() for key in different]
    return f"{' '.join(words)} (the data as they are, whatever trains on them), "


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
