"""`python -m eval.regrade FOLDER [task=NAME] [grader=…] [grader_options.KEY=…]`: grade again.

In: an evaluation folder (of a suite, or of models on one file: `eval/` of a run), and perhaps
another grader for one task, or for tasks that share theirs; without one, each task's own as it is
now. Out: the same records with new verdicts, written whole or not at all, results.json from them,
and on stdout who changed sides. evaluation.json stays: without `grader=` the tasks' own come
back. Nothing is generated and no model is read. What a grader may read of a row is in items.json.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from conf.atomic import write_json
from conf.errors import ConfigError, EvaluationError, boundary
from eval.comparison.two import compare_two
from eval.items import Item
from eval.records import Record, RecordFile, whole_records
from eval.responses import regraded
from eval.score import summarise
from eval.spec import RESERVED, Text, checked, help_text, read_words
from eval.stored import read_json
from eval.suite.flow import Recorded, grader_options, write_results
from eval.suite.task import Task
from rewards.registry import load_correctness

GRADED: Final = ("key", "id", "prompt", "ground_truth", "data_source")  # what a grader may ask
USAGE = "usage: python -m eval.regrade FOLDER [key=value …] [--debug]"


class RegradeSpec(BaseModel):
    """What to grade again."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    folder: Text = Field(description="evaluation folder; may stand without its key")
    task: str = Field(default="", description='one task of the suite; "": all')
    grader: str = Field(
        default="",
        description='another grader, with task= where the tasks have different ones; "": the '
        "task's own",
    )
    grader_options: dict[str, Any] = Field(
        default={}, description="grader_options.NAME=value; in place of the task's"
    )
    judge: dict[str, Any] = Field(
        default={}, description="another judge for preference tasks; {}: the evaluation's"
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What grading again changed in one records file."""

    name: str
    n: int
    gained: int
    lost: int
    status: Mapping[str, int]

    @property
    def line(self) -> str:
        """For people."""
        told = ", ".join(f"{status} {n}" for status, n in self.status.items())
        return (
            f"{self.name}: {self.n} responses graded again, {self.gained} right that were not, "
            f"{self.lost} no longer right; {told}"
        )


def regrade(spec: RegradeSpec) -> list[Change]:
    """Grade the records of a folder again and write its results.

    Raises:
        EvaluationError: no such folder, or no records in it.
        ConfigError: no such task, a grader is needed and not given, or one is given for tasks
            with different ones.
    """
    folder = Path(spec.folder).expanduser()
    if (folder / "evaluation.json").is_file():
        return _suite(spec, folder)
    if any(folder.glob("records-*.jsonl")):
        return _file(spec, folder)
    raise EvaluationError(f"{folder} is no evaluation folder", "give out= of python -m eval.run")


def _suite(spec: RegradeSpec, folder: Path) -> list[Change]:
    about = read_json(folder / "evaluation.json")
    if not isinstance(about.get("tasks"), dict):
        raise EvaluationError(
            f"{folder}/evaluation.json names no tasks", "evaluate again: what is recorded is kept"
        )
    if spec.task and spec.task not in about["tasks"]:
        raise ConfigError(
            f"no task {spec.task!r} in {folder}", f"there is: {', '.join(about['tasks'])}"
        )
    tasks = {
        name: Task.model_validate({**told, "path": folder / "evaluation.json"})
        for name, told in about["tasks"].items()
    }
    _one_grader(spec, tasks)
    changes, pairs = [], []
    for name, task in tasks.items():
        place = folder / "tasks" / name
        if not spec.task or spec.task == name:
            given = {"grader": spec.grader or task.grader}
            options = spec.grader_options or ({} if spec.grader else task.grader_options)
            task = task.model_copy(update={**given, "grader_options": options})
            options = grader_options(task, spec.judge or about["spec"]["judge"])
            records, change = _again(place / "records.jsonl", name, task.grader, options)
            changes.append(change)
        else:
            records = whole_records(place / "records.jsonl")
        pairs.append(Recorded(task, records, _population(place / "items.json")))
    old = read_json(folder / "results.json")
    write_results(folder, about["model"], pairs, about["versions"], old.get("warnings") or [])
    return changes


def _one_grader(spec: RegradeSpec, tasks: Mapping[str, Task]) -> None:
    """Refuse one grader, or one grader's options, for tasks that are graded by different ones."""
    if spec.task or not (spec.grader or spec.grader_options):
        return
    if len({task.grader for task in tasks.values()}) > 1:
        told = ", ".join(f"{name} by {task.grader}" for name, task in tasks.items())
        given = f"grader={spec.grader}" if spec.grader else "grader_options"
        raise ConfigError(
            f"{given} for tasks of different graders: {told}", f"task={next(iter(tasks))}"
        )


def _file(spec: RegradeSpec, folder: Path) -> list[Change]:
    """Models on one file of rows: the form of a run's `eval/`."""
    old = read_json(folder / "results.json")
    labels = [name for name in old if name not in RESERVED]
    if not labels:
        raise EvaluationError(
            f"{folder} has records and no results.json that names their models",
            "let the evaluation end first: the same python -m eval.run command goes on from there",
        )
    changes = []
    for label in labels:
        path = folder / f"records-{label}.jsonl"
        first = next(iter(whole_records(path)), None)
        if first is None:
            raise EvaluationError(f"{path} holds no record", "evaluate it first")
        given = dict(first.get("reward") or {})
        name = spec.grader or given.pop("name", "")
        if not name:
            raise ConfigError(f"{path} does not say who graded it", "grader=NAME")
        options = spec.grader_options or ({} if spec.grader else given)
        records, change = _again(path, label, name, options)
        changes.append(change)
        old[label] = summarise(label, old[label]["model"], old[label]["fingerprint"], records)
    if "verdict" in old:
        base, tuned = old["verdict"]["base"], old["verdict"]["tuned"]
        pair = [whole_records(folder / f"records-{label}.jsonl") for label in (base, tuned)]
        old["verdict"] = compare_two(base, pair[0], tuned, pair[1])
    write_json(folder / "results.json", old)
    return changes


def _again(
    path: Path, name: str, grader: str, options: Mapping[str, Any]
) -> tuple[list[Record], Change]:
    """The records of one file under a grader, all of them judged anew."""
    reward = load_correctness(grader, options)
    records = whole_records(path, GRADED)
    if not records:
        raise EvaluationError(f"{path} holds no record", "evaluate it first")
    listed = read_json(path.parent / "items.json").get("items") or ()
    rows = {item["index"]: item for item in listed}
    items = [_item(record, _row(record, rows, path)) for record in records]
    with RecordFile(path, [record["key"] for record in records]) as file:
        stale = [{**record, "reward": {}} for record in records]  # also by the same grader, mended
        new = regraded(stale, items, reward, {"name": grader, **options})
        file.replace(new)
    sides = Counter(
        (old["verdict"]["status"] == "correct", now["verdict"]["status"] == "correct")
        for old, now in zip(records, new, strict=True)
    )
    status = Counter(record["verdict"]["status"] for record in new)
    return new, Change(
        name, len(new), sides[False, True], sides[True, False], dict(status.most_common())
    )


def _population(path: Path) -> dict[str, int] | None:
    """Rows of each stratum when only some were asked, from items.json."""
    told = read_json(path)
    rows: dict[str, int] = told.get("population") or {}
    return rows if sum(rows.values()) > told.get("n", 0) else None


def _row(record: Record, rows: Mapping[int, Mapping[str, Any]], path: Path) -> Mapping[str, Any]:
    """What a grader may read of a record's row, from items.json; {} where there is none.

    Items are found by their index, as ids need not be unique. A later turn, `ID#2`, has the row of
    its first, so many indices before.

    Raises:
        EvaluationError: items.json lists other items.
    """
    if not rows:
        return {}
    index, name = record["index"], str(record["id"])
    first, _, turn = name.rpartition("#")
    if index not in rows and turn.isdecimal():
        index, name = index - int(turn) + 1, first
    if index not in rows or str(rows[index]["id"]) != name:
        raise EvaluationError(
            f"{path.with_name('items.json')} has no item {record['id']} of index {record['index']}",
            "it is of other records: evaluate again, which generates only what is missing",
        )
    return rows[index].get("row") or {}


def _item(record: Record, row: Mapping[str, Any]) -> Item:
    """The item that a record answers, as far as a grader may ask."""
    return Item(
        index=record["index"],
        id=record["id"],
        prompt=record["prompt"],
        ground_truth=record["ground_truth"],
        data_source=record["data_source"],
        extra_info=row,
        stratum=str(record.get("stratum") or ""),
    )


def parse(words: Sequence[str]) -> RegradeSpec:
    """Read the words; the folder may stand alone.

    Raises:
        ConfigError: see `eval.spec.parse`.
    """
    named = [word if "=" in word or word.startswith("--") else f"folder={word}" for word in words]
    return checked(read_words(named, RegradeSpec), RegradeSpec)


def main(arguments: list[str] | None = None) -> None:
    """Parse, grade, say what changed."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    with boundary(debug=debug):
        words = [word for word in words if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(help_text(RegradeSpec, USAGE))
            raise SystemExit(0 if words else 2)
        spec = parse(words)
        for change in regrade(spec):
            print(change.line)
        print(f"→ {spec.folder}/results.json")


if __name__ == "__main__":
    main()
