"""The log-prob check: stop, or warn, when rollout and training disagree about the same tokens.

In: each step's metrics as the trainer logs them, and the `guard` node. Out: nothing, a warning on
stderr, or a `GuardError`. vLLM's log-probs and the trainer's come from the same weights; past their
precision they differ only when the weight sync is broken, and a run then trains on noise.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from conf.errors import GuardError

# Not rollout_corr/kl: it is a signed mean, in which errors cancel.
K3 = "rollout_corr/k3_kl"
MAX_DIFF = "training/rollout_probs_diff_max"


class LogProbGuard:
    """Holds two bounds and judges one step at a time.

    Args:
        k3_kl_max: bound of the mean k3 estimate of KL(rollout‖training), nats a token.
        probs_diff_max: bound of the largest absolute difference of a sampled token's probability.
        action: `stop` raises, `warn` prints.
    """

    def __init__(self, k3_kl_max: float, probs_diff_max: float, action: str) -> None:
        """Keep the bounds."""
        self.bounds = {K3: float(k3_kl_max), MAX_DIFF: float(probs_diff_max)}
        self.action = action

    def check(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Judge one training step's metrics.

        Raises:
            GuardError: under `stop`, when a metric is missing, not finite or past its bound.
        """
        for name, bound in self.bounds.items():
            value = metrics.get(name)
            if value is None:
                self._act(
                    f"step {step}: {name} is missing, so the weight sync is unchecked",
                    "actor_rollout_ref.rollout.calculate_log_probs=true and no bypass_mode",
                )
            elif not math.isfinite(value) or value > bound:
                self._act(
                    f"step {step}: {name} is {value:.3g}, the bound is {bound:.3g}: rollout and "
                    "training disagree about the same tokens, the weight sync is suspect",
                    "guard.action=warn goes on; guard.k3_kl_max, guard.probs_diff_max set bounds",
                )

    def _act(self, message: str, fix: str) -> None:
        if self.action == "stop":
            raise GuardError(message, fix)
        print(f"warning: {message} → {fix}", file=sys.stderr, flush=True)


class GuardedLogger:
    """verl's metrics logger with the guard behind it: a step is recorded first, judged then."""

    def __init__(self, inner: Any, guard: LogProbGuard) -> None:
        """Wrap verl's `Tracking`."""
        self._inner = inner
        self._guard = guard

    def log(self, data: Mapping[str, Any], step: int, **kwargs: Any) -> None:
        """Record, then judge."""
        self._inner.log(data=data, step=step, **kwargs)
        self._guard.check(step, data)

    def __getattr__(self, name: str) -> Any:
        """Everything else is verl's."""
        return getattr(self._inner, name)
