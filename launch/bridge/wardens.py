"""A warden on each node of a cluster that a run has joined.

In: an initialised Ray client and the run's cookie. Out: on each live node an actor, which Ray ends
with the run, and the warden process that waits for just that (`launch.warden`). A node that joins
the cluster later has none.
"""

from __future__ import annotations

from typing import Any

START_S = 120.0


class Post:
    """The actor whose end is the run's end on its node."""

    def __init__(self, cookie: str) -> None:
        """Start the warden of this node."""
        from launch.warden import start

        start(cookie)

    def ready(self) -> bool:
        """Answer once the warden has been started."""
        return True


def post(cookie: str) -> list[Any]:
    """Start the wardens of all live nodes.

    Returns:
        The actors' handles; the wardens act when the last reference to their actor is gone.

    Raises:
        ray.exceptions.RayError: a node does not start one.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(num_cpus=0)(Post)
    posts = [
        actor.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(cookie)
        for node in ray.nodes()
        if node["Alive"]
    ]
    ray.get([one.ready.remote() for one in posts], timeout=START_S)
    return posts
