"""One task's entry in results.json, from its records.

In: a task and its records. Out: accuracy with its interval and what belongs to it, by strata, with
what the grader's components say and the task's own metric (refusal rate, win rate). The statistics
are those of `eval.score` and `eval.statistics`; nothing is read or written here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from eval.preference import preference_result
from eval.records import Record
from eval.refusal import REFUSED
from eval.score import Result, summarise
from eval.statistics import wilson
from eval.task import Task
from rewards.verdict import BROKEN

FEW_ITEMS = 200
MANY_TRUNCATED = 0.1


def task_result(task: Task, model: Mapping[str, Any], records: Sequence[Record]) -> Result:
    """The entry of one task.

    Raises:
        EvaluationError: no verdict says anything of the model.
    """
    whole = summarise(task.name, str(model["name"]), str(model["fingerprint"]), records)
    for name in ("model", "fingerprint"):  # results.json says them once
        whole.pop(name, None)
    items = {record["index"] for record in records}
    result: Result = {
        "metric": task.metric,
        "about": task.about,
        "n_items": len(items),
        "samples": task.samples,
        **whole,
        "strata": _strata(records),
        "components": _components(records),
        "warnings": [],
    }
    if task.metric in ("refusal_rate", "over_refusal_rate"):
        result["rate"] = _refused(records)
    if task.metric == "win_rate":
        result.update(preference_result(records))
    result["warnings"] = _warnings(task, result)
    return result


def _judged(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record["verdict"]["status"] not in BROKEN]


def _strata(records: Sequence[Record]) -> dict[str, Result]:
    """Accuracy of each stratum where there are several; samples of one item are one item."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in _judged(records):
        groups[str(record["stratum"])].append(record)
    if len(groups) < 2:
        return {}
    found = {}
    for name, group in sorted(groups.items()):
        right = sum(record["verdict"]["status"] == "correct" for record in group)
        items = len({record["index"] for record in group})
        share = right / len(group)
        interval = wilson(round(share * items), items)
        found[name] = {
            "n_items": items,
            "accuracy": share,
            "ci95": [interval.low, interval.high],
        }
    return found


def _components(records: Sequence[Record]) -> dict[str, float]:
    """The mean of each component over the judged responses that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for record in _judged(records):
        for name, value in record["verdict"]["components"].items():
            values[name].append(float(value))
    return {name: sum(found) / len(found) for name, found in sorted(values.items())}


def _refused(records: Sequence[Record]) -> Result:
    """The share of refusals among the responses that could be read."""
    told = [r["verdict"]["components"][REFUSED] for r in _judged(records)
            if REFUSED in r["verdict"]["components"]]  # fmt: skip
    if not told:
        return {"value": None, "ci95": None, "refused": 0, "n": 0}
    interval = wilson(int(sum(told)), len(told))
    return {
        "value": sum(told) / len(told),
        "ci95": [interval.low, interval.high],
        "refused": int(sum(told)),
        "n": len(told),
    }


def _warnings(task: Task, result: Result) -> list[str]:
    """What a reader of the numbers should know, one line each."""
    found = list(result["warnings"])
    if result["n_items"] < FEW_ITEMS:
        found.append(f"n={result['n_items']} is below {FEW_ITEMS}: the interval is wide")
    if result["broken"]:
        found.append(
            f"the grader failed on {result['broken']} responses; they are left out (see detail in "
            "the records)"
        )
    if result["truncation_share"] > MANY_TRUNCATED:
        found.append(
            f"{100 * result['truncation_share']:.0f}% of the responses were cut at "
            f"max_tokens={task.max_tokens}"
        )
    return found
