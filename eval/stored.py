"""What an evaluation folder holds: whose evaluation it is, and where its tasks' records lie.

In: a folder that `eval.run` wrote for a suite. Out: a `Stored`. The evaluation is that of the last
command there: a task that evaluation.json does not name is left over from an earlier one, perhaps
of another model, and is no part of it. Reads no records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """The files of one evaluation.

    Attributes:
        folder: where it lies.
        model: `label`, `name` and `fingerprint` as far as they are told.
        files: the records file of each task, those that are there.
        about: evaluation.json; {} where there is none.
        results: results.json; {} where there is none yet.
    """

    folder: Path
    model: Json
    files: Mapping[str, Path]
    about: Json
    results: Json

    def told(self, task: str, key: str) -> Any:
        """What evaluation.json, else results.json, says of a task; None: neither says it."""
        for source in (self.about, self.results):
            entry = _object(source.get("tasks")).get(task)
            if isinstance(entry, dict) and entry.get(key) is not None:
                return entry[key]
        return None


def has_tasks(folder: Path) -> bool:
    """Whether a folder is that of a suite."""
    return any(folder.glob("tasks/*/records.jsonl"))


def stored(folder: Path) -> Stored:
    """What a folder of a suite holds.

    Raises:
        EvaluationError: none of the evaluation's tasks has records, or a file is damaged.
    """
    about, results = read_json(folder / "evaluation.json"), read_json(folder / "results.json")
    found = {file.parent.name: file for file in sorted(folder.glob("tasks/*/records.jsonl"))}
    named = _object(about.get("tasks")) or _object(results.get("tasks")) or found
    files = {name: file for name, file in found.items() if name in named}
    if not files:
        raise EvaluationError(
            f"{folder} holds no record of {', '.join(named) or 'any task'}",
            "let the evaluation end first: the same python -m eval.run command goes on from there",
        )
    model = _object(about.get("model")) or _object(results.get("model"))
    return Stored(folder, model, files, about, results)


def left_over(folder: Path, tasks: Mapping[str, Any]) -> list[str]:
    """Tasks whose records lie in a folder and that are not among these."""
    found = (file.parent.name for file in folder.glob("tasks/*/records.jsonl"))
    return sorted(name for name in found if name not in tasks)


def read_json(file: Path) -> Json:
    """A JSON object, {} where there is no such file.

    Raises:
        EvaluationError: it is no JSON object.
    """
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{file} cannot be read: {error}", "evaluate again") from error
    if not isinstance(found, dict):
        raise EvaluationError(f"{file} holds {type(found).__name__}, need an object", "write again")
    return found


def _object(found: Any) -> Json:
    return found if isinstance(found, dict) else {}
