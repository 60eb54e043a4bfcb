"""Hand an SFT configuration to verl's Ray SFT trainer on a running Ray.

In: the resolved configuration. Out: verl has trained to its last step or to an early stop, or its
exception.
`verl.trainer.sft_trainer_ray.run_sft` calls a bare `ray.init()`; we start Ray first and
take its trainer class.
"""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from launch.bridge.sft_validation import LossWatch, StoppedEarlyError, watched
from launch.cpu_platform.device_check import require_device, require_here


def train(config: DictConfig) -> None:
    """Run verl's SFT trainer to its end."""
    require_here(config.hardware.device)
    from verl.trainer import sft_trainer_ray

    class Trainer(sft_trainer_ray.SFTTrainer):  # type: ignore[misc]
        """verl's trainer with the device checked, `data.num_workers` and our stops honoured."""

        def _build_engine(self) -> Any:
            super()._build_engine()
            workers = self.training_client.workers
            require_device(workers, self.config.hardware.device, "training workers")

        def fit(self) -> None:
            leave_finished_epoch(self)
            watch = LossWatch(self.config, self.resume_global_step)
            with watched(self, sft_trainer_ray, watch):
                try:
                    watch.check()
                    super().fit()
                except StoppedEarlyError:
                    watch.stop(self.ckpt_handler.save_checkpoint, self.total_training_steps)

        def _build_dataloader(self) -> None:
            super()._build_dataloader()
            # verl builds both loaders with 8 processes whatever data.num_workers says.
            for loader in (self.train_dataloader, self.val_dataloader):
                if loader is not None:
                    loader.num_workers = self.config.data.num_workers

    Trainer(config=config).fit()


def leave_finished_epoch(trainer: Any) -> None:
    """Let a trainer resumed from an epoch's last step begin the next epoch.

    verl saves the loader's state before the loop over an epoch can end. Resumed there, the loader
    would give nothing: the next epoch would be skipped, and a run whose next epoch is its last
    would exit 0 untrained (verl#7401).
    """
    if trainer.resume_global_step % trainer.steps_per_epoch == 0:
        trainer.train_dataloader.next_iter_state = None
