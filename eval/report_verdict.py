"""The report's first sentence: did the run end, and did the model become better?

In: a `RunRecord`. Out: a `Verdict`. Numbers are those of eval/results.json; none is estimated
here. Better or worse needs 95% intervals that do not overlap; all else is `no clear change`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eval.report_data import Json, RunRecord
from eval.report_intervals import Bar
from eval.report_text import percent, plural

ACCURACY_KEYS = ("accuracy", "ci95", "n")


@dataclass(frozen=True)
class Evaluated:
    """One evaluated model: its bar, its sample, and what became of the responses."""

    bar: Bar
    n: int
    correct: int | None
    model: str | None
    status: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Verdict:
    """State (better, worse, unclear, stopped, unknown), its headline, one sentence of numbers."""

    state: str
    headline: str
    sentence: str
    rows: tuple[Evaluated, ...]


def _evaluated(label: str, record: Any) -> Evaluated | None:
    """One entry of results.json; None for what is no evaluation (its verdict, say)."""
    if not isinstance(record, dict) or not all(key in record for key in ACCURACY_KEYS):
        return None
    ci = record["ci95"]
    numbers = [record["accuracy"], record["n"], *(ci if isinstance(ci, list) else [])]
    if len(numbers) != 4 or not all(isinstance(v, int | float) for v in numbers):
        return None
    status = record.get("status")
    counts = status.items() if isinstance(status, dict) else ()
    correct, model = record.get("correct"), record.get("model")
    return Evaluated(
        bar=Bar(label, float(numbers[0]), float(numbers[2]), float(numbers[3])),
        n=int(numbers[1]),
        correct=correct if isinstance(correct, int) else None,
        model=model if isinstance(model, str) else None,
        status=tuple((str(k), v) for k, v in counts if isinstance(v, int) and v),
    )


def evaluations(results: Json | None) -> tuple[Evaluated, ...]:
    """All evaluated models, in the file's order."""
    found = [_evaluated(label, record) for label, record in (results or {}).items()]
    return tuple(row for row in found if row is not None)


def planned_steps(run: RunRecord) -> int | None:
    """The step at which the run was to end; None when neither plan nor configuration says."""
    plan = run.plan or {}
    for value in (
        plan.get("total_steps"),
        plan.get("total_training_steps"),
        run.setting("trainer.total_training_steps"),
    ):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def unfinished(run: RunRecord) -> str:
    """Why the run does not count as ended, as a sentence; empty when it ended or nobody knows."""
    last = max(run.metrics.train_steps, default=0)
    planned = planned_steps(run)
    ended = (run.attempts[-1].ended if run.attempts else None) or {}
    reason = ended.get("reason")  # of launch.supervise: finished, failed, interrupted, …
    why = "" if reason in (None, "finished") else str(reason).replace("_", " ")
    if planned is not None and last < planned:
        return f"Stopped at step {last} of {planned}" + (f": {why}" if why else "")
    return f"Ended at step {last}: {why}" if why else ""


def _difference(results: Json | None) -> str:
    """The measured difference with its interval, where results.json has it."""
    verdict = (results or {}).get("verdict")
    if not isinstance(verdict, dict):
        return ""
    value, ci = verdict.get("difference"), verdict.get("difference_ci95")
    if not isinstance(value, int | float):
        return ""
    text = f"{100 * value:+.1f} points".replace("-", "−")
    if isinstance(ci, list) and len(ci) == 2 and all(isinstance(v, int | float) for v in ci):
        text += f" [{100 * ci[0]:+.1f}, {100 * ci[1]:+.1f}]".replace("-", "−")
    return text


def _compared(rows: tuple[Evaluated, ...], results: Json | None) -> tuple[str, str, str]:
    """State, headline and sentence for two evaluated models or more: the first and the last."""
    by_label = {row.bar.label: row for row in rows}
    before, after = by_label.get("before", rows[0]), by_label.get("after", rows[-1])
    if after.bar.low > before.bar.high:
        state, headline, relation = "better", "Improved", "do not overlap"
    elif after.bar.high < before.bar.low:
        state, headline, relation = "worse", "Regressed", "do not overlap"
    else:
        state, headline, relation = "unclear", "No clear change", "overlap"
    same = before.n == after.n
    n = f"n = {before.n:,}" if same else f"n = {before.n:,} and {after.n:,}"
    change = _difference(results)
    if not change:
        points = 100 * (after.bar.value - before.bar.value)
        change = f"{points:+.1f} points".replace("-", "−")
    headline += f": {percent(before.bar.value)} → {percent(after.bar.value)}"
    sentence = f"Held-out accuracy, {n}: {change}. The 95% intervals {relation}."
    return state, headline, sentence


def judge(run: RunRecord) -> Verdict:
    """The verdict on a run."""
    rows = evaluations(run.results)
    stopped = unfinished(run)
    steps = plural(len(run.metrics.train_steps), "training step")
    if len(rows) >= 2:
        state, headline, sentence = _compared(rows, run.results)
    elif rows:
        row = rows[0]
        state, headline = "unknown", f"One model evaluated: {percent(row.bar.value)}"
        sentence = (
            f"Held-out accuracy of {row.bar.label!r}, n = {row.n:,}; there is no second model to "
            "compare it with."
        )
    else:
        state, headline = "unknown", "Not evaluated"
        sentence = (
            f"{steps} recorded, but no held-out evaluation: whether the model became better is "
            "not known."
        )
    if stopped:
        return Verdict("stopped", stopped, f"{headline}. {sentence}", rows)
    return Verdict(state, headline, sentence, rows)
