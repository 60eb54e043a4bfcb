"""What is kept of the checkpoints must let a killed run go on."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from launch.compose import compose, resolve
from launch.preflight.checks_host import check_resume
from launch.preflight.lines import Status
from launch.preflight.settings import Settings


@pytest.mark.parametrize(
    ("job", "override", "status", "fix"),
    [
        ("grpo", "trainer.save_freq=20", Status.PASS, ()),
        ("grpo", "trainer.max_actor_ckpt_to_keep=1", Status.FAILURE,
         ("trainer.max_actor_ckpt_to_keep=2",)),
        ("ppo", "trainer.max_critic_ckpt_to_keep=1", Status.FAILURE,
         ("trainer.max_critic_ckpt_to_keep=2",)),
        ("sft", "trainer.max_ckpt_to_keep=1", Status.FAILURE, ("trainer.max_ckpt_to_keep=2",)),
        ("grpo", "actor_rollout_ref.actor.checkpoint.async_save=true", Status.FAILURE,
         ("actor_rollout_ref.actor.checkpoint.async_save=false",)),
    ],
)  # fmt: skip
def test_one_checkpoint_is_none(
    job: str, override: str, status: Status, fix: tuple[str, ...]
) -> None:
    config = resolve(compose(job, ["+recipe=arithmetic", "hardware=cpu"]))
    key, value = override.split("=")
    OmegaConf.update(config, key, OmegaConf.create(f"x: {value}").x)
    (line,) = check_resume(Settings.of(config))
    assert line.status is status and tuple(line.fixes) == fix
