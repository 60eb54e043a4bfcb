"""verl's synchronous PPO trainer with our three additions, and how verl comes to use it.

In: verl's configuration. Out: verl's training loop, unchanged but for: a device check once the
workers are up, the log-prob guard at each logged step, and a short poll for finished rollouts.
"""

from __future__ import annotations

from typing import Any

from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from launch.bridge.logprob_guard import GuardedLogger, LogProbGuard
from launch.cpu_platform.device_check import require_device

# verl polls every 2 s, and no configuration key says otherwise: half a step lost on small models.
POLL_SECONDS = 0.1


class GuardedTrainer(PPOTrainerSync):
    """`PPOTrainerSync`, checked."""

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = POLL_SECONDS
        return buffer

    def on_init_end(self) -> None:
        """Before the first weight sync: is everyone where the plan put them?"""
        device = self.config.hardware.device
        require_device(self.actor_rollout_wg.workers, device, "training workers")
        servers = [s for r in self.llm_server_manager.get_replicas() for s in r.servers]
        require_device(servers, device, "rollout servers")
        super().on_init_end()

    def on_train_begin(self) -> None:
        """Put the guard behind verl's logger; validation before training is not judged."""
        super().on_train_begin()
        bounds = self.config.guard
        guard = LogProbGuard(bounds.k3_kl_max, bounds.probs_diff_max, bounds.action)
        # verl makes its logger in fit(), without declaring it.
        inner: Any = vars(self)["logger"]
        self.logger: Any = GuardedLogger(inner, guard)


def install() -> None:
    """Make verl's `trainer.v1.trainer_mode=sync` mean `GuardedTrainer` in this process.

    A new mode name would get verl's asynchronous replay buffer, hence the same name.
    """
    trainer_base.TRAINER_REGISTRY["sync"] = GuardedTrainer
