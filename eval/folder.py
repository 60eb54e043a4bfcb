"""An evaluation as its files tell it: the records of each task, and the numbers beside them.

In: an evaluation folder (`evaluation.json`, `results.json`, `tasks/<task>/records.jsonl`), a single
records file, or a folder of `records-<label>.jsonl`. Out: an `Evaluation`, of the tasks that
`eval.stored` says are its own. Records that lack task,
sample, stratum or extra (a single task's) are read as sample 0 of the task `data_source`. Computes
no accuracy: where results.json has none for a task, `results` lacks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conf.errors import EvaluationError
from eval.answers import ACCURACY
from eval.records import Record, whole_records
from eval.score import summarise
from eval.stored import Json, has_tasks, stored


@dataclass(frozen=True)
class Evaluation:
    """One model, a suite of tasks.

    Attributes:
        source: the folder or file.
        label: the model's short name.
        name: as it was given: a folder or a hub id.
        tasks: records by task, in the files' order.
        results: results.json's entry of each task.
        info: evaluation.json, {} where there is none.
        whole: all of results.json.
    """

    source: Path
    label: str
    name: str
    tasks: Mapping[str, list[Record]]
    results: Mapping[str, Json]
    info: Json = field(default_factory=dict)
    whole: Json = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        """All records, task by task."""
        return [record for records in self.tasks.values() for record in records]


def read_evaluation(path: Path) -> Evaluation:
    """Read an evaluation.

    Raises:
        EvaluationError: there is nothing of the kind, or a file of it is damaged.
    """
    if path.is_file():
        return _from_records([path], path)
    if has_tasks(path):
        found = stored(path)
        tasks = {name: complete(whole_records(file)) for name, file in found.files.items()}
        tasks = {name: records for name, records in tasks.items() if records}
        if not tasks:
            raise EvaluationError(f"{path} holds no record", "run the evaluation again")
        first = next(iter(tasks.values()))[0]
        label = str(found.model.get("label") or first.get("label") or path.name)
        results = found.results.get("tasks")
        return Evaluation(
            source=path,
            label=label,
            name=str(found.model.get("name") or found.about.get("model") or label),
            tasks=tasks,
            results=_results(label, tasks, results if isinstance(results, dict) else {}),
            info=found.about,
            whole=found.results,
        )
    named = sorted(path.glob("records*.jsonl"))
    if len(named) == 1:
        return _from_records(named, path)
    what = "no such file or folder" if not path.exists() else "no tasks/*/records.jsonl"
    if named:
        what = f"{len(named)} records files, one model is needed"
    raise EvaluationError(
        f"{path}: {what}", "give an evaluation folder (eval.run out=…) or one records file"
    )


def _from_records(files: list[Path], source: Path) -> Evaluation:
    tasks: dict[str, list[Record]] = {}
    for file in files:
        for record in complete(whole_records(file)):
            tasks.setdefault(record["task"], []).append(record)
    if not tasks:
        raise EvaluationError(f"{source} holds no record", "give a records file of an evaluation")
    label = str(next(iter(tasks.values()))[0].get("label") or source.stem)
    return Evaluation(source, label, label, tasks, _results(label, tasks, {}))


def complete(records: list[Record]) -> list[Record]:
    """The records with the fields that a single task's lack."""
    return [
        {
            "task": record.get("data_source") or "task",
            "sample": 0,
            "stratum": None,
            "cluster": None,
            "extra": {},
            **record,
        }
        for record in records
    ]


def _results(label: str, tasks: Mapping[str, list[Record]], given: Json) -> dict[str, Json]:
    """The entries of results.json; a single task's are computed as `eval.run` computes them."""
    found: dict[str, Json] = {}
    for task, records in tasks.items():
        if isinstance(given.get(task), dict):
            found[task] = given[task]
            continue
        one = summarise(label, label, "", records)
        found[task] = {**one, "metric": ACCURACY}
    return found
