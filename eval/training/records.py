"""What the report tells of a run besides its numbers: facts, settings, environment, attempts.

In: a `RunRecord`. Out: names and values as plain text, for tables. Nothing is invented: what a file
does not hold is left out or said to be put together from something else.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, NamedTuple

from eval.pages.text import MISSING, duration, number
from eval.training.data import Attempt, Json, RunRecord
from eval.training.verdict import planned_steps


@dataclass(frozen=True)
class Section:
    """A titled table of names and values."""

    title: str
    rows: tuple[tuple[str, str], ...]


def _show(value: Any) -> str:
    """A recorded value in one line."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(_show(item) for item in value) or "–"
    return str(value)


def _leaves(tree: Json, prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            rows += _leaves(value, f"{name}.")
        else:
            rows.append((name, _show(value)))
    return rows


def sections(tree: Json) -> list[Section]:
    """The scalars of a record as one table, each nested mapping as its own."""
    top = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    out = [Section("", tuple(_leaves(top)))] if top else []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            out.append(Section(str(key), tuple(_leaves(value))))
    return out


def facts(run: RunRecord) -> list[tuple[str, str]]:
    """What the run is, in a few words each."""
    steps = run.metrics.train_steps
    planned = planned_steps(run)
    last = str(steps[-1]) if steps else "0"
    rows = [("Steps", f"{last} of {planned}" if planned else last)]
    seconds = [value for _, value in run.metrics.finite("timing_s/step")]
    if seconds:
        rows.append(("Training time", duration(sum(seconds))))
    for title, path in (
        ("Job", "job"),
        ("Data", "data_prep.source"),
        ("Reward", "reward_spec.name"),
        ("Hardware", "hardware.name"),
        ("Ranks", "hardware.ranks"),
        ("Seed", "run.seed"),
        ("Policy", "policy.path"),
    ):
        value = run.setting(path)
        if value is not None:
            rows.append((title, _show(value)))
    return rows


def command(run: RunRecord) -> tuple[str, str]:
    """The command that starts this run again, and where it is known from."""
    for record, where in (
        (run.plan, "plan.json"),
        *((a.started, "pid.json") for a in run.attempts),
    ):
        for key in ("command", "argv"):
            value = (record or {}).get(key)
            if isinstance(value, str) and value:
                return value, where
            if isinstance(value, list) and value:
                return shlex.join(map(str, value)), where
    job, recipe = run.setting("job"), run.setting("run.recipe")
    if job is None or recipe is None:
        return "", MISSING
    words = ["python", "-m", f"launch.{job}", f"+recipe={recipe}"]
    for key, path in (
        ("hardware", "hardware.name"),
        ("policy", "policy.name"),
        ("run.name", "run.name"),
        ("run.seed", "run.seed"),
    ):
        if run.setting(path) is not None:
            words.append(f"{key}={run.setting(path)}")
    return shlex.join(words), "put together from the configuration; other overrides are not in it"


def changes(run: RunRecord) -> list[tuple[str, str]] | None:
    """What the plan says was overridden; None where it does not say."""
    for key in ("overrides", "changes", "differences"):
        value = (run.plan or {}).get(key)
        if isinstance(value, dict):
            return _leaves(value)
        if isinstance(value, list):
            pairs = [str(item).partition("=") for item in value]
            return [(name, text) for name, _, text in pairs]
    return None


def title(run: RunRecord) -> str:
    """Recipe / name, from the configuration, else the folder's own name."""
    recipe, name = run.setting("run.recipe"), run.setting("run.name")
    return f"{recipe} / {name}" if recipe and name else run.folder.resolve().name


class AttemptRow(NamedTuple):
    """One attempt in the table."""

    name: str
    start: str
    steps: str
    time: str
    end: str


def attempt_row(attempt: Attempt) -> AttemptRow:
    """An attempt in words; exit.json is launch.supervise's."""
    start = MISSING if attempt.from_step is None else f"step {attempt.from_step}"
    steps = "none" if attempt.first_step is None else f"{attempt.first_step} to {attempt.last_step}"
    ended = attempt.ended
    start = "the start" if attempt.from_step == 0 else start
    if ended is None:
        end = "no exit recorded: killed, or still running"
        return AttemptRow(attempt.name, start, steps, "–", end)
    begin, finish = ended.get("started"), ended.get("ended")
    time = "–"
    if isinstance(begin, int | float) and isinstance(finish, int | float):
        time = duration(finish - begin)
    words = [str(ended["reason"])] if ended.get("reason") else []
    words += [f"{key} {ended[key]}" for key in ("code", "signal") if ended.get(key)]
    words += [str(ended["error"])] if ended.get("error") else []
    return AttemptRow(attempt.name, start, steps, time, "; ".join(words) or MISSING)


def preflight_rows(run: RunRecord) -> list[tuple[str, str, str]] | None:
    """Status, name and finding of each check before the start; None when it is not recorded."""
    lines = run.preflight.get("lines") if isinstance(run.preflight, dict) else None
    if not isinstance(lines, list):
        return None
    rows = []
    for line in lines:
        if isinstance(line, dict) and "name" in line:
            need = f" (needed: {line['need']})" if line.get("need") else ""
            rows.append(
                (str(line.get("status", "")), str(line["name"]), f"{line.get('got', '')}{need}")
            )
    return rows
