"""`hardware=auto` on a cluster: what its nodes have decides, not the host of the command.

The cluster's answer is made up, as none with GPUs can run here; a real one without is asked in
`e2e_cpu/test_preflight_cluster.py`.
"""

from __future__ import annotations

import pytest

from launch import hardware
from launch.compose import compose
from launch.preflight import cluster
from launch.preflight.cluster import Asked, ClusterInfo, NodeInfo


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Asked]:
    """By address, what a cluster says."""
    found: dict[str, Asked] = {}
    monkeypatch.setattr(cluster, "ask_cluster", lambda address: found[address])
    monkeypatch.setattr(hardware.shutil, "which", lambda name: None)  # a host without GPUs
    hardware._of_cluster.cache_clear()
    return found


def said(*nodes: tuple[float, bool]) -> Asked:
    return Asked(
        ClusterInfo(
            "h:1", tuple(NodeInfo(f"n{i}", 32, n, real) for i, (n, real) in enumerate(nodes))
        )
    )


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([(8, True), (8, True)], ["hardware=gpu8", "hardware.nodes=2"]),
        ([(4, True), (0, False)], ["hardware=gpu4"]),  # a head without GPUs
        ([(3, True)], ["hardware=gpu", "hardware.ranks=3"]),
        ([(8, True), (4, True)], ["hardware=gpu8"]),  # a run's nodes have equal ranks
        ([(2, False), (2, False)], ["hardware=cpu"]),  # `ray start --num-gpus` and no device
    ],
)
def test_the_nodes_devices_decide(
    answers: dict[str, Asked], nodes: list[tuple[float, bool]], expected: list[str]
) -> None:
    answers["h:1"] = said(*nodes)
    assert hardware.detect("h:1").overrides({}) == expected


def test_it_reaches_the_composed_tree_and_leaves_the_users_numbers(
    answers: dict[str, Asked],
) -> None:
    answers["h:1"] = said((8, True), (8, True))
    config = compose("grpo", ["+recipe=gsm8k", "hardware.ray_address=h:1", "hardware.nodes=1"])
    assert (config.hardware.name, config.hardware.ranks, config.hardware.nodes) == ("gpu8", 8, 1)


def test_a_silent_cluster_leaves_it_to_this_host(answers: dict[str, Asked]) -> None:
    answers["h:1"] = Asked(problem="it did not let this host join within 12 s")
    choice = hardware.detect("h:1")
    assert choice.overrides({}) == ["hardware=cpu"]
    assert "the Ray at h:1: it did not let this host join" in choice.reason
