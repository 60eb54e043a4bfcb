"""The items of a task: rows of its source, asked as the task says, with their breakdowns.

In: a `Task` and where local data lie (none: the hub, or beside the user's own task). Out: `Items`,
always in the same order, and what was left out by reason. Worked examples come before each
question, the same for all. Applies no chat template and grades nothing, except that `probe` asks
the grader which rows it can grade at all.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conf.errors import ConfigError, DataError
from data_prep.sources import columns
from data_prep.sources.base import Drop, Split
from data_prep.sources.convert import convert
from data_prep.sources.declare import Declaration, declaration
from data_prep.sources.open import open_source, raw_rows, source_files
from data_prep.sources.program import is_program
from eval.items import Item, item_id, read_items
from eval.suite.task import FOLDER, Task
from rewards.registry import Reward

Local = str | Mapping[str, str] | None
Pair = tuple[dict[str, Any] | Drop, Mapping[str, Any], str]


@dataclass(frozen=True, slots=True)
class Items:
    """What a task asks.

    Attributes:
        items: the questions, in the source's order.
        rows: raw rows that were read.
        dropped: how many of them are not asked, by reason.
        origin: where they came from, for people.
        contents: what may be read of the source's licence and origin: `licence`, `url`.
    """

    items: list[Item]
    rows: int
    dropped: dict[str, int]
    origin: str
    contents: dict[str, str]


def task_items(task: Task, local: Local = None, reward: Reward | None = None) -> Items:
    """Read a task's rows and make its items.

    Args:
        task: the task.
        local: a folder with `<task>/` or `<source>/` in it, a file, or one of these for each task.
        reward: the grader, for a task with `probe`.

    Raises:
        ConfigError: the source, split or a column's condition does not exist.
        DataError: no data, or rows that do not fit.
    """
    try:
        return _read(task, local, reward)
    except DataError as error:  # data_prep names its own key
        fix = error.fix.replace("data_prep.local=", f"local.{task.name}=")
        said = error.message.replace("data_prep.local=", "local=")
        raise DataError(said, fix) from error


def _read(task: Task, local: Local, reward: Reward | None) -> Items:
    dropped: Counter[str] = Counter()
    shots = _shots(task, local)
    items: list[Item] = []
    declared = _declared(task)
    if isinstance(declared, Path):
        origin, told = str(declared), {"licence": "unknown", "url": ""}
        found = _parquet(task, declared)
    elif declared is None:
        origin, told = str(task.source), {"licence": "", "url": ""}
        found = _program(task, local)
    else:
        place = _place(task, declared, local)
        told = {"licence": declared.licence, "url": declared.url}
        origin = declared.url if place is None and declared.bundled else str(place or declared.path)
        found = _declared_rows(task, declared, place)
    number = -1
    for number, (row, raw, where) in enumerate(found):
        if isinstance(row, Drop):
            dropped[row.reason] += 1
            continue
        item = _item(task, row, raw, where, number)
        if task.probe and reward is not None:
            said = reward.judge("", item.ground_truth, item.row)
            if said.status == "gold_error":
                dropped["not_gradable"] += 1
                continue
        items.append(_asked(task, item, shots))
    if not items:
        why = ", ".join(f"{reason} {n}" for reason, n in dropped.items()) or "no rows"
        raise DataError(f"task {task.name}: {origin} gives no item ({why})", fix="check local=")
    most = max(len(item.turns or ()) for item in items)
    if most:  # each turn is an item of its own later on
        items = [replace(item, index=item.index * most) for item in items]
    return Items(items, number + 1, dict(dropped.most_common()), origin, told)


def _declared(task: Task) -> Declaration | Path | None:
    """The task's source: a declaration, a Parquet file, or None for a program."""
    if isinstance(task.source, dict):
        values = {"kind": "rl", "name": task.name, **task.source, "path": task.path}
        files = task.source.get("files")
        if files is not None and not isinstance(files, dict):
            values["files"] = {task.split: files}  # the split that is asked
        try:
            made = Declaration.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"{task.path}, source.{key}: got {first['input']!r:.60}: {first['msg']}"
            ) from error
    elif task.source.endswith(".parquet"):
        return task.path.parent / Path(task.source).expanduser()
    elif is_program(task.source):
        return None
    else:
        given = task.source
        beside = task.path.parent / given
        made = declaration(beside if given.endswith((".yaml", ".yml")) else given)
    changes = {
        "template": task.prompt or made.template,
        "prompt": None if task.prompt else made.prompt,
        "system": made.system if task.system is None else task.system,
    }
    return made.model_copy(update=changes)


def _place(task: Task, declared: Declaration, local: Local) -> Path | None:
    """Where the task's local data lie; None: the hub, or beside the user's own declaration."""
    if local is None:
        return None
    if isinstance(local, Mapping):
        found = local.get(task.name, local.get(declared.name))
        return None if found is None else Path(found).expanduser()
    folder = Path(local).expanduser()
    for place in (folder / task.name, folder / declared.name):
        if place.is_dir():
            return place
    return folder


def _bundled(task: Task, declared: Declaration) -> bool:
    """Whether the files of a declaration lie elsewhere than beside it."""
    return declared.bundled or task.path.parent == FOLDER


def _declared_rows(
    task: Task, declared: Declaration, place: Path | None, split: Split | None = None
) -> Iterator[Pair]:
    wanted = split or task.split
    kind = "rl" if split is None else "sft"
    if place is None and _bundled(task, declared) and declared.hub is None:
        names = ", ".join(name for files in declared.files.values() for name in files)
        raise DataError(
            f"task {task.name}: its data are on no hub",
            fix=f"local.{task.name}=FOLDER with {names}",
        )
    files: list[Path] | None = None
    if place is not None or not (_bundled(task, declared) or not declared.files):
        files = source_files(declared, place, wanted)[wanted]
    elif declared.hub is not None and wanted not in declared.hub.splits:
        raise ConfigError(
            f"task {task.name}: the hub has no {wanted} split of {declared.name}",
            fix=f"local.{task.name}=FOLDER, or set.{task.name}.split="
            f"{', '.join(declared.hub.splits)}",
        )
    for index, (where, raw) in enumerate(raw_rows(declared, wanted, files)):
        row = convert(declared, kind, raw, split=wanted, index=index, where=where)  # type: ignore[arg-type]
        if split is None and not isinstance(row, Drop) and not _kept(task, raw, where):
            row = Drop(wanted, "not_asked", where)
        yield row, raw, where


def _program(task: Task, local: Local) -> Iterator[Pair]:
    place = local.get(task.name) if isinstance(local, Mapping) else local
    name = str(task.source)
    if ".py:" in name:
        name = str(task.path.parent / Path(name).expanduser())
    for number, row in enumerate(open_source(name, place, task.split, "rl", task.options)):
        yield row, {}, f"{task.source} row {number}"


def _parquet(task: Task, path: Path) -> Iterator[Pair]:
    for item in read_items(path):
        extra = dict(item.extra_info)
        row: dict[str, Any] = {
            "prompt": item.prompt,
            "data_source": item.data_source,
            "reward_model": {"ground_truth": item.ground_truth},
            "extra_info": extra,
        }
        where = f"{path} row {item.index}"
        kept = _kept(task, {**row, **extra}, where)
        yield (row if kept else Drop(task.split, "not_asked", where)), {}, where


def _kept(task: Task, raw: Mapping[str, Any], where: str) -> bool:
    return all(
        columns.holds(condition, columns.value(raw, column, where))
        for column, condition in task.keep.items()
    )


def _item(task: Task, row: Mapping[str, Any], raw: Mapping[str, Any], where: str, n: int) -> Item:
    """An item with its stratum, cluster and breakdowns."""
    extra = row["extra_info"]
    known = {**row, **extra, **raw, "data_source": row["data_source"]}

    def column(name: str) -> Any:
        if name == "category" and "category" not in known:
            return None  # a row without a grouping of its own
        return columns.value(known, name, where)

    found = column(task.strata)
    cluster = None if task.cluster is None else _cluster(column(task.cluster))
    turns = None
    if task.turns is not None:
        said = column(task.turns)
        if not isinstance(said, list) or not said or not all(isinstance(x, str) for x in said):
            raise DataError(f"{where}, column {task.turns}: got {said!r:.60}, need a list of texts")
        turns = tuple(said)
    return Item(
        index=n,
        id=item_id(extra, n),
        prompt=[{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]],
        ground_truth=row["reward_model"]["ground_truth"],
        data_source=str(row["data_source"]),
        extra_info=extra,
        stratum=columns.as_text(found) or "none",
        cluster=cluster,
        extra={name: _plain(column(source)) for name, source in task.extra.items()},
        turns=turns,
    )


def _cluster(found: Any) -> str | None:
    """A cluster's name; an absent or empty one is None: the item stands alone."""
    absent = found is None or (isinstance(found, float) and math.isnan(found))
    return None if absent else columns.as_text(found).strip() or None


def _plain(found: Any) -> Any:
    """A value that JSON holds; others as text."""
    return (
        found if isinstance(found, (str, int, float, bool, type(None))) else columns.as_text(found)
    )


def _asked(task: Task, item: Item, shots: list[dict[str, str]]) -> Item:
    """The item with the task's system message and examples before its question."""
    prompt = item.prompt
    if task.system is not None and (not prompt or prompt[0]["role"] != "system"):
        prompt = [{"role": "system", "content": task.system}, *prompt]
    if shots:
        first = 1 if prompt[0]["role"] == "system" else 0
        prompt = [*prompt[:first], *shots, *prompt[first:]]
    return replace(item, prompt=prompt)


def _shots(task: Task, local: Local) -> list[dict[str, str]]:
    """The worked examples as turns: the task's own, then those drawn from the source."""
    pairs = [(shot.prompt, shot.response) for shot in task.examples]
    if task.few_shot:
        declared = _declared(task)
        if not isinstance(declared, Declaration) or "sft" not in declared.kind:
            raise ConfigError(
                f"task {task.name}: its source has no worked answers to show",
                fix="few_shot=0, or a task of your own with examples: [{prompt: …, response: …}]",
            )
        place = _place(task, declared, local)
        rows = [
            row
            for row, _, _ in _declared_rows(task, declared, place, task.few_shot_split)
            if not isinstance(row, Drop)
        ]
        if len(rows) < task.few_shot:
            raise ConfigError(
                f"task {task.name}: {len(rows)} rows to draw examples from",
                fix=f"few_shot={len(rows)}",
            )
        drawn = random.Random(task.few_shot_seed).sample(rows, task.few_shot)
        for row in drawn:
            asked = [turn for turn in row["messages"] if turn["role"] == "user"]
            pairs.append((asked[-1]["content"], row["messages"][-1]["content"]))
    return [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
