"""Where a run goes on: the newest checkpoint that is whole and whose step is recorded.

In: a run folder under its lock. Out: a `ResumePoint`; newer, incomplete checkpoints set aside
(renamed, never deleted), and verl's tracker file in agreement, so that verl's own
`resume_mode=auto` loads exactly this checkpoint. It loads no tensor: a shard counts as whole when
its zip directory, which torch writes last, is there.

verl's order within a step (0.9.1): RL saves step N, writes the tracker, then logs N; SFT logs N,
then saves and writes the tracker. So a checkpoint newer than the tracker was cut off, and an RL
checkpoint without its step's metrics would leave a gap for ever.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.atomic import write_text, writing
from conf.runs import RunFolder
from launch.run_metrics import MergeReport, check_metrics, merge_metrics, read_report

__all__ = ["Checkpoint", "MergeReport", "ResumePoint", "check_metrics", "checkpoints",
           "find_complete_checkpoint", "merge_metrics", "newest_complete_checkpoint"]  # fmt: skip

TRACKER = "latest_checkpointed_iteration.txt"
_FOLDER = re.compile(r"global_step_(\d+)")
_SHARDS = {"model": "model", "optimizer": "optim", "extra": "extra_state"}
_VERL_CONTENTS = ("model", "optimizer", "extra")  # verl's own default, used where nothing is set


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk; `problem` says why it cannot be gone on from, empty if it can."""

    step: int
    path: Path
    problem: str = ""


@dataclass(frozen=True)
class ResumePoint:
    """Where the next attempt starts: `step` 0 and no path mean from the beginning."""

    step: int = 0
    path: Path | None = None
    notes: list[str] = field(default_factory=list)  # what was set aside and why, one line each


def newest_complete_checkpoint(run: RunFolder) -> ResumePoint:
    """Find where to go on, and put everything newer out of verl's way. Call it under `run.lock`.

    Without the lock it could set aside what a living trainer is just saving; to look only, use
    `find_complete_checkpoint`. Merges the metrics first. Afterwards verl's tracker names the
    returned checkpoint, or is gone.

    Raises:
        RunFolderError: the folder cannot be written.
    """
    report = merge_metrics(run)
    notes = list(report.torn)
    tracker = run.checkpoints_dir / TRACKER
    for checkpoint in sorted(checkpoints(run, report), key=lambda one: -one.step):
        if not checkpoint.problem:
            if _read_tracker(tracker) != checkpoint.step:
                write_text(tracker, str(checkpoint.step))
            return ResumePoint(checkpoint.step, checkpoint.path, notes)
        aside = _set_aside(checkpoint.path)
        notes.append(f"{checkpoint.path.name}: {checkpoint.problem}; set aside as {aside.name}")
    with writing(tracker):
        tracker.unlink(missing_ok=True)
    if notes:
        notes.append("no complete checkpoint: training starts from the beginning")
    return ResumePoint(notes=notes)


def find_complete_checkpoint(run: RunFolder) -> Checkpoint | None:
    """The newest complete checkpoint, None if there is none; reads only, needs no lock."""
    whole = [one for one in checkpoints(run, read_report(run)) if not one.problem]
    return whole[-1] if whole else None


def checkpoints(run: RunFolder, report: MergeReport) -> list[Checkpoint]:
    """Every checkpoint of the run, judged; reads only. `report` is that of `merge_metrics`."""
    if not run.checkpoints_dir.is_dir():
        return []
    tracked = _read_tracker(run.checkpoints_dir / TRACKER)
    trained = set(report.trained)
    found = []
    for path in run.checkpoints_dir.iterdir():
        match = _FOLDER.fullmatch(path.name)
        if match is None or not path.is_dir():
            continue
        step = int(match[1])
        problem = next(_problems(path, run.config), "")
        if not problem and tracked is not None and step > tracked:
            problem = f"verl had not finished saving it (its tracker says {tracked})"
        if not problem and step not in trained:
            problem = f"the metrics hold no training record of step {step}"
        found.append(Checkpoint(step, path, problem))
    return sorted(found, key=lambda one: one.step)


def _problems(folder: Path, config: Mapping[str, Any]) -> Iterator[str]:
    """What is missing in a checkpoint folder; nothing when it is whole."""
    if config["job"] == "sft":
        yield from _part_problems(folder, _contents(config, "checkpoint"))
        yield from _file_problem(folder / "data_0.pt")
        return
    actor = _contents(config, "actor_rollout_ref", "actor", "checkpoint")
    yield from _part_problems(folder / "actor", actor)
    if config["job"] == "ppo" or (folder / "critic").exists():
        yield from _part_problems(folder / "critic", _contents(config, "critic", "checkpoint"))
    yield from _file_problem(folder / "data.pt")


def _contents(config: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """The `save_contents` under a node of verl's tree."""
    node: Any = config
    for key in (*keys, "save_contents"):
        if not isinstance(node, Mapping) or key not in node:
            return _VERL_CONTENTS
        node = node[key]
    return tuple(node) if node is not None else _VERL_CONTENTS


def _part_problems(part: Path, contents: tuple[str, ...]) -> Iterator[str]:
    """One FSDP model: shards of every rank, the Hugging Face configuration, fsdp_config.json."""
    name = f"{part.parent.name}/{part.name}"
    try:
        text = (part / "fsdp_config.json").read_text(encoding="utf-8")
        ranks = int(json.loads(text)["world_size"])
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{name}/fsdp_config.json is missing or cut off"
        return
    for content, prefix in _SHARDS.items():
        if content in contents:
            for rank in range(ranks):
                yield from _file_problem(part / f"{prefix}_world_size_{ranks}_rank_{rank}.pt")
    if not (part / "huggingface" / "config.json").is_file():
        yield f"{name}/huggingface/config.json is missing"
    if "hf_model" in contents:
        yield from _hf_problems(part / "huggingface")


def _hf_problems(folder: Path) -> Iterator[str]:
    """The whole model in Hugging Face's format: every file that the index names, or the one."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
            yield f"{folder.parent.name}/huggingface holds no weights"
        return
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, KeyError, AttributeError):
        yield f"{index.name} is cut off"
        return
    for name in sorted(names):
        if not (folder / name).is_file():
            yield f"huggingface/{name} is missing"


def _file_problem(path: Path) -> Iterator[str]:
    if not path.is_file():
        yield f"{path.name} is missing"
    elif not zipfile.is_zipfile(path):
        yield f"{path.name} is cut off ({path.stat().st_size} bytes)"


def _read_tracker(path: Path) -> int | None:
    """The step that verl's tracker names; None when it is missing or was cut off."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _set_aside(path: Path) -> Path:
    number = 1
    while True:
        suffix = ".incomplete" if number == 1 else f".incomplete-{number}"
        aside = path.with_name(path.name + suffix)
        if not aside.exists():
            break
        number += 1
    with writing(aside):
        path.rename(aside)
    return aside
