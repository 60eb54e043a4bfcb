"""What a configuration amounts to: steps, the starting model's folder, the warm start's own.

In: a resolved configuration and the files it names. Out: plain values. It reads Parquet footers and
folder listings, checks nothing (`launch.preflight` does) and starts nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from conf.errors import ConfigError, DataError
from conf.runs import RunFolder
from launch.compose import compose, resolve
from launch.early_stopping import stopped
from launch.resume import checkpoints, find_complete_checkpoint
from launch.run_metrics import read_report
from launch.selection import kept, weights
from launch.selection_rows import choosing_rows

# Nodes and keys of ours that a warm start shares with the job that asked for it, but for OWN.
SHARED = ("run.root", "run.seed", "hardware", "policy", "data_prep", "preflight")
OWN = ("policy.warm_start",)


def planned_steps(config: DictConfig) -> int:
    """The step at which verl's trainer will stop.

    Raises:
        DataError: the training file is missing, unreadable or without rows.
        ConfigError: the batch is larger than the data, so there is no step.
    """
    rows = _rows(config)
    per_epoch = rows // int(config.data.train_batch_size)
    most = per_epoch * int(config.trainer.total_epochs)
    wanted = config.trainer.total_training_steps
    steps = most if wanted is None else min(int(wanted), most)
    if steps < 1:
        raise ConfigError(
            f"{rows} rows make no batch of data.train_batch_size={config.data.train_batch_size}",
            f"data.train_batch_size={rows}",
        )
    return steps


def _rows(config: DictConfig) -> int:
    import pyarrow.parquet as parquet

    listed = config.data.train_files
    files = [listed] if isinstance(listed, str) else list(listed)
    try:
        rows: int = sum(parquet.ParquetFile(file).metadata.num_rows for file in files)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read {files[0]}: {str(error).splitlines()[0]}", "data.train_files=FILE.parquet"
        ) from error
    if rows == 0:
        raise DataError(f"{files[0]} holds no rows", "data.train_files=FILE.parquet with rows")
    limit = int(config.data.train_max_samples)
    return min(rows, limit) if limit > 0 else rows


def is_finished(run: RunFolder, config: DictConfig, steps: int) -> bool:
    """Whether the last step is recorded and, where checkpoints are kept, saved whole.

    SFT logs its last step before it saves, so that metrics alone do not tell.
    """
    steps = last_step(run, config, steps)
    report = read_report(run)
    if report.last_step < steps:
        return False
    if config.trainer.save_freq in (-1, 0):
        return True
    return any(one.step == steps and not one.problem for one in checkpoints(run, report))


def last_step(run: RunFolder, config: DictConfig, planned: int) -> int:
    """The step at which the run ends: the planned one, or that of its early stop."""
    early = stopped(run.path, config.get("early_stopping"))
    return planned if early is None else early.step


def policy_folder(path: Path, chosen: str | None = None) -> Path:
    """The Hugging Face folder that a policy's path means.

    Args:
        path: such a folder or a hub id (returned as it is), or a run's folder: its newest complete
            checkpoint, or its best one.
        chosen: `selection.checkpoint` (last or best); None: as the run's own configuration has it.

    Raises:
        ConfigError: a run's folder without such a checkpoint.
    """
    if not (path / "checkpoints").is_dir():
        return path
    run = RunFolder.open(path)
    if (chosen or (run.config.get("selection") or {}).get("checkpoint")) == "best":
        best = next(iter(kept(path)), None)
        if best is None:
            raise ConfigError(
                f"{path} kept no checkpoint as its best: none was validated at the step at which "
                "it was saved, under selection.checkpoint=best",
                "selection.checkpoint=last"
                if chosen
                else f"policy.path={path}/checkpoints/global_step_N/…/huggingface",
            )
        return best.weights
    found = find_complete_checkpoint(run)
    if found is None:
        raise ConfigError(f"{path} has no complete checkpoint", f"policy.path={path}/…/huggingface")
    return weights(found.path)


def choosing_rows_of(config: DictConfig, held_out: Path) -> list[int]:
    """The rows of the held-out file by which this run's validation chooses a checkpoint."""
    listed = config.data.val_files
    files = [listed] if isinstance(listed, str) else list(listed or ())
    drawn = config.data.get("shuffle", True), config.data.get("seed")
    return choosing_rows(files, held_out, int(config.data.val_max_samples), *drawn)


def with_policy(config: DictConfig, path: str) -> DictConfig:
    """The configuration with another starting model, everywhere verl reads it from."""
    before = str(config.policy.path)
    changed = OmegaConf.create(_replaced(OmegaConf.to_container(config), before, path))
    assert isinstance(changed, DictConfig)
    return changed


def _replaced(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, before, after) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, before, after) for item in value]
    return after if value == before else value


def warm_start_config(config: DictConfig) -> DictConfig:
    """The SFT that warms this job up, resolved: the same recipe, machine, policy, data and checks.

    Args:
        config: of the RL job, resolved. What it was given for the `SHARED` nodes holds there too.
    """
    options = [f"{group}={config[group].name}" for group in ("hardware", "policy")]
    sft = compose("sft", [f"+recipe={config.run.recipe_dir}", *options])
    OmegaConf.set_struct(sft, False)
    for key, value in _shared(config):
        if value is not None or OmegaConf.select(sft, key) is not None:
            OmegaConf.update(sft, key, value, merge=False)
    sft.run.name = "sft" if config.run.name == config.job else f"{config.run.name}-sft"
    return resolve(sft)


def as_prepared(config: DictConfig) -> DictConfig:
    """The configuration with the reward by which the prepared rows were checked.

    `data_prep` has held it against the one asked for: a composition is checked by its first part,
    so that data, and a warm start on them, stay the same under a reward that is shaped anew.
    """
    try:
        text = (Path(config.data_prep.out) / "manifest.json").read_text(encoding="utf-8")
        spec = json.loads(text)["spec"]
    except (OSError, ValueError, KeyError, TypeError):
        return config
    changed = config.copy()
    for key in ("reward", "reward_options"):
        if key in spec and key in changed.data_prep:
            OmegaConf.update(changed, f"data_prep.{key}", spec[key], merge=False)
    return changed


def _shared(config: DictConfig) -> Iterator[tuple[str, Any]]:
    """Dotted keys that a warm start takes over, with their values; mappings are values here."""
    plain: Any = OmegaConf.to_container(config)
    for key in SHARED:
        node, _, leaf = key.partition(".")
        for name, value in plain[node].items():
            if leaf in ("", name) and f"{node}.{name}" not in OWN:
                yield f"{node}.{name}", value


def document(config: DictConfig, steps: int, command: Sequence[str]) -> dict[str, Any]:
    """What plan.json records: the command, the numbers it amounts to."""
    return {
        "job": config.job,
        "command": shlex.join(["python", "-m", *command]),
        "overrides": [word for word in command[1:] if not word.startswith("-")],
        "steps": steps,
        "ranks": int(config.hardware.ranks) * int(config.hardware.nodes),
        "hardware": config.hardware.name,
        "policy": config.policy.path,
        "rows": _rows(config),
        "train_batch_size": int(config.data.train_batch_size),
    }
