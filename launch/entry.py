"""What the entry points share: the command line, composed by Hydra, becomes a run.

In: a job's name and `sys.argv`. Out: an exit code. Everything wrong with a command line is said
here in one line, before anything heavy is imported. It trains nothing itself: `launch.train` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from omegaconf import DictConfig

from conf.errors import boundary
from launch import hardware
from launch.compose import ROOTS, conf_dir, prepare
from launch.key_check import check_command_line, explain


def main(job: str) -> None:
    """Run a job from the command line: compose → check → hand over.

    Args:
        job: grpo, ppo or sft.
    """
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    with boundary(debug="--debug" in sys.argv):
        _hydra(job, arguments)


def _hydra(job: str, arguments: Sequence[str]) -> None:
    """Give the checked command line to Hydra, which composes and calls the task."""
    rewritten = prepare(job, arguments)
    check_command_line(job, rewritten)
    # Hydra's own handler would print its message and exit; we want the nearest key in it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"launch.{job}", *rewritten]

    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    raised: list[BaseException] = []

    @hydra.main(config_path=str(conf_dir() / ROOTS[job]), config_name=job, version_base="1.3")
    def task(config: DictConfig) -> None:
        from launch.progress import say
        from launch.train import run

        if raised:
            return
        if "hardware" not in {a.partition("=")[0] for a in arguments}:
            reason = hardware.detect(config.hardware.ray_address).reason
            say("hardware", f"{config.hardware.name}: {reason}")
        try:
            run(config)
        except BaseException as error:
            # Past Hydra, which would print a line of its own in front of ours.
            raised.append(error)

    try:
        task()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        # ValueError: Hydra's word for a node that is given a number (data=3).
        raise explain(job, rewritten, error) from error
    if raised:
        raise raised[0]
