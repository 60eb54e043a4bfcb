"""verl's synchronous PPO trainer with our additions, and how verl comes to use it.

In: verl's configuration. Out: verl's training loop, unchanged but for: a device check once the
workers are up, the log-prob guard at each logged step, a short poll for finished rollouts; and of
the rewards: their metrics, rewards over whole groups, components for GDPO, dumps that hold the
verdicts, a validation that counts no failed verifier as a wrong answer, and the breaker's stop; and
the best checkpoint is kept.
"""

from __future__ import annotations

from typing import Any

from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from launch.bridge.logprob_guard import GuardedLogger, LogProbGuard
from launch.bridge.reward_metrics import (
    Row,
    final_rows,
    row_metrics,
    verdict_metrics,
    with_verdicts,
)
from launch.bridge.reward_rows import components_for_gdpo, group_scores, read_rows, write_scores
from launch.bridge.reward_watch import RewardWatch
from launch.bridge.selection import Selection
from launch.cpu_platform.device_check import require_device

# verl polls every 2 s, and no configuration key says otherwise: half a step lost on small models.
POLL_SECONDS = 0.1


class GuardedTrainer(PPOTrainerSync):
    """`PPOTrainerSync`, checked, with rewards that one can see."""

    watch: RewardWatch
    selection: Selection
    rows: list[Row]
    verdicts: list[tuple[Any, ...]]

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
        self.watch = RewardWatch(self.config, self.reward_loop_manager.reward_loop_workers)
        self.selection = Selection(self.config)
        self.rows, self.verdicts = [], []
        super().on_init_end()

    def on_train_begin(self) -> None:
        """Put the guard behind verl's logger; validation before training is not judged."""
        super().on_train_begin()
        bounds = self.config.guard
        guard = LogProbGuard(bounds.k3_kl_max, bounds.probs_diff_max, bounds.action)
        # verl makes its logger in fit(), without declaring it.
        inner: Any = vars(self)["logger"]
        self.logger: Any = GuardedLogger(inner, guard)

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, Any]) -> Any:
        """One step; where it fails because every verdict is broken, that is what it says."""
        self.rows, self.verdicts = [], []
        with self.watch.blames(self.global_steps):
            return super().step(metrics, timing_raw)

    def on_sample_end(self) -> None:
        """The rollouts are in: count their verdicts before anything is learnt from them."""
        super().on_sample_end()
        self.verdicts += self.watch.collect(self.global_steps)
        self.watch.check(self.global_steps)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's, after rewards over whole groups, and with the components that GDPO asks for."""
        rows = read_rows(batch)
        if self.watch.group is not None:
            rows = write_scores(batch, rows, group_scores(rows, self.watch.group))
        self.rows += rows
        metrics.update(row_metrics(final_rows(rows)))
        if self.config.algorithm.adv_estimator != "gdpo":
            return super()._compute_advantage(batch, metrics)
        with components_for_gdpo(rows, list(self.config.algorithm.get("gdpo_reward_keys") or [])):
            return super()._compute_advantage(batch, metrics)

    def _compute_metrics(self, batch: Any, metrics: dict[str, Any], *args: Any, **kw: Any) -> None:
        super()._compute_metrics(batch, metrics, *args, **kw)
        metrics.update(verdict_metrics(self.verdicts))
        metrics.update({f"reward/{fact}": 1.0 for fact in self.watch.facts})

    def _validate(self) -> dict[str, float]:
        """verl's, with the rates of its verdicts, and stopped like a step."""
        with self.watch.blames(self.global_steps):
            metrics: dict[str, float] = super()._validate()
        verdicts = self.watch.collect(self.global_steps)
        self.watch.check(self.global_steps)
        self.selection.validated(self.global_steps, metrics)
        return metrics | verdict_metrics(verdicts, "val-aux/reward")

    def _val_metrics_update(
        self, sources: Any, uids: Any, verdicts: Any, turns: Any, **kwargs: Any
    ) -> dict[str, float]:
        """verl's, over the samples that have a verdict: it would count a dropped one as wrong."""
        kwargs["expected_acc_counts"] = None
        self.selection.saw(uids, verdicts)
        metrics: dict[str, float] = super()._val_metrics_update(
            sources, uids, verdicts, turns, **kwargs
        )
        return metrics

    def _dump_generations(self, *args: Any, **kwargs: Any) -> None:
        """verl's, of training with each sample's verdict, as validation's, and without padding."""
        if kwargs["dump_path"] == self.config.trainer.rollout_data_dir:
            kwargs |= with_verdicts(kwargs, self.rows)
        super()._dump_generations(*args, **kwargs)


def install() -> None:
    """Make verl's `trainer.v1.trainer_mode=sync` mean `GuardedTrainer` in this process.

    A new mode name would get verl's asynchronous replay buffer, hence the same name.
    """
    trainer_base.TRAINER_REGISTRY["sync"] = GuardedTrainer
