"""What is compared: models with their records, from evaluation folders, records files and runs.

In: paths as the user gave them. Out: `Compared` models, each with its records by task, under labels
that differ. It reads records.jsonl, evaluation.json, results.json and items.json, checks nothing of
their statistics and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import yaml

from conf.errors import EvaluationError
from eval.answers import ACCURACY, task_of
from eval.records import Record, whole_records
from eval.stored import has_tasks, read_json, stored

Role = Literal["base", "tuned", "control"]
NEAR: Final = 7  # folders above a model's files or records in which its run is looked for
FIX: Final = "python -m eval.compare BASE TUNED [MORE…] [control=C] [trained=[TASK,…]] [out=DIR]"


@dataclass(frozen=True, slots=True)
class TaskRecords:
    """One model's records on one task.

    Attributes:
        records: as recorded, in file order.
        metric: of the task; `accuracy` where its evaluation names none.
        population: rows of each stratum in the whole set, where items.json says so.
    """

    records: tuple[Record, ...]
    metric: str = ACCURACY
    population: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A model to compare: what it is called, where its records are, and its records by task."""

    label: str
    name: str
    fingerprint: str
    source: Path
    tasks: Mapping[str, TaskRecords]
    role: Role = "tuned"


def read_all(paths: Sequence[Path], control: Path | None = None) -> list[Compared]:
    """The models in the order they were given, the first as the base, the control arm last.

    A run folder (or the folder of an evaluation of two models) that stands alone gives both its
    models; as the control arm or beside others it gives the one that was trained. A model whose
    run was configured with a `control` is a control arm without being called one.

    Raises:
        EvaluationError: a path holds no records, or fewer than two models are left.
    """
    if not paths:
        raise EvaluationError("nothing to compare", FIX)
    found: list[Compared] = []
    for path in paths:
        models = read_models(path)
        found += models if len(paths) == 1 else models[-1:]
    if control is not None:
        found.append(replace(read_models(control)[-1], role="control"))
    if len(found) < 2:
        raise EvaluationError(f"one model in {paths[0]}, a comparison needs two", FIX)
    found[0] = replace(found[0], role="base")
    if all(model.role == "control" for model in found[1:]):
        found[1:] = [replace(model, role="tuned") for model in found[1:]]
    return _labelled(found)


def read_models(path: Path) -> list[Compared]:
    """The models of one path, the trained one last.

    Raises:
        EvaluationError: no such path, or no records in it.
    """
    if path.is_file():
        return [_from_file(path)]
    if not path.is_dir():
        raise EvaluationError(f"no such file or folder: {path}", FIX)
    if has_tasks(path):
        return [_from_folder(path)]
    for folder in (path, path / "eval"):
        files = [p for p in sorted(folder.glob("records-*.jsonl")) if ".old-" not in p.name]
        if files:
            return [_from_file(file) for file in _base_first(folder, files)]
    raise EvaluationError(
        f"{path} holds no records: need tasks/TASK/records.jsonl or records-LABEL.jsonl",
        "python -m eval.run out=DIR … writes them",
    )


def _base_first(folder: Path, files: list[Path]) -> list[Path]:
    """The files in the order of the folder's own verdict; by name without one, `before` first."""
    verdict = read_json(folder / "results.json").get("verdict")
    tuned = verdict.get("tuned") if isinstance(verdict, dict) else "after"
    return sorted(files, key=lambda file: file.stem == f"records-{tuned}")


def _from_folder(folder: Path) -> Compared:
    """An evaluation folder: a model on a suite."""
    found = stored(folder)
    tasks = {}
    for name, path in found.files.items():
        metric = str(found.told(name, "metric") or ACCURACY)
        population = read_json(path.parent / "items.json").get("population")
        tasks[name] = TaskRecords(_whole(path), metric, population)
    label = found.model.get("label") or next(iter(tasks.values())).records[0].get("label")
    name = str(found.model.get("name") or folder.name)
    return Compared(
        label=str(label or folder.name),
        name=name,
        fingerprint=str(found.model.get("fingerprint") or ""),
        source=folder,
        tasks=tasks,
        role="control" if _is_control(folder) or _is_control(Path(name)) else "tuned",
    )


def _from_file(path: Path) -> Compared:
    """A single file of records, which may hold several tasks."""
    records = _whole(path)
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(task_of(record), []).append(record)
    label = str(records[0].get("label") or path.stem.removeprefix("records-"))
    results = read_json(path.parent / "results.json")
    about = results.get(label)
    about = about if isinstance(about, dict) else {}
    verdict = results.get("verdict")
    started = label == (verdict.get("base") if isinstance(verdict, dict) else "before")
    return Compared(
        label=label,
        name=str(about.get("model") or path),
        fingerprint=str(about.get("fingerprint") or ""),
        source=path,
        tasks={task: TaskRecords(tuple(group)) for task, group in sorted(groups.items())},
        role="control" if not started and _is_control(path) else "tuned",
    )


def _is_control(path: Path) -> bool:
    """Whether a path lies in the folder of a run that was trained as a control arm."""
    for folder in [path, *path.parents][:NEAR]:
        config = folder / "config.yaml"
        if config.is_file() and (folder / "plan.json").is_file():
            try:
                loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
            except yaml.YAMLError as error:
                raise EvaluationError(f"{config} is no YAML: {error}", "restore it") from error
            reward = loaded.get("reward_fn") if isinstance(loaded, dict) else None
            return isinstance(reward, dict) and reward.get("control") is not None
    return False


def _whole(path: Path) -> tuple[Record, ...]:
    records = tuple(whole_records(path))
    if not records:
        raise EvaluationError(f"{path} holds no whole record", "let the evaluation end first")
    return records


def _labelled(models: Sequence[Compared]) -> list[Compared]:
    """Labels that differ: the run's or folder's name is added where two are the same."""
    labels = [model.label for model in models]
    found: list[Compared] = []
    for model in models:
        label = model.label
        if labels.count(label) > 1:
            label = "control" if model.role == "control" else f"{label}-{_home(model.source)}"
        taken = {other.label for other in found}
        number = 2
        unique = label
        while unique in taken:
            unique, number = f"{label}-{number}", number + 1
        found.append(replace(model, label=unique))
    return found


def _home(source: Path) -> str:
    """The name a person gave: of the folder, above `eval` for the records of a run."""
    folder = source.parent if source.is_file() else source
    return folder.resolve().parent.name if folder.name == "eval" else folder.resolve().name
