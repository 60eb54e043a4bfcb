"""One model on a suite of tasks: the flow from declarations to an evaluation folder.

In: a `SuiteSpec`. Out: `OUT/{evaluation.json, results.json, errors.json, report.html,
tasks/<task>/{records.jsonl, items.json}}`, and the content of results.json. Everything that can be
wrong without a model in memory (tasks, data, graders, judge, baseline) is found first; the model is
loaded once for all tasks, and only when a response is missing. The same command again generates
only what is missing. The folder is the evaluation of the last command there.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from conf.atomic import write_json, writing
from conf.errors import ConfigError
from eval.evaluate import Model, versions
from eval.generation.backend import Plan, Sampling
from eval.generation.render import resolve_model
from eval.generation.server import Endpoint, endpoint
from eval.items import Item, choose, listed
from eval.records import Record, model_fingerprint
from eval.report import write_evaluation
from eval.responses import Job, Pending, complete
from eval.score import Result
from eval.stored import left_over
from eval.suite.items import Items, task_items
from eval.suite.preference import with_baseline
from eval.suite.results import task_result
from eval.suite.spec import SuiteSpec
from eval.suite.task import Task
from rewards.registry import Reward, load_correctness

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """A task whose items and grader are at hand."""

    task: Task
    reward: Reward
    found: Items
    chosen: list[Item]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A task with its records.

    Attributes:
        population: rows of each stratum in the whole set, where only some were asked.
    """

    task: Task
    records: Sequence[Record]
    population: Mapping[str, int] | None


def evaluate_suite(spec: SuiteSpec, stream: TextIO = sys.stderr) -> Result:
    """Run an evaluation and write its folder.

    Args:
        spec: what to evaluate.
        stream: where progress goes.

    Returns:
        The content of results.json.

    Raises:
        TemperError: its subtypes for configuration, data, reward, model and disk.
    """
    served = None if spec.endpoint is None else endpoint(spec.endpoint, spec.model)
    ready = [_ready(spec, task) for task in spec.tasks()]
    model, plan = _model(spec, served)
    batch = spec.max_num_seqs if served is None else served.parallel
    out = spec.folder
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    tasks = {one.task.name: one.task.model_dump(mode="json", exclude={"path"}) for one in ready}
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "model": _named(model),
        "spec": spec.model_dump(mode="json"),
        "tasks": tasks,
        "versions": versions(),
    }
    with ExitStack() as stack:
        pending = [
            stack.enter_context(
                Pending(_job(spec, one, model, plan, batch), records_path(out, one.task), stream)
            )
            for one in ready
        ]
        # Only now that no record of another model is left in a file of these tasks, and not at all
        # when another process writes them: readers go by evaluation.json.
        if any(one.file.moved_to or one.open_slots for one in pending):
            (out / "results.json").unlink(missing_ok=True)
        write_json(out / "evaluation.json", about)
        for one in ready:
            _write_items(spec, one, out / "tasks" / one.task.name)
        if others := left_over(out, tasks):
            stream.write(
                f"{out}: {', '.join(others)} are of an earlier evaluation and no part of this one; "
                "name them in suite= as well to have all in one (what is recorded is not generated "
                "again)\n"
            )
        recorded = complete(pending, plan)
    pairs = [
        Recorded(one.task, records, sample_of(one.found.items, one.chosen))
        for one, records in zip(ready, recorded, strict=True)
    ]
    warnings = [text for one in ready for text in _left_out(one)]
    if model.folder is None and served is not None and served.revision is None:
        warnings.append(
            f"{served.model} is known by what {served.base_url} calls it, not by its files: after "
            "other weights under the same name and path give another endpoint.revision=NAME, or "
            "their recorded answers are taken for the new ones"
        )
    return write_results(out, _named(model), pairs, about["versions"], warnings)


def sample_of(rows: Sequence[Item], chosen: Sequence[Item]) -> dict[str, int] | None:
    """Rows of each stratum when only some are asked; None when all are."""
    return None if len(rows) == len(chosen) else dict(Counter(item.stratum for item in rows))


def records_path(out: Path, task: Task) -> Path:
    """Where a task's records lie in an evaluation folder."""
    return out / "tasks" / task.name / "records.jsonl"


def write_results(
    out: Path,
    model: dict[str, Any],
    pairs: Sequence[Recorded],
    installed: dict[str, str],
    warnings: Sequence[str],
) -> Result:
    """Summarise each task's records; write results.json, errors.json and the page."""
    tasks: dict[str, Result] = {}
    for one in pairs:
        tasks[one.task.name] = task_result(one.task, model, one.records, one.population)
    everything = [record for one in pairs for record in one.records]
    results: Result = {
        "schema": SCHEMA,
        "model": model,
        "tasks": tasks,
        "cost": {
            "tokens": sum(record["tokens"] for record in everything),
            "prompt_tokens": sum(record.get("prompt_tokens") or 0 for record in everything),
            "seconds": math.fsum(record["seconds"] for record in everything),
        },
        "versions": installed,
        "warnings": list(warnings),
    }
    write_json(out / "results.json", results)
    write_evaluation(out)
    return results


def _named(model: Model) -> dict[str, Any]:
    return {"label": model.label, "name": model.name, "fingerprint": model.fingerprint}


def _ready(spec: SuiteSpec, task: Task) -> Ready:
    """Load a task's grader and items.

    Raises:
        ConfigError: a preference task without judge, or without the baseline that it needs.
    """
    options = grader_options(task, spec.judge)
    reward = load_correctness(task.grader, options)
    found = task_items(task, spec.local, reward)
    chosen = found.items if spec.n is None else choose(found.items, spec.n, spec.seed)
    if task.metric == "win_rate" and spec.baseline is not None:
        chosen = with_baseline(task, chosen, Path(spec.baseline).expanduser())
    elif task.gold == "baseline":
        raise ConfigError(
            f"task {task.name} compares with another model's responses",
            "baseline=EVALUATION_FOLDER of that model on the same task",
        )
    return Ready(task, reward, found, chosen)


def grader_options(task: Task, judge: dict[str, Any]) -> dict[str, Any]:
    """The options of a task's grader, with the server that judges where it needs one.

    Raises:
        ConfigError: it needs one, and none is given.
    """
    if task.metric != "win_rate" or "server" in task.grader_options:
        return task.grader_options
    if not {"base_url", "model"} <= judge.keys():
        raise ConfigError(
            f"task {task.name} is judged by a model", "judge.base_url=http://host/v1 judge.model=M"
        )
    return {**task.grader_options, "server": judge}


def _model(spec: SuiteSpec, served: Endpoint | None) -> tuple[Model, Plan]:
    """The model, and how it is reached."""
    at_hand = served is None or (
        served.render != "server" and (Path(spec.model).expanduser() / "config.json").is_file()
    )
    folder: Path | None = None
    if at_hand:
        folder = resolve_model(spec.model)
        fingerprint = model_fingerprint(folder)
    else:
        assert served is not None
        fingerprint = served.fingerprint()
    plan = Plan(
        folder=folder,
        engine=spec.engine(spec.tensor_parallel),
        replicas=spec.replicas,
        ray_address=spec.ray_address,
        endpoint=None if served is None else served.model_dump(),
        template_options=spec.template_options,
    )
    return Model(spec.name, spec.model, folder, fingerprint), plan


def _job(spec: SuiteSpec, one: Ready, model: Model, plan: Plan, batch: int) -> Job:
    task = one.task
    identity: dict[str, Any] = {"dtype": None if plan.endpoint else spec.dtype}
    if spec.template_options:
        identity["template_options"] = spec.template_options
    return Job(
        task=task.name,
        label=model.label,
        fingerprint=model.fingerprint,
        items=one.chosen,
        sampling=Sampling(
            temperature=task.temperature,
            max_tokens=task.max_tokens,
            top_p=task.top_p,
            top_k=task.top_k,
            stop=task.stop,
            seed=spec.seed,
        ),
        identity=identity,
        samples=task.samples,
        text=task.format == "text",
        reward=one.reward,
        graded_by={"name": task.grader, **grader_options(task, spec.judge)},
        batch=batch,
    )


def _write_items(spec: SuiteSpec, one: Ready, folder: Path) -> None:
    """items.json: which items, of how many, and what was left out."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    asked = json.dumps([[i.id, i.prompt, i.ground_truth] for i in one.chosen], sort_keys=True)
    write_json(
        folder / "items.json",
        {
            "task": one.task.name,
            "source": one.found.origin,
            **one.found.contents,
            "rows": one.found.rows,
            "dropped": one.found.dropped,
            "n": len(one.chosen),
            "seed": spec.seed,
            "sha256": hashlib.sha256(asked.encode()).hexdigest(),
            **listed(one.found.items, one.chosen),
        },
    )


def _left_out(one: Ready) -> list[str]:
    """A line where rows could not be asked; rows that the task itself leaves out are no news."""
    dropped = {k: n for k, n in one.found.dropped.items() if k not in ("not_asked", "other_split")}
    if not dropped:
        return []
    told = ", ".join(f"{reason} {n}" for reason, n in dropped.items())
    return [f"{one.task.name}: {sum(dropped.values())} rows are left out ({told})"]
