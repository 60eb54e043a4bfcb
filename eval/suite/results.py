"""One task's entry in results.json, from its records.

In: a task and its records. Out: what `eval.score` says of them, with the means of the grader's
components and the task's own metric (refusal rate, win rate). Nothing is read or written here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from eval.answers import answered, status_of
from eval.graders.refusal import REFUSED
from eval.records import Record
from eval.score import Result, mean_of, summarise
from eval.suite.preference import preference_result
from eval.suite.task import Task
from rewards.verdict import BROKEN

MANY_TRUNCATED = 0.1


def task_result(
    task: Task,
    model: Mapping[str, Any],
    records: Sequence[Record],
    population: Mapping[str, int] | None = None,
) -> Result:
    """The entry of one task.

    Args:
        task: its declaration.
        model: `name` and `fingerprint`.
        records: its records.
        population: rows of each stratum in the whole set, when only some were asked.

    Raises:
        EvaluationError: no verdict says anything of the model.
    """
    whole = summarise(
        task.name,
        str(model["name"]),
        str(model["fingerprint"]),
        records,
        metric=task.metric,
        population=population,
    )
    for name in ("model", "fingerprint"):  # results.json says them once
        del whole[name]
    result: Result = {
        "metric": task.metric,
        "about": task.about,
        **whole,
        "components": _components(records),
    }
    if task.metric in ("refusal_rate", "over_refusal_rate"):
        result["rate"] = _refused(records, population)
    if task.metric == "win_rate":
        result.update(preference_result(records, result))
    if result["truncation_share"] > MANY_TRUNCATED:
        result["warnings"].append(
            f"{100 * result['truncation_share']:.0f}% of the responses were cut at "
            f"max_tokens={task.max_tokens}"
        )
    return result


def _judged(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record["verdict"]["status"] not in BROKEN]


def _components(records: Sequence[Record]) -> dict[str, float]:
    """The mean of each component over the judged responses that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for record in _judged(records):
        for name, value in record["verdict"]["components"].items():
            values[name].append(float(value))
    return {name: sum(found) / len(found) for name, found in sorted(values.items())}


def _refused(records: Sequence[Record], population: Mapping[str, int] | None) -> Result:
    """The share of refusals among the responses that could be read, over items as the accuracy."""

    def refused(record: Record) -> float | None:
        told = None if status_of(record) in BROKEN else record["verdict"]["components"].get(REFUSED)
        return None if told is None else float(told)

    items = answered(records, counts=refused)
    if not items:
        return {"value": None, "ci95": None, "refused": 0, "n": 0}
    found = mean_of(items, population)
    return {
        "value": found.value,
        "ci95": [found.interval.low, found.interval.high],
        "refused": int(sum(sum(item.values) for item in items)),
        "n": sum(len(item.values) for item in items),
    }
