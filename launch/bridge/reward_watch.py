"""Watches the verdicts of all reward workers, and stops the run when too many are broken.

In: the run's configuration and the handles of verl's reward workers. Out: each step's verdicts, the
file broken_verdicts.jsonl in the run's folder, and a `RewardError` once the breaker has tripped.
The reward's module is reached by the path in verl's tree, never by an import of ours; one that
counts nothing (a function of the user's own) is not watched. Makes no metrics: `reward_metrics`
does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from conf.errors import RewardError
from launch.redact import Redactor

PACKAGE = "pkg://"
FILE_NAME = "broken_verdicts.jsonl"
FIX = (
    "mend the reward or the rows (python -m rewards.doctor +recipe=…); "
    "reward_fn.breaker.share, reward_fn.on_error set the bounds"
)


def drained(_worker: Any, path: str) -> dict[str, list[Any]]:
    """A reward worker's verdicts since the last time, asked inside its own process."""
    from verl.utils.import_utils import load_module

    found: dict[str, list[Any]] = load_module(path).drain()
    return found


class RewardWatch:
    """The trainer's view of the verdicts.

    Args:
        config: the run's whole configuration.
        workers: Ray handles of verl's reward workers.
    """

    def __init__(self, config: DictConfig, workers: Sequence[Any]) -> None:
        """Load the reward's module and its group reward, where it has them."""
        from verl.utils.import_utils import load_module

        node = config.reward_fn
        self.workers = list(workers)
        self.file = Path(config.run.dir) / FILE_NAME
        self.path = str(config.reward.custom_reward_function.path or "")
        entry: Any = load_module(self.path) if self.path.startswith(PACKAGE) else None
        self.breaker: Any = None
        self.group: Any = None
        if hasattr(entry, "drain") and hasattr(entry, "Breaker"):
            self.breaker = entry.Breaker(node.breaker.share, node.breaker.window, node.on_error)
        if node.group.name is not None:
            options = OmegaConf.to_container(node.group.options, resolve=True)
            if not hasattr(entry, "load_group"):
                raise RewardError(
                    f"reward_fn.group.name={node.group.name}, but {self.path} loads no group "
                    "rewards",
                    fix="reward.custom_reward_function.path=pkg://rewards.verl_entry",
                )
            self.group = entry.load_group(node.group.name, options)
        self.facts: set[str] = set()
        self._fault: str | None = None

    def collect(self, step: int) -> list[tuple[Any, ...]]:
        """All workers' verdicts since the last call, counted; samples of broken ones are kept."""
        if self.breaker is None:
            return []
        import ray

        handed = ray.get([w.__ray_call__.remote(drained, self.path) for w in self.workers])
        events = [tuple(event) for one in handed for event in one["events"]]
        samples = [sample for one in handed for sample in one["samples"]]
        self.facts |= {str(fact) for one in handed for fact in one["facts"]}
        self._keep(step, samples)
        self._fault = self.breaker.add(events, samples) or self._fault
        return events

    def check(self, step: int) -> None:
        """Stop a run whose verifier is broken.

        Raises:
            RewardError: the breaker has tripped.
        """
        if self._fault:
            raise self._error(step, self._fault)

    @contextmanager
    def blames(self, step: int) -> Iterator[None]:
        """Say so when what fails inside fails for want of verdicts: verl knows only of no data."""
        try:
            yield
        except Exception as error:
            if isinstance(error, RewardError) or self.breaker is None:
                raise
            events = self.collect(step)
            broken = sum(str(event[1]).endswith("_error") for event in events)
            if self._fault is None and 2 * broken > len(events):
                self._fault = f"nothing to train on: {self.breaker.failed_step()}"
            if self._fault is None:
                raise
            raise self._error(step, self._fault) from error

    def _error(self, step: int, why: str) -> RewardError:
        return RewardError(f"step {step}: {why}; samples in {self.file}", FIX)

    def _keep(self, step: int, samples: Sequence[dict[str, Any]]) -> None:
        if not samples:
            return
        clean = Redactor(os.environ).text  # model text and error messages go past the log here
        with self.file.open("a", encoding="utf-8") as file:
            for sample in samples:
                file.write(clean(json.dumps({"step": step, **sample}, ensure_ascii=False)) + "\n")
