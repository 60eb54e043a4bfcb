"""Which checkpoint of a run counts: the newest, or the one with the best held-out metric.

In: a run folder and what validation said of a checkpoint. Out: under `best/`, the weights of the
best checkpoint and of the one that was best before it, hard-linked, so that verl may remove its
own; what was considered; and the answer to which one is the best:

    RUN/best/considered.json   {metric, mode, values: {step: value}}
    RUN/best/global_step_N/{huggingface/…, validated.json}

The former best stays because a run killed at step N may go on from before N; what training goes on
from before is renamed, never deleted. Intervals are `eval.best`'s, which rows chose
`launch.selection_rows`'s.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.atomic import staged_folder, write_json, writing
from conf.errors import RunFolderError
from conf.runs import RunFolder
from launch.resume import checkpoints
from launch.run_metrics import read_metrics, read_report

LOSS = "val/loss"  # of verl's SFT trainer
FOLDER = "best"
FACTS = "validated.json"
CONSIDERED = "considered.json"


@dataclass(frozen=True)
class Kept:
    """A checkpoint whose weights are kept for what validation said of it."""

    step: int
    value: float
    path: Path

    @property
    def weights(self) -> Path:
        """Its model in Hugging Face's format."""
        return self.path / "huggingface"


def weights(checkpoint: Path) -> Path:
    """The Hugging Face folder within one of verl's checkpoints, of RL or SFT."""
    actor = checkpoint / "actor"
    return (actor if actor.is_dir() else checkpoint) / "huggingface"


def kept(run: Path) -> list[Kept]:
    """What `run` keeps, best first; of equal values the earlier step."""
    sign = 1.0 if _considered(run).get("mode") == "min" else -1.0
    found = []
    for file in run.glob(f"{FOLDER}/global_step_*/{FACTS}"):
        facts = json.loads(file.read_text(encoding="utf-8"))
        found.append(Kept(int(facts["step"]), float(facts["value"]), file.parent))
    return sorted(found, key=lambda one: (sign * one.value, one.step))


def keep(run: Path, checkpoint: Path, facts: Mapping[str, Any]) -> None:
    """Consider a checkpoint: its weights are kept where no earlier one was as good.

    A step is considered once, and a value that is no number never; values of another metric than
    before set aside what was kept for that.

    Args:
        run: the run's folder.
        checkpoint: verl's folder of the step, saved whole.
        facts: `step`, `metric`, `mode` (min or max), `value`, and what else validated.json says.

    Raises:
        RunFolderError: the checkpoint holds no weights here, or the folder cannot be written.
    """
    step, value = str(facts["step"]), float(facts["value"])
    known = _considered(run)
    if known and known["metric"] != facts["metric"]:
        abandon(run, after=-1)
        known = {}
    values = known.get("values", {})
    if step in values or not math.isfinite(value):
        return
    before = kept(run)
    if not before or (
        value < before[0].value if facts["mode"] == "min" else value > before[0].value
    ):
        _link(run, checkpoint, facts)
        for old in before[1:]:
            _remove(old.path)
    kind = {"metric": facts["metric"], "mode": facts["mode"]}
    with writing(run / FOLDER / CONSIDERED):
        write_json(run / FOLDER / CONSIDERED, {**kind, "values": {**values, step: value}})


def by_loss(step: int, loss: float) -> dict[str, Any]:
    """What is known of a checkpoint of SFT."""
    return {"step": step, "metric": LOSS, "mode": "min", "value": loss}


def consider_saved(run: RunFolder) -> None:
    """Consider what SFT saved and validated: a kill may have come between the save and that.

    RL needs no such thing: it records a step after it was considered.
    """
    recorded = dict(read_metrics(run.metrics_file)[0])
    for one in checkpoints(run, read_report(run)):
        loss = recorded.get(one.step, {}).get(LOSS)
        if loss is not None and not one.problem:
            keep(run.path, one.path, by_loss(one.step, float(loss)))


def _considered(run: Path) -> dict[str, Any]:
    file = run / FOLDER / CONSIDERED
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _link(run: Path, checkpoint: Path, facts: Mapping[str, Any]) -> None:
    source = weights(checkpoint)
    if not (source / "config.json").is_file():
        raise RunFolderError(
            f"selection.checkpoint=best found no weights in {source}",
            "checkpoints on storage that all nodes share, or selection.checkpoint=last",
        )
    target = run / FOLDER / checkpoint.name
    if target.exists():  # linked by an attempt that was killed before it could say so
        _remove(target)
    with writing(target), staged_folder(target) as staged:
        shutil.copytree(source, staged / source.name, copy_function=_linked)
        write_json(staged / FACTS, dict(facts))


def _linked(source: str, target: str) -> None:
    """Copy a file, at no cost where the file system has hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    """Remove what is kept: first what says so, for a kill may come in between."""
    with writing(path):
        (path / FACTS).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)


def abandon(run: Path, after: int) -> list[str]:
    """Set aside what is kept beyond a step from which training goes on. Call it under the lock.

    Returns:
        What was renamed to what, one line each.
    """
    folder = run / FOLDER
    notes = []
    for one in kept(run):
        if one.step > after:
            number = 1
            while (aside := folder / f"abandoned_{number}_{one.path.name}").exists():
                number += 1
            with writing(aside):
                one.path.rename(aside)
            notes.append(
                f"best/{one.path.name} lies beyond step {after}; set aside as {aside.name}"
            )
    for leftover in folder.glob(".*.tmp"):  # of an attempt that was killed while linking
        shutil.rmtree(leftover, ignore_errors=True)
    known = _considered(run)
    if known:
        known["values"] = {s: v for s, v in known["values"].items() if int(s) <= after}
        with writing(folder / CONSIDERED):
            write_json(folder / CONSIDERED, known)
    return notes
