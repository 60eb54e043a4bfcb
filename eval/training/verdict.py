"""The report's first sentence: did the run end, and did the model become better?

In: a `RunRecord`. Out: a `Verdict`. Numbers are those of eval/results.json; none is estimated
here. Better or worse is what the paired test says; without one, 95% intervals must not overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eval.best import line
from eval.pages.intervals import Bar
from eval.pages.text import percent, plural
from eval.training.curves import accuracy_chart
from eval.training.data import Json, RunRecord

ACCURACY_KEYS = ("accuracy", "ci95", "n")
# The words of eval.comparison.two: our state and headline.
WORDS = {
    "improved": ("better", "Improved"),
    "regressed": ("worse", "Regressed"),
    "no detectable change": ("unclear", "No detectable change"),
}


@dataclass(frozen=True)
class Evaluated:
    """One evaluated model: its bar, its sample, and what became of the responses."""

    bar: Bar
    n: int
    correct: int | None
    model: str | None
    cut: float | None  # share of the responses that reached the token limit
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
    correct, model, cut = (record.get(key) for key in ("correct", "model", "truncation_share"))
    return Evaluated(
        bar=Bar(label, float(numbers[0]), float(numbers[2]), float(numbers[3])),
        n=int(numbers[1]),
        correct=correct if isinstance(correct, int) else None,
        model=model if isinstance(model, str) else None,
        cut=float(cut) if isinstance(cut, int | float) else None,
        status=tuple((str(k), v) for k, v in counts if isinstance(v, int) and v),
    )


def evaluations(results: Json | None) -> tuple[Evaluated, ...]:
    """All evaluated models, in the file's order."""
    found = [_evaluated(label, record) for label, record in (results or {}).items()]
    return tuple(row for row in found if row is not None)


def planned_steps(run: RunRecord) -> int | None:
    """The step at which the run was to end; None when neither plan nor configuration says.

    plan.json tells how the run was begun; a run that was extended since goes by its configuration,
    and one that stopped early ended where it was to end.
    """
    last = max(run.metrics.train_steps, default=0)
    if run.stopped is not None and run.stopped.get("step") == last:
        return last
    for value in ((run.plan or {}).get("steps"), run.setting("trainer.total_training_steps")):
        if isinstance(value, int) and not isinstance(value, bool) and value >= max(last, 1):
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


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _paired(verdict: Json) -> tuple[str, str, str] | None:
    """Word, change and remark of the paired test in results.json (eval.comparison.two)."""
    word, difference = verdict.get("verdict"), verdict.get("difference")
    ci, p = verdict.get("difference_ci95"), verdict.get("p_value")
    if word not in WORDS or not isinstance(difference, float) or not isinstance(p, float):
        return None
    change = f"{_points(difference)} points"
    if isinstance(ci, list) and len(ci) == 2:
        change += f" [{_points(ci[0])}, {_points(ci[1])}]"
    change += f", {f'p = {p:.2g}' if p >= 1e-4 else 'p < 0.0001'} (paired, exact McNemar)"
    detectable = verdict.get("detectable")
    remark = ""
    if word not in ("improved", "regressed") and isinstance(detectable, float):
        remark = f" A difference of {100 * detectable:.1f} points would have been seen."
    return str(word), change, remark


def _compared(rows: tuple[Evaluated, ...], results: Json) -> tuple[str, str, str]:
    """State, headline and sentence for two evaluated models.

    The paired test decides where results.json has it; else the two intervals do.
    """
    verdict = results.get("verdict")
    verdict = verdict if isinstance(verdict, dict) else {}
    labels = {row.bar.label: row for row in rows}
    before = labels.get(str(verdict.get("base")), labels.get("before", rows[0]))
    after = labels.get(str(verdict.get("tuned")), labels.get("after", rows[-1]))
    overlap = before.bar.low <= after.bar.high and after.bar.low <= before.bar.high
    gain = after.bar.value - before.bar.value
    word = "no detectable change" if overlap else "improved" if gain > 0 else "regressed"
    word, change, remark = _paired(verdict) or (word, f"{_points(gain)} points", "")
    state, headline = WORDS[word]
    headline += f": {percent(before.bar.value)} → {percent(after.bar.value)}"
    n = f"{before.n:,}" if before.n == after.n else f"{before.n:,} and {after.n:,}"
    sampling = results.get("sampling")
    greedy = isinstance(sampling, dict) and sampling.get("temperature") == 0
    return (
        state,
        headline,
        f"Held-out accuracy, n = {n}{', greedy' if greedy else ''}: {change}. "
        f"The 95% intervals {'overlap' if overlap else 'do not overlap'}.{remark}",
    )


def _validated(run: RunRecord) -> str:
    """What the validations during training say, for a run without an evaluation."""
    chart = accuracy_chart(run)
    points = chart.series[0].finite if len(chart.series) == 1 else []
    if len(points) < 2:
        return ""
    (first, before), (last, after) = points[0], points[-1]
    return (
        f" {chart.title} during training: {chart.text(before)} at step {first}, "
        f"{chart.text(after)} at step {last}."
    )


def _ending(run: RunRecord) -> str:
    """Where training ended early, and which checkpoint was taken, in sentences; else empty."""
    said = ""
    early = run.stopped or {}
    if early.get("step") == max(run.metrics.train_steps, default=0):
        said += f" Training stopped early at step {early['step']}: {early.get('why')}."
    if run.best is not None and run.setting("selection.checkpoint") == "best":
        said += f" Of its checkpoints the best was taken: {line(run.best).partition(': ')[2]}."
    data = (run.results or {}).get("data")
    left_out = data.get("left_out") if isinstance(data, dict) else None
    if isinstance(left_out, int):
        said += f" The {left_out:,} rows that chose it were not evaluated."
    return said


def judge(run: RunRecord) -> Verdict:
    """The verdict on a run."""
    rows = evaluations(run.results)
    stopped = unfinished(run)
    steps = plural(len(run.metrics.train_steps), "training step")
    if len(rows) >= 2:
        state, headline, sentence = _compared(rows, run.results or {})
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
            f"not known.{_validated(run)}"
        )
    sentence += _ending(run)
    if stopped:
        return Verdict("stopped", stopped, f"{headline}. {sentence}", rows)
    return Verdict(state, headline, sentence, rows)
