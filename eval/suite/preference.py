"""Win rates of a preference task, as they are and with the length held equal.

In: records that `graders.pairwise` graded; for `with_baseline`, the records of the model that one
compares with. Out: win rate (ties count a half), which is the mean that every evaluation reports,
how often the judge's choice turned with the order, and the length-controlled win rate with a
bootstrap interval over questions. Asks no judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from conf.errors import DataError
from eval.answers import answered, clusters_of, naming
from eval.items import Item
from eval.records import Record, whole_records
from eval.statistics.intervals import Interval
from eval.statistics.mean import Codes
from eval.statistics.samples import alike_interval, expanded_percentiles
from eval.stored import has_tasks, stored
from eval.suite.task import Task

RESAMPLES: Final = 1000
SEED: Final = 1
RIDGE: Final = 0.5  # of both coefficients: keeps them finite when one side wins everything
NEWTON_STEPS: Final = 25
Floats = NDArray[np.float64]


def with_baseline(task: Task, items: Sequence[Item], path: Path) -> list[Item]:
    """The items with another model's responses as gold, turn by turn.

    Args:
        task: the preference task.
        items: its items.
        path: an evaluation folder that has this task, or a records file.

    Raises:
        DataError: no such records, or none for some item.
        EvaluationError: the records are damaged.
    """
    file: Path | None = path
    if path.is_dir():
        file = stored(path).files.get(task.name) if has_tasks(path) else None
    records = [] if file is None else whole_records(file, ("id", "prompt"))
    if not records:
        raise DataError(
            f"baseline={path}: no records of task {task.name}",
            fix="evaluate the other model on this task first: its preference needs no judge then",
        )
    asked = [_turns(item) for item in items]
    name = naming(records, (turn for turns in asked for turn in turns))
    known = {name(record): record for record in records if not record.get("sample")}
    found = []
    for item, turns in zip(items, asked, strict=True):
        golds = []
        for turn in turns:
            answer = known.get(name(turn))
            if answer is None or str(answer["id"]) != turn["id"]:
                raise DataError(
                    f"baseline={path} has no response to {turn['id']} of task {task.name}",
                    fix="evaluate the other model on the same items (n=, seed=)",
                )
            golds.append({"response": answer["response"], "prompt": answer["prompt"]})
        found.append(replace(item, ground_truth=golds[0], golds=tuple(golds)))
    return found


def _turns(item: Item) -> list[dict[str, Any]]:
    """How the records of an item's turns are called."""
    later = range(2, len(item.turns or ()) + 1)
    rest = [{"id": f"{item.id}#{turn}", "index": item.index + turn - 1} for turn in later]
    return [{"id": item.id, "index": item.index}, *rest]


def preference_result(records: Sequence[Record], result: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of results.json that only a preference task has.

    Args:
        records: the task's.
        result: what `eval.score` says of them by the metric `win_rate`.
    """
    items = answered(records, "win_rate")
    told = [record["verdict"]["components"] for item in items for record in item.records]
    scores = np.array([value for item in items for value in item.values], dtype=float)
    longer = np.array([one["longer"] for one in told], dtype=float)
    shared = clusters_of(items)
    clusters = np.repeat(
        np.arange(len(items)) if shared is None else shared, [len(item.values) for item in items]
    )
    limits = _limits(scores, longer, clusters)
    return {
        "win_rate": {"value": result["accuracy"], "ci95": result["ci95"]},
        "length_controlled": {
            "value": length_controlled(scores, longer),
            "ci95": [limits.low, limits.high],
        },
        "wins": int(sum(one["win"] for one in told)),
        "ties": int(sum(one["tie"] for one in told)),
        "losses": int(sum(1 - one["win"] - one["tie"] for one in told)),
        "turned_with_order": float(
            np.mean([one["order_first"] + one["order_second"] for one in told])
        ),
        "mean_characters": float(np.mean([one["characters"] for one in told])),
        "baseline_mean_characters": float(np.mean([one["baseline_characters"] for one in told])),
    }


def length_controlled(scores: Floats, longer: Floats) -> float:
    """The win rate that the judge would give at equal lengths.

    Dubois et al. 2024 (arXiv:2404.04475): logit P(win) = θ + φ·tanh(d/sd(d)), with d the difference
    of lengths; the rate is sigmoid(θ), the length term left out. Ties are half a win. Where we
    differ: d is the logarithm of the lengths' ratio, the term for each instruction's difficulty
    (which takes other models' results) is left out, and both coefficients have a small ridge.

    Args:
        scores: 1, 0.5 or 0 for each pair.
        longer: log2 of our length over the other's.
    """
    spread = float(longer.std())
    term = np.tanh(longer / spread) if spread > 0 else np.zeros_like(longer)
    design = np.stack([np.ones_like(term), term], axis=1)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (scores - chance) - RIDGE * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(1 / (1 + np.exp(-weights[0])))


def _limits(scores: Floats, longer: Floats, clusters: Codes) -> Interval:
    """95% interval of the length-controlled rate by bootstrap; clusters are drawn whole.

    Where all pairs went the same way there is nothing to draw: Wilson's over clusters.
    """
    rows = [np.flatnonzero(clusters == code) for code in np.unique(clusters)]
    count = len(rows)
    if count < 2 or float(np.ptp(scores)) == 0:
        return alike_interval(length_controlled(scores, longer), count)
    generator = np.random.default_rng(SEED)
    rates = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([rows[at] for at in generator.integers(0, count, count)])
        rates.append(length_controlled(scores[drawn], longer[drawn]))
    return expanded_percentiles(rates, count)
