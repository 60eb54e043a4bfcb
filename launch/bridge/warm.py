"""Import verl in a few idle Ray workers while the trainer is still starting.

In: a running Ray of our own. Out: worker processes that have verl's modules in memory, which Ray
then takes for the actors that come last (load balancer, agent loop, reward). Each of them would
else import verl for itself, one after the other, when everything before is up. It waits for
nothing, and a failed import shows where the actor itself imports.
"""

from __future__ import annotations

import contextlib

WORKERS = 3
"""The late actors of one rank: load balancer, agent loop worker, reward loop worker."""


def _import_verl() -> None:
    """Run in a worker: what its later actor would import first."""
    with contextlib.suppress(ImportError):
        import verl.experimental.reward_loop
        import verl.trainer.ppo.v1.agent_loop_tq  # noqa: F401


def start() -> None:
    """Begin the imports and return at once."""
    import ray

    task = ray.remote(num_cpus=1, max_retries=0)(_import_verl)
    for _ in range(WORKERS):
        task.remote()
