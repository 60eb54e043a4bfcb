"""A part of a run that crashes on a real Ray is named; one that was meant to end is not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from conf.errors import TrainingError
from launch.bridge import parts

pytestmark = pytest.mark.timeout(180)


class Part:
    """An actor that tells its process."""

    def pid(self) -> int:
        return os.getpid()

    def leave(self) -> None:
        import ray

        ray.actor.exit_actor()


def wait(seconds: float) -> str:
    import time

    time.sleep(seconds)
    return "done"


def fail() -> None:
    raise ValueError("the run's own error")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    import ray

    # The workers cannot import this module.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_a_killed_actor_ends_the_wait(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MERCY_S", 0.5)
    for end in ("kill", "exit_actor"):  # meant to end
        meant = ray.remote(Part).remote()
        ray.get(meant.pid.remote())
        ray.kill(meant) if end == "kill" else meant.leave.remote()
    parts.wait_for(ray.remote(wait).remote(3))
    assert parts.crashed() == []
    victim = ray.remote(Part).remote()
    os.kill(ray.get(victim.pid.remote()), signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"crashed in mid run: Part \(process \d+\)"):
        parts.wait_for(ray.remote(wait).remote(60))


def test_the_runs_own_error_comes_first(ray: Any) -> None:
    with pytest.raises(ValueError, match="the run's own error"):
        parts.wait_for(ray.remote(fail).remote())
