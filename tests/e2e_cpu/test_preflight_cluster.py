"""A real Ray head on loopback, asked as the preflight asks a cluster that a run would join."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.preflight.cluster import ask_cluster

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import sys, ray
from launch.bridge.ray_session import _init  # again where the machine was too busy
_init(dict(num_cpus=6, num_gpus=2, include_dashboard=False, logging_level="critical"))
print("ADDRESS", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()  # until the test closes it
ray.shutdown()
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose Ray makes and finds its own token, away from the user's."""
    return {**os.environ, "HOME": str(tmp_path), "RAY_AUTH_MODE": "token"}


@pytest.fixture
def head(home: dict[str, str]) -> Iterator[str]:
    """The address of a Ray that this test started and that ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=home | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None and process.stdout is not None
    yield next(line.split()[1] for line in process.stdout if line.startswith("ADDRESS"))
    process.stdin.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.timeout(240)
def test_cluster_tells_its_resources_to_those_it_lets_in(
    head: str, home: dict[str, str], tmp_path: Path
) -> None:
    found = ask_cluster(head, home, seconds=60).info
    assert found is not None
    assert (found.address, len(found.nodes)) == (head, 1)
    assert (found.cpus, found.gpus, found.free_cpus, found.free_gpus) == (6, 2, 6, 2)
    assert found.nodes[0].devices == 0  # its two GPUs are a number that `ray.init` was given
    words = ["+recipe=arithmetic", f"hardware.ray_address={head}", "--cfg", "job"]
    composed = subprocess.run(
        [sys.executable, "-m", "launch.grpo", *words],
        env=home | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "name: cpu" in composed.stdout  # hardware=auto looked at the cluster
    stranger = {**home, "HOME": str(tmp_path / "nobody"), "RAY_AUTH_MODE": "disabled"}
    refused = ask_cluster(head, stranger, seconds=60)
    assert refused.info is None and refused.refused
    assert refused.problem == "it wants a token, or another one than ours"
