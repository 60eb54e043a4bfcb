"""SFT without Ray: `torchrun`, and verl's own SPMD trainer in each of its processes.

The fallback for a host where Ray cannot start (`hardware.launcher=torchrun`). In: the attempt's
folder with its config.yaml. Out: what `launch.bridge.sft` gives, and failure.json from the rank
that failed first. One host only; several are Ray's business.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf

from conf.errors import ConfigError, PlatformError
from launch.bridge.sft import leave_finished_epoch
from launch.cpu_platform import DEVICE
from launch.cpu_platform.device_check import require_here


def replace_process(config: DictConfig, attempt: Path) -> NoReturn:
    """Become torchrun; the guard then waits for it as for any trainer.

    Raises:
        ConfigError: another launcher than ray or torchrun, or more hosts than one.
        PlatformError: fewer GPUs than ranks.
    """
    if config.hardware.launcher != "torchrun":
        raise ConfigError(
            f"hardware.launcher is {config.hardware.launcher!r}, but must be ray or torchrun",
            "hardware.launcher=ray",
        )
    if config.hardware.nodes != 1:
        raise ConfigError(
            f"torchrun is for one host, hardware.nodes is {config.hardware.nodes}",
            "hardware.launcher=ray",
        )
    ranks = processes(config)
    # torchrun itself would give each of several processes one thread, however many cores there are.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc_per_node={ranks}", "-m", "launch.bridge.sft_torchrun", str(attempt)]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def processes(config: DictConfig) -> int:
    """How many processes: the ranks asked for, of which each has a GPU unless this is a CPU run.

    Raises:
        PlatformError: torch sees fewer GPUs than that.
    """
    ranks = int(config.hardware.ranks)
    if config.hardware.device == DEVICE:
        return ranks
    import torch

    seen = int(torch.cuda.device_count())
    if seen < ranks:
        raise PlatformError(
            f"torch sees {seen} GPU(s) here, hardware.ranks is {ranks}",
            f"hardware.ranks={seen}" if seen else "hardware=cpu",
        )
    return min(seen, ranks)


def train(attempt: Path) -> None:
    """One rank: verl's SFT trainer to its end."""
    config = OmegaConf.load(attempt / "config.yaml")
    assert isinstance(config, DictConfig)
    require_here(config.hardware.device)
    from verl.trainer import sft_trainer

    class Trainer(sft_trainer.SFTTrainer):
        """verl's trainer, resumed as under Ray."""

        def fit(self) -> None:
            leave_finished_epoch(self)
            super().fit()

    sft_trainer.SFTTrainer = Trainer
    sft_trainer.run_sft(config)


if __name__ == "__main__":
    from launch.bridge.__main__ import leave_failure

    sys.exit(leave_failure(Path(sys.argv[1]), train))
