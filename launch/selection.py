"""Which checkpoint of a run counts: the newest, or the one with the best held-out metric.

In: a run folder and what validation said of a checkpoint. Out: under `best/`, the weights of the
best checkpoint and of the one that was best before it, hard-linked, so that verl may remove its
own; and the answer to which one that is:

    RUN/best/global_step_N/{huggingface/…, validated.json}

The former best stays because a run killed at step N may go on from before N. Nothing here starts a
process or judges a model: intervals are `eval.best`'s.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from conf.atomic import staged_folder, write_json, writing
from conf.errors import RunFolderError

FOLDER = "best"
FACTS = "validated.json"


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
    found = []
    sign = 1.0
    for file in run.glob(f"{FOLDER}/global_step_*/{FACTS}"):
        facts = json.loads(file.read_text(encoding="utf-8"))
        sign = 1.0 if facts["mode"] == "min" else -1.0
        found.append(Kept(int(facts["step"]), float(facts["value"]), file.parent))
    return sorted(found, key=lambda one: (sign * one.value, one.step))


def keep(run: Path, checkpoint: Path, facts: Mapping[str, Any]) -> bool:
    """Keep the weights of a checkpoint where no earlier one was as good.

    Args:
        run: the run's folder.
        checkpoint: verl's folder of the step, saved whole.
        facts: `step`, `value`, `mode` (min or max) and whatever else validated.json should say.

    Returns:
        Whether it is the best now.

    Raises:
        RunFolderError: the checkpoint holds no weights here, or the folder cannot be written.
    """
    before = kept(run)
    if any(one.step == facts["step"] for one in before):
        return before[0].step == int(facts["step"])
    if before and not _better(facts, before[0].value):
        return False
    source = weights(checkpoint)
    if not (source / "config.json").is_file():
        raise RunFolderError(
            f"selection.checkpoint=best found no weights in {source}",
            "checkpoints on storage that all nodes share, or selection.checkpoint=last",
        )
    target = run / FOLDER / checkpoint.name
    with writing(target), staged_folder(target) as staged:
        shutil.copytree(source, staged / source.name, copy_function=_linked)
        write_json(staged / FACTS, dict(facts))
    for old in before[1:]:
        shutil.rmtree(old.path)
    return True


def _better(facts: Mapping[str, Any], than: float) -> bool:
    value = float(facts["value"])
    return value < than if facts["mode"] == "min" else value > than


def _linked(source: str, target: str) -> None:
    """Copy a file, at no cost where the file system has hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def abandon(run: Path, after: int) -> None:
    """Drop what is kept beyond a step from which training goes on: it is trained again."""
    for one in kept(run):
        if one.step > after:
            with writing(one.path):
                shutil.rmtree(one.path)


def rows_that_choose(config: DictConfig) -> list[int]:
    """Rows of the held-out file by which validation chooses the checkpoint; empty for `last`.

    They are no evidence afterwards. verl draws `data.val_max_samples` rows of the validation file
    with `data.seed` where `data.shuffle` says so, else the first ones (`RLHFDataset`).
    """
    import pyarrow.parquet as parquet

    evaluated = Path(config.data_prep.out) / "test.parquet"
    listed = config.data.val_files
    files = [listed] if isinstance(listed, str) else list(listed or ())
    if config.selection.checkpoint != "best" or [Path(file) for file in files] != [evaluated]:
        return []
    total = int(parquet.ParquetFile(evaluated).metadata.num_rows)
    most = int(config.data.val_max_samples)
    if not 0 < most < total:
        return list(range(total))
    if not config.data.shuffle:
        return list(range(most))
    import numpy as np

    drawn = np.random.default_rng(config.data.seed).choice(total, size=most, replace=False)
    return sorted(int(row) for row in drawn)
