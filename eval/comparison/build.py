"""The whole comparison: pairs of models, all tasks, corrected together, and what follows.

In: models read by `eval.comparison.read` and `Options`. Out: the content of comparison.json and of
flips.jsonl (`eval.compare` documents both). It reads and writes no file.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Final

from conf.errors import EvaluationError
from eval.comparison.contamination import Flags, Question, flag
from eval.comparison.read import Compared
from eval.comparison.task import Json, TaskPair, entry, flip_lines, pair_task
from eval.comparison.verdict import forgetting, verdict
from eval.score import summarise
from eval.statistics.families import correct
from eval.statistics.intervals import ALPHA, POWER
from eval.statistics.samples import RESAMPLES

SCHEMA: Final = 1
LIBRARIES: Final = ("temper", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class Options:
    """How to compare.

    Attributes:
        trained: tasks that the models were trained for; None: unknown.
        questions: evaluation questions found in training data; None: nobody looked.
        evidence: where those came from.
        all_pairs: compare the tuned models with each other too.
        seed: of all resampling.
        resamples: of each bootstrap.
    """

    trained: tuple[str, ...] | None = None
    questions: tuple[Question, ...] | None = None
    evidence: str = ""
    all_pairs: bool = False
    seed: int = 1
    resamples: int = RESAMPLES


@dataclass(slots=True)
class Comparison:
    """comparison.json and the lines of flips.jsonl."""

    content: Json
    flips: list[Json] = field(default_factory=list)


def plan(models: Sequence[Compared], *, all_pairs: bool) -> list[tuple[Compared, Compared, str]]:
    """Which models are compared, and to what purpose; base → tuned comes first."""
    base = models[0]
    tuned = [model for model in models[1:] if model.role != "control"]
    controls = [model for model in models[1:] if model.role == "control"]
    pairs = [(base, model, "change") for model in tuned]
    pairs += [(base, model, "control") for model in controls]
    pairs += [(control, model, "beyond_control") for control in controls for model in tuned]
    if all_pairs:
        pairs += [(a, b, "models") for i, a in enumerate(tuned) for b in tuned[i + 1 :]]
    return pairs


def build(models: Sequence[Compared], options: Options) -> Comparison:
    """Compare the models.

    All tests, of all tasks and pairs, are one family: a verdict is given where its p-value passes
    the Benjamini-Hochberg procedure over the family.

    Raises:
        EvaluationError: two models share no task or no item, or `trained` names no task of theirs.
    """
    warnings = _check(models, options)
    flags, contamination = _contamination(models[0], options)
    planned = plan(models, all_pairs=options.all_pairs)
    paired = [_pair(base, other, options, flags) for base, other, _ in planned]
    family = [pair.change.p_value for tasks in paired for pair in tasks]
    corrected = iter(correct(family))
    pairs, flips = [], []
    for (base, other, purpose), tasks in zip(planned, paired, strict=True):
        pairs.append(
            {
                "base": base.label,
                "other": other.label,
                "purpose": purpose,
                "tasks": {pair.task: entry(pair, next(corrected)) for pair in tasks},
                "overall": _overall(tasks, options),
            }
        )
        for pair in tasks:
            flips += flip_lines(pair, (base.label, other.label))
    warnings += [f"{pair.task}: {text}" for pair in paired[0] for text in pair.warnings]
    content = {
        "schema": SCHEMA,
        "alpha": ALPHA,
        "power": POWER,
        "seed": options.seed,
        "resamples": options.resamples,
        "models": [
            {
                "label": model.label,
                "name": model.name,
                "fingerprint": model.fingerprint,
                "role": model.role,
                "source": str(model.source),
                "tasks": list(model.tasks),
            }
            for model in models
        ],
        "trained": None if options.trained is None else list(options.trained),
        "verdict": {},
        "results": {model.label: _results(model, options.seed) for model in models},
        "pairs": pairs,
        "forgetting": {},
        "contamination": contamination,
        "cost": {model.label: _cost(model) for model in models},
        "warnings": warnings,
        "versions": _versions(),
    }
    content["forgetting"] = forgetting(content)
    content["verdict"] = verdict(content)
    return Comparison(content, flips)


def _check(models: Sequence[Compared], options: Options) -> list[str]:
    """What is wrong with the choice of models before any number is made."""
    base = models[0]
    warnings = []
    for model in models[1:]:
        if not set(base.tasks) & set(model.tasks):
            raise EvaluationError(
                f"{base.label} has {', '.join(base.tasks)}, {model.label} has "
                f"{', '.join(model.tasks)}: no task in common",
                "evaluate both on the same suite",
            )
        for one, other in ((base, model), (model, base)):
            missing = sorted(set(one.tasks) - set(other.tasks))
            if missing:
                warnings.append(f"{', '.join(missing)}: evaluated for {one.label} alone, left out")
        if base.fingerprint and base.fingerprint == model.fingerprint:
            warnings.append(f"{base.label} and {model.label} are the same model files")
    unknown = [t for t in options.trained or () if all(t not in m.tasks for m in models)]
    if unknown:
        raise EvaluationError(
            f"trained={', '.join(unknown)}: no such task among {', '.join(base.tasks)}",
            "trained=[TASK,…] with names of evaluated tasks, or trained=[] for none of them",
        )
    return warnings


def _contamination(base: Compared, options: Options) -> tuple[dict[str, Flags] | None, Json | None]:
    if options.questions is None:
        return None, None
    records = {task: list({r["index"]: r for r in found.records}.values())
               for task, found in base.tasks.items()}  # fmt: skip
    flags, unmatched = flag(options.questions, records)
    named = {task: {r["index"]: str(r.get("id", r["index"])) for r in records[task]}
             for task in flags}  # fmt: skip
    tasks = {
        task: {
            "found": len(one.kept) + len(one.dropped),
            "kept": len(one.kept),
            "dropped": len(one.dropped),
            "items": [named[task][index] for index in sorted(one.kept)],
        }
        for task, one in flags.items()
    }
    return flags, {"file": options.evidence, "tasks": tasks, "unmatched": unmatched}


def _pair(
    base: Compared, other: Compared, options: Options, flags: Mapping[str, Flags] | None
) -> list[TaskPair]:
    found = []
    for task in base.tasks:
        if task not in other.tasks:
            continue
        flagged = None
        if flags is not None:
            flagged = flags[task].kept if task in flags else frozenset()
        found.append(
            pair_task(
                task,
                base,
                other,
                trained=None if options.trained is None else task in options.trained,
                flagged=flagged,
                seed=options.seed,
                resamples=options.resamples,
            )
        )
    return found


def _overall(tasks: Sequence[TaskPair], options: Options) -> Json | None:
    """Mean difference over tasks, each counting the same, with an interval.

    Tasks are independent samples of items, so that their variances add up: the half widths of the
    tasks' own intervals, as seen from the estimate, are joined by the square-and-add rule (Zou and
    Donner 2008, Statistics in Medicine 27:1693-1702).
    """
    if len(tasks) < 2:
        return None
    count = len(tasks)
    changes = [pair.change for pair in tasks]
    mean = sum(change.difference for change in changes) / count
    below = math.sqrt(sum((c.difference - c.interval.low) ** 2 for c in changes)) / count
    above = math.sqrt(sum((c.interval.high - c.difference) ** 2 for c in changes)) / count
    return {
        "n_tasks": count,
        "difference": mean,
        "ci95": [mean - below, mean + above],
        "method": "square-and-add",
    }


def _results(model: Compared, seed: int) -> Json:
    """Each task of one model, alone."""
    return {
        task: {
            "metric": found.metric,
            **summarise(
                model.label,
                model.name,
                model.fingerprint,
                found.records,
                metric=found.metric,
                population=found.population,
                seed=seed,
            ),
        }
        for task, found in model.tasks.items()
    }


def _cost(model: Compared) -> Json:
    """What the answers cost: tokens and seconds, also per right answer."""
    tasks = {}
    for task, found in model.tasks.items():
        tokens = sum(record.get("tokens") or 0 for record in found.records)
        tasks[task] = {
            "tokens": tokens,
            "prompt_tokens": sum(record.get("prompt_tokens") or 0 for record in found.records),
            "seconds": sum(record.get("seconds") or 0.0 for record in found.records),
            "mean_tokens": tokens / len(found.records),
        }
    correct_answers = sum(
        record["verdict"]["status"] == "correct"
        for found in model.tasks.values()
        for record in found.records
    )
    total = {key: sum(one[key] for one in tasks.values())
             for key in ("tokens", "prompt_tokens", "seconds")}  # fmt: skip
    each = total["tokens"] / correct_answers if correct_answers else None
    return {**total, "correct": correct_answers, "tokens_per_correct": each, "tasks": tasks}


def _versions() -> dict[str, str]:
    """Versions of what computes; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
