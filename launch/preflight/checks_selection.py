"""Which checkpoint counts, and when SFT ends: that validation can decide it, on rows of its own.

In: `Settings` and the rows of the held-out file. Out: lines. A choice needs validations at steps
that are saved; an evaluation of the chosen one needs rows that did not choose it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from launch.preflight.checks_steps import EACH_EPOCH
from launch.preflight.lines import Line, failed, passed
from launch.preflight.settings import Settings

NAME = "selection"
CHECKPOINT = "selection.checkpoint"
PATIENCE = "early_stopping.patience"
TEST, SAVE = "trainer.test_freq", "trainer.save_freq"
LAST = f"{CHECKPOINT}=last"


def check_selection(settings: Settings, val_rows: int | None) -> list[Line]:
    """Rules on `selection` and `early_stopping`.

    Args:
        settings: the composed configuration.
        val_rows: rows of the validation files; None: not known.

    Raises:
        ConfigError: a patience that is no whole number of at least 1.
    """
    lines = _patience(settings)
    chosen = settings[CHECKPOINT]
    if chosen not in ("last", "best"):
        ways = (LAST, f"{CHECKPOINT}=best")
        lines.append(failed(NAME, f"{CHECKPOINT}={chosen}", "last or best", *ways))
    if chosen == "best":
        lines += [*_saved(settings), *_own_rows(settings, val_rows)]
    return lines or [passed(NAME, f"{CHECKPOINT}={chosen}")]


def _patience(settings: Settings) -> list[Line]:
    if not settings.is_sft or settings.optional_whole(PATIENCE) is None:
        return []
    none = f"{PATIENCE}=null"
    lines = []
    if not _often(settings[TEST]) or not settings.optional("data.val_files"):
        got = f"{PATIENCE}={settings[PATIENCE]}, but nothing is validated during training"
        lines.append(failed(NAME, got, "an evaluation loss", f"{TEST}=50", none))
    delta = settings["early_stopping.min_delta"]
    if isinstance(delta, bool) or not isinstance(delta, int | float) or not delta >= 0:
        got = f"early_stopping.min_delta={delta}"
        lines.append(failed(NAME, got, "a number of at least 0", "early_stopping.min_delta=0"))
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


def _own_rows(settings: Settings, val_rows: int | None) -> list[Line]:
    """The evaluation leaves out the rows that chose; some must be left."""
    if settings.is_sft or not settings["evaluation.enable"] or val_rows is None:
        return []
    listed = settings["data.val_files"]
    files = [listed] if isinstance(listed, str) else list(listed or ())
    if [Path(file) for file in files] != [Path(settings["data_prep.out"]) / "test.parquet"]:
        return []
    most = settings.whole("data.val_max_samples")
    if 0 < most < val_rows:
        return []
    return [
        failed(
            NAME,
            f"all {val_rows} held-out rows choose the checkpoint, none is left to evaluate it",
            "rows of their own for the choice and for the evaluation",
            f"data.val_max_samples={max(1, val_rows // 4)}",
            LAST,
            "evaluation.enable=false",
        )
    ]


def _often(frequency: Any) -> bool:
    return frequency == EACH_EPOCH or (isinstance(frequency, int) and frequency > 0)


def _listed(contents: list[str]) -> str:
    return "[" + ",".join(contents) + "]"
