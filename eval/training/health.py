"""Checks on a run's records: could its numbers be wrong without anybody noticing?

In: a `RunRecord`, its comparisons of samples, its verdict's rows. Out: one `Check` a line: ok,
warn, bad, or none where nothing was recorded. It repairs nothing and hides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from eval.pages.text import MISSING, number, percent, plural
from eval.training.curves import MISMATCH, is_sft
from eval.training.data import RunRecord
from eval.training.samples import BROKEN, Comparison
from eval.training.verdict import Evaluated, planned_steps, unfinished

CLIPPED_WARN: Final = 0.05  # share of responses cut at the token limit
FLAT_WARN: Final = 0.8  # share of groups without a learning signal
WATCHED: Final = (
    "actor/grad_norm",
    "actor/pg_loss",
    "critic/grad_norm",
    "train/loss",
    "train/grad_norm",
)
LISTED: Final = 5  # steps named in a line


class Check(NamedTuple):
    """One line: level (ok, warn, bad, none), what was checked, what was found."""

    level: str
    name: str
    text: str


def _steps(steps: Sequence[int]) -> str:
    named = ", ".join(map(str, steps[:LISTED]))
    return named + (f" and {len(steps) - LISTED} more" if len(steps) > LISTED else "")


def _ended(run: RunRecord) -> Check:
    reason = unfinished(run)
    last = max(run.metrics.train_steps, default=0)
    planned = planned_steps(run)
    if reason:
        return Check("bad", "Run ended", f"{reason}.")
    if planned is None:
        return Check("none", "Run ended", f"Last step {last}; the planned last step is {MISSING}.")
    return Check("ok", "Run ended", f"All {planned} planned steps.")


def _mismatch(run: RunRecord, key: str, bound_key: str, title: str) -> Check:
    """The guard's metric against its bound; a step without it counts as a failure."""
    values = run.metrics.finite(key)
    bound = run.positive(bound_key)
    if not values:
        return Check(
            "bad", title, f"{key} was never recorded: a broken weight sync would not show."
        )
    worst_step, worst = max(values, key=lambda point: point[1])
    seen = {step for step, _ in values}
    missing = [step for step in run.metrics.train_steps if step not in seen]
    text = f"Highest {number(worst)} (step {worst_step})"
    if bound is None:
        return Check("none", title, f"{text}; the bound is {MISSING}.")
    above = [step for step, value in values if value > bound]
    text += f", bound {number(bound)}"
    if above:
        return Check("bad", title, f"{text}: above it at {_listed(above)}.")
    if missing:
        return Check("bad", title, f"{text}, but without a value at {_listed(missing)}.")
    return Check("ok", title, f"{text}.")


def _listed(steps: Sequence[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps ({_steps(steps)})"


def _clipped(run: RunRecord) -> Check:
    values = run.metrics.finite("response_length/clip_ratio")
    name = "Clipped responses"
    if not values:
        return Check("none", name, MISSING)
    last = values[-1][1]
    step, worst = max(values, key=lambda point: point[1])
    level = "warn" if last > CLIPPED_WARN else "ok"
    text = f"{percent(last)} cut at the token limit in the last step, {percent(worst)} at most "
    return Check(level, name, f"{text}(step {step}).")


def _flat(rollouts: Comparison | None) -> Check:
    name = "Groups without signal"
    if rollouts is None or not rollouts.flat_groups:
        return Check("none", name, MISSING)
    parts = [f"{percent(share)} at step {step}" for step, share in rollouts.flat_groups]
    level = "warn" if any(share > FLAT_WARN for _, share in rollouts.flat_groups) else "ok"
    text = "Groups of rollouts whose scores are all equal, which teach nothing: "
    return Check(level, name, f"{text}{', '.join(parts)}.")


def _complete(run: RunRecord) -> Check:
    """Steps without a gap, lines without a defect."""
    steps = run.metrics.train_steps
    name = "Metrics complete"
    if not steps:
        return Check("bad", name, "No training step was recorded.")
    gaps = sorted(set(range(min(steps[0], 1), steps[-1] + 1)) - set(steps) - {0})
    parts = []
    if gaps:
        parts.append(f"no metrics for {_listed(gaps)}")
    if run.metrics.unreadable:
        parts.append(plural(run.metrics.unreadable, "unreadable line"))
    if parts:
        return Check("warn", name, f"{'; '.join(parts).capitalize()}.")
    return Check("ok", name, f"Steps {steps[0]} to {steps[-1]} without a gap.")


def _finite(run: RunRecord) -> Check:
    """Gradients and losses that are numbers: verl skips an update without one and goes on."""
    bad = []
    lines = {key: run.metrics.line(key) for key in WATCHED}
    if not any(lines.values()):
        return Check("none", "Finite gradients", MISSING)
    for key, line in lines.items():
        steps = [step for step, _ in line if step not in dict(run.metrics.finite(key))]
        if steps:
            bad.append(f"{key} is not finite at {_listed(steps)}")
    if bad:
        return Check("bad", "Finite gradients", f"{'; '.join(bad)}.")
    return Check("ok", "Finite gradients", "No NaN or infinity in losses and gradient norms.")


def _verifier(rows: Sequence[Evaluated], comparisons: Sequence[Comparison | None]) -> Check:
    """Responses that could not be judged, which must not count as wrong answers."""
    name = "Verifier errors"
    counts = {row.bar.label: sum(v for k, v in row.status if k in BROKEN) for row in rows}
    dumped = sum(c.broken for c in comparisons if c is not None)
    found = [f"{count} in {label!r}" for label, count in counts.items() if count]
    if dumped:
        found.append(f"{dumped} in the dumped samples")
    if found:
        return Check("bad", name, f"Responses that could not be judged: {', '.join(found)}.")
    if not any(row.status for row in rows):
        return Check("none", name, MISSING)
    total = sum(row.n for row in rows)
    return Check("ok", name, f"None in {total:,} evaluated responses.")


def examine(
    run: RunRecord,
    rows: Sequence[Evaluated],
    validation: Comparison | None,
    rollouts: Comparison | None,
) -> list[Check]:
    """All checks of a run, most telling first."""
    checks = [_ended(run)]
    if not is_sft(run):
        checks += [_mismatch(run, key, bound, title) for key, bound, title, *_ in MISMATCH]
    checks += [_complete(run), _finite(run)]
    if not is_sft(run):
        checks += [_clipped(run), _flat(rollouts), _verifier(rows, (validation, rollouts))]
    warnings = (run.results or {}).get("warnings")
    checks += [
        Check("warn", "Evaluation", str(text))
        for text in (warnings if isinstance(warnings, list) else [])
    ]
    checks += [Check("warn", "Run folder", f"{problem}.") for problem in run.problems]
    return checks
