"""Which checkpoint counts, and when SFT ends: that validation can decide it, on rows of its own.

In: `Settings` and the held-out files. Out: lines. A choice needs validations at steps
that are saved; an evaluation of the chosen one needs rows that did not choose it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from launch.preflight.checks_steps import EACH_EPOCH
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import Settings
from launch.selection_rows import choosing_rows

NAME = "selection"
CHECKPOINT = "selection.checkpoint"
PATIENCE = "early_stopping.patience"
TEST, SAVE = "trainer.test_freq", "trainer.save_freq"
LAST = f"{CHECKPOINT}=last"


def check_selection(settings: Settings) -> list[Line]:
    """Rules on `selection` and `early_stopping`, whose values `conf.contract` has checked."""
    lines = _patience(settings)
    chosen = settings[CHECKPOINT]
    if chosen == "best":
        lines += [*_saved(settings), *_own_rows(settings)]
    return lines or [passed(NAME, f"{CHECKPOINT}={chosen}")]


def _patience(settings: Settings) -> list[Line]:
    if not settings.is_sft or settings[PATIENCE] is None:
        return []
    none = f"{PATIENCE}=null"
    lines = []
    if not _often(settings[TEST]) or not settings.optional("data.val_files"):
        got = f"{PATIENCE}={settings[PATIENCE]}, but nothing is validated during training"
        lines.append(failed(NAME, got, "an evaluation loss", f"{TEST}=50", none))
    if settings["hardware.launcher"] != "ray":
        got = f"{PATIENCE} under hardware.launcher={settings['hardware.launcher']}"
        lines.append(failed(NAME, got, "the trainer on Ray", "hardware.launcher=ray", none))
    return lines


def _saved(settings: Settings) -> list[Line]:
    """A checkpoint with weights must be there when its step is validated."""
    lines = []
    save, test = settings[SAVE], settings[TEST]
    if not _often(save) or not _often(test) or not settings.optional("data.val_files"):
        got = f"{CHECKPOINT}=best with {SAVE}={save} and {TEST}={test}"
        ways = (f"{SAVE}=20 {TEST}=20", LAST)
        lines.append(failed(NAME, got, "checkpoints, and validations at their steps", *ways))
    elif save != test and (EACH_EPOCH in (save, test) or math.lcm(save, test) != save):
        got = f"{SAVE}={save} and {TEST}={test}: not every checkpoint is validated"
        lines.append(failed(NAME, got, f"{SAVE} a multiple of {TEST}", f"{SAVE}={test}", LAST))
    node = "checkpoint" if settings.is_sft else "actor_rollout_ref.actor.checkpoint"
    contents = settings.optional(f"{node}.save_contents") or []
    if "hf_model" not in contents:
        got = f"{node}.save_contents={_listed(contents)}"
        ways = (f"{node}.save_contents={_listed([*contents, 'hf_model'])}", LAST)
        lines.append(failed(NAME, got, "hf_model among them: the best is kept as weights", *ways))
    if settings.is_sft and settings["hardware.launcher"] != "ray":
        got = f"{CHECKPOINT}=best under hardware.launcher={settings['hardware.launcher']}"
        lines.append(failed(NAME, got, "the trainer on Ray", "hardware.launcher=ray", LAST))
    return lines


def _own_rows(settings: Settings) -> list[Line]:
    """The evaluation leaves out the rows that chose; some must be left."""
    from pyarrow.parquet import ParquetFile

    if not settings["evaluation.enable"]:
        return []
    if settings.is_sft:
        got = "val/loss chooses the checkpoint, on questions that the evaluation may ask too"
        need = "data.val_files of other questions than test.parquet's"
        return [warned(NAME, got, need, LAST, "evaluation.enable=false")]
    if settings["data.shuffle"] and settings["data.seed"] is None:
        got = "data.seed=null: which rows choose the checkpoint is not known afterwards"
        return [failed(NAME, got, "a seed", "data.seed=1", LAST)]
    listed = settings["data.val_files"]
    files = [listed] if isinstance(listed, str) else list(listed or ())
    held_out = Path(settings["data_prep.out"]) / "test.parquet"
    most = settings.whole("data.val_max_samples")
    try:
        rows = ParquetFile(held_out).metadata.num_rows
        choosing = choosing_rows(
            files, held_out, most, bool(settings["data.shuffle"]), settings["data.seed"]
        )
    except (OSError, ValueError):
        return []  # the check on the files says so
    if len(choosing) < rows:
        return []
    return [
        failed(
            NAME,
            f"all {rows} held-out rows choose the checkpoint, none is left to evaluate it",
            "rows of their own for the choice and for the evaluation",
            f"data.val_max_samples={max(1, rows // 4)}",
            LAST,
            "evaluation.enable=false",
        )
    ]


def _often(frequency: Any) -> bool:
    return frequency == EACH_EPOCH or (isinstance(frequency, int) and frequency > 0)


def _listed(contents: list[str]) -> str:
    return "[" + ",".join(contents) + "]"
