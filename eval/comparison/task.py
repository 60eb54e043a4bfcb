"""Two models on one task: the same items found, compared, and those that flipped.

In: two models' records on a task. Out: a `TaskPair` with its `Change`, then the TASK entry of
comparison.json and the lines of flips.jsonl (their form is in `eval.compare`). Correcting for other
tasks is the caller's, who gives the level.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from conf.errors import EvaluationError
from eval.answers import Answered, answered, clusters_of, naming, shares, weights_of
from eval.comparison.read import Compared
from eval.score import FEW_ITEMS, mean_of
from eval.statistics import paired
from eval.statistics.families import Corrected

Json = dict[str, Any]
FLIPPED: Final = 0.5  # least change of an item's share of right samples that counts as a flip
MOST_CHANGED: Final = 0.1  # corrected golds are few; more is other data under the same ids
SAME: Final = {  # what should be the same in both models' records, and how it is called
    "prompt": "prompts",
    "sampling": "sampling settings",
    "reward": "graders",
}


@dataclass(frozen=True, slots=True)
class TaskPair:
    """One task of two models, before correction.

    Attributes:
        base: items that both judged, the base model's answers.
        other: the same items, the other model's.
        change: the comparison.
        clean: the comparison without contaminated items; None when there are none or only such.
        left_out: items that were not compared, by why.
    """

    task: str
    trained: bool | None
    base: tuple[Answered, ...]
    other: tuple[Answered, ...]
    change: paired.Change
    clean: paired.Change | None
    flagged: frozenset[int] | None
    population: Mapping[str, int] | None
    left_out: Mapping[str, int]
    warnings: tuple[str, ...]


def pair_task(
    task: str,
    base: Compared,
    other: Compared,
    *,
    trained: bool | None,
    flagged: frozenset[int] | None,
    seed: int,
    resamples: int,
) -> TaskPair:
    """Pair two models' items on a task and compare them.

    Items are the same when their ids are (rows, where ids are not unique) and their gold answers.

    Raises:
        EvaluationError: no item was judged for both.
    """
    left, right = base.tasks[task], other.tasks[task]
    if left.metric != right.metric:
        raise EvaluationError(
            f"{task}: metric {left.metric} of {base.label}, {right.metric} of {other.label}",
            "evaluate both with the same task file",
        )
    ours, theirs = (answered(side.records, side.metric) for side in (left, right))
    name = naming(left.records, right.records)
    by_name = {name(item.first): item for item in ours}
    pairs = [(by_name[name(item.first)], item) for item in theirs if name(item.first) in by_name]
    same = [pair for pair in pairs if _gold(pair[0]) == _gold(pair[1])]
    asked = [{name(record) for record in side.records} for side in (left, right)]
    left_out = {
        "only_base": len(asked[0] - asked[1]),
        "only_other": len(asked[1] - asked[0]),
        "broken": len(asked[0] & asked[1]) - len(pairs),
        "changed": len(pairs) - len(same),
    }
    if not pairs:
        raise EvaluationError(
            f"{task}: {base.label} and {other.label} have no judged item in common",
            "evaluate both on the same data, n and seed; python -m rewards.check tries the grader",
        )
    if left_out["changed"] > MOST_CHANGED * len(pairs):
        raise EvaluationError(
            f"{task}: {base.label} and {other.label} were not asked the same: of {len(pairs)} "
            f"items that both judged, {left_out['changed']} have another gold answer",
            "evaluate both on the same data, n and seed",
        )
    a, b = tuple(pair[0] for pair in same), tuple(pair[1] for pair in same)

    def change(one: Sequence[Answered], two: Sequence[Answered]) -> paired.Change:
        return _change(one, two, population=left.population, seed=seed, resamples=resamples)

    clean = None
    if flagged:
        rest = [pair for pair in same if pair[0].first["index"] not in flagged]
        if rest and len(rest) < len(same):
            clean = change([p[0] for p in rest], [p[1] for p in rest])
    return TaskPair(
        task=task,
        trained=trained,
        base=a,
        other=b,
        change=change(a, b),
        clean=clean,
        flagged=flagged,
        population=left.population,
        left_out=left_out,
        warnings=tuple(_warnings(a, b, left_out)),
    )


def _change(
    a: Sequence[Answered],
    b: Sequence[Answered],
    *,
    population: Mapping[str, int] | None,
    seed: int,
    resamples: int,
) -> paired.Change:
    draws = sum(min(len(x.values), len(y.values)) for x, y in zip(a, b, strict=True))
    return paired.compare_items(
        shares(a),
        shares(b),
        clusters_of(a),
        weights_of(a, population),
        draws=draws,
        seed=seed,
        resamples=resamples,
    )


def _gold(item: Answered) -> str:
    return json.dumps(item.first.get("ground_truth"), sort_keys=True, default=str)


def _warnings(
    a: Sequence[Answered], b: Sequence[Answered], left_out: Mapping[str, int]
) -> list[str]:
    found = []
    if len(a) < FEW_ITEMS:
        found.append(f"n = {len(a)} is below {FEW_ITEMS}: the interval is wide")
    for field, name in SAME.items():
        differ = sum(
            x.first.get(field) != y.first.get(field)
            for x, y in zip(a, b, strict=True)
            if field in x.first and field in y.first
        )
        if differ:
            found.append(f"{name} differ on {differ} items: not the model alone has changed")
    if left_out["changed"]:
        found.append(f"{left_out['changed']} items have another gold answer and are left out")
    if left_out["only_base"] or left_out["only_other"]:
        found.append(
            f"{left_out['only_base']} items were asked of the base alone, "
            f"{left_out['only_other']} of the other alone; they are left out"
        )
    if left_out["broken"]:
        found.append(f"{left_out['broken']} items have no judged answer of both and are left out")
    return found


def entry(pair: TaskPair, corrected: Corrected) -> Json:
    """The TASK entry of comparison.json."""
    change, level = pair.change, corrected.level
    detectable = change.detectable(level)
    sides = [mean_of(side, pair.population) for side in (pair.base, pair.other)]
    flips = Counter(direction for direction, _, _ in _flipped(pair))
    table = change.table
    single = max(_samples(pair.base), _samples(pair.other)) == 1
    clean = None
    if pair.clean is not None:
        clean = {
            "n": pair.clean.n,
            "left_out": change.n - pair.clean.n,
            "difference": pair.clean.difference,
            "ci95": limits(pair.clean.interval),
            "p_value": pair.clean.p_value,
            "verdict": pair.clean.word(level),
        }
    return {
        "trained": pair.trained,
        "n": change.n,
        "clusters": None if change.clusters == change.n else change.clusters,
        "samples": [_samples(pair.base), _samples(pair.other)],
        "accuracy": {"base": change.base, "other": change.other},
        "ci95": {"base": limits(sides[0].interval), "other": limits(sides[1].interval)},
        "table": None
        if table is None or not single
        else {
            "both_right": table.both_right,
            "only_base": table.only_base,
            "only_other": table.only_tuned,
            "both_wrong": table.both_wrong,
        },
        "gained": flips["gained"],
        "lost": flips["lost"],
        "difference": change.difference,
        "difference_ci95": limits(change.interval),
        "difference_method": change.interval_method,
        "bootstrap_ci95": None if change.bootstrap is None else limits(change.bootstrap),
        "test": change.test,
        "p_value": change.p_value,
        "p_adjusted": corrected.p_adjusted,
        "level": level,
        "verdict": change.word(level),
        "line": f"{paired.line(change, level, corrected.p_adjusted)}, {flips['gained']} gained, "
        f"{flips['lost']} lost",
        "detectable": detectable if math.isfinite(detectable) else None,
        "intervals_overlap": sides[0].interval.overlaps(sides[1].interval),
        "left_out": dict(pair.left_out),
        "strata": _strata(pair),
        "clean": clean,
        "warnings": list(pair.warnings),
    }


def limits(interval: Any) -> list[float]:
    """An interval as JSON holds it."""
    return [interval.low, interval.high]


def _samples(items: Sequence[Answered]) -> int:
    return max(len(item.values) for item in items)


def _flipped(pair: TaskPair) -> list[tuple[str, Answered, Answered]]:
    found = []
    for a, b in zip(pair.base, pair.other, strict=True):
        step = b.share - a.share
        if abs(step) >= FLIPPED:
            found.append(("gained" if step > 0 else "lost", a, b))
    return found


def _strata(pair: TaskPair) -> list[Json]:
    """Each stratum's difference; none when there is one. Shown, not judged: no verdict here."""
    names = sorted({item.stratum for item in pair.base})
    if len(names) < 2:
        return []
    flips = Counter((a.stratum, direction) for direction, a, _ in _flipped(pair))
    found = []
    for name in names:
        inside = np.flatnonzero([item.stratum == name for item in pair.base])
        a, b = ([side[i] for i in inside] for side in (pair.base, pair.other))
        change = _change(a, b, population=None, seed=0, resamples=0)
        found.append(
            {
                "name": name,
                "n": change.n,
                "base": change.base,
                "other": change.other,
                "difference": change.difference,
                "ci95": limits(change.interval),
                "gained": flips[name, "gained"],
                "lost": flips[name, "lost"],
            }
        )
    return found


def flip_lines(pair: TaskPair, labels: tuple[str, str]) -> list[Json]:
    """The lines of flips.jsonl, what was lost first."""
    lines = []
    for direction, a, b in sorted(_flipped(pair), key=lambda flip: flip[0] == "gained"):
        item = a.first
        lines.append(
            {
                "pair": list(labels),
                "task": pair.task,
                "direction": direction,
                "index": item["index"],
                "id": item.get("id"),
                "stratum": a.stratum,
                "cluster": a.cluster,
                "extra": item.get("extra") or {},
                "prompt": item.get("prompt"),
                "ground_truth": item.get("ground_truth"),
                "reward": item.get("reward") or {},
                "contaminated": None if pair.flagged is None else item["index"] in pair.flagged,
                "base": _side(a),
                "other": _side(b),
            }
        )
    return lines


def _side(item: Answered) -> Json:
    """What one model answered: the first sample on the side of its majority."""
    wanted = item.share > 0.5
    shown = next(
        (r for r, v in zip(item.records, item.values, strict=True) if (v > 0.5) == wanted),
        item.first,
    )
    verdict = shown["verdict"]
    return {
        "share": item.share,
        "response": shown.get("response"),
        "pred": verdict.get("pred"),
        "status": verdict.get("status"),
        "detail": verdict.get("detail"),
        "finish_reason": shown.get("finish_reason"),
        "tokens": shown.get("tokens"),
    }
