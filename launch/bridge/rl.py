"""Hand a GRPO or PPO configuration to verl's `TaskRunnerV1` on a running Ray.

In: the resolved configuration. Out: verl has trained, or its exception. verl's own `run_ppo` would
import torch and verl into this process first (8 s); the driver needs neither, the actor does.
"""

from __future__ import annotations

import os
from typing import Any

from omegaconf import DictConfig

from launch.bridge.parts import wait_for
from launch.cpu_platform.device_check import require_here


class Runner:
    """Ray actor that becomes verl's task runner, in its own process."""

    def run(self, config: DictConfig) -> None:
        """Validate as verl does, install our trainer, train."""
        require_here(config.hardware.device)
        from verl.trainer.main_ppo import TaskRunnerV1
        from verl.trainer.ppo.utils import need_critic, need_reference_policy
        from verl.utils.config import validate_config

        from launch.bridge.trainer import install

        validate_config(
            config=config,
            use_reference_policy=need_reference_policy(config),
            use_critic=need_critic(config),
        )
        install()
        plain = TaskRunnerV1.__ray_metadata__.modified_class
        plain().run(config)


def train(config: DictConfig) -> None:
    """Run verl's RL trainer to its end."""
    import ray

    runner: Any = ray.remote(num_cpus=1)(Runner).remote()
    wait_for(runner.run.remote(config))


def determinism(config: DictConfig) -> dict[str, str]:
    """The variables that verl's `run_ppo` derives from the configuration before Ray starts."""
    rollout = config.actor_rollout_ref.rollout
    values = {"TRANSFER_QUEUE_ENABLE": "1"}
    if rollout.full_determinism:
        values |= {"VERL_FULL_DETERMINISM": "1", "VLLM_BATCH_INVARIANT": "1"}
        values["PYTHONHASHSEED"] = str(rollout.seed)
    if config.hardware.device != "cpu":
        values["NCCL_DEBUG"] = os.environ.get("NCCL_DEBUG", "WARN")
    return values
