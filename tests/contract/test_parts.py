"""A part of a run that crashes on a real Ray is named; one that was meant to end is not.

In a process of its own: Ray settles addresses and tokens once per process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(180)
SCRIPT = '''
import os, signal, time
import ray
from conf.errors import TrainingError
from launch.bridge import parts


class Part:
    """An actor that tells its process."""

    def pid(self):
        return os.getpid()

    def leave(self):
        ray.actor.exit_actor()


def wait(seconds):
    time.sleep(seconds)
    return "done"


def fail():
    raise ValueError("the run's own error")


parts.MERCY_S = 0.5
for attempt in (1, 2, 3):  # Ray gives its own store 30 s, too few for a busy machine
    try:
        ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False)
        break
    except RuntimeError:
        ray.shutdown()
        if attempt == 3:
            raise
for end in ("kill", "exit_actor"):  # meant to end
    meant = ray.remote(Part).remote()
    ray.get(meant.pid.remote())
    ray.kill(meant) if end == "kill" else meant.leave.remote()
parts.wait_for(ray.remote(wait).remote(3))
print("after the meant ends:", parts.crashed())
try:
    parts.wait_for(ray.remote(fail).remote())
except ValueError as error:
    print("its own:", str(error).splitlines()[-1])
victim = ray.remote(Part).remote()
pid = ray.get(victim.pid.remote())
os.kill(pid, signal.SIGKILL)
try:
    parts.wait_for(ray.remote(wait).remote(60))
except TrainingError as error:
    print(f"victim {pid}:", error)
ray.shutdown()
'''


@pytest.fixture(scope="module")
def said(repo: Path) -> str:
    """What the script prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**kept, "PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_killed_actor_ends_the_wait(said: str) -> None:
    assert "after the meant ends: []" in said
    pid = re.findall(r"victim (\d+):", said)[0]
    assert f"crashed in mid run: Part (process {pid})" in said


def test_the_runs_own_error_comes_first(said: str) -> None:
    assert "its own: ValueError: the run's own error" in said
