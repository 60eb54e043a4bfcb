"""Ray before it starts: the sum of logical CPUs, addresses and ports, each side of a bound."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launch.preflight import ClusterInfo, Line, NodeInfo, Settings, Status
from launch.preflight.checks_ray import (
    check_joining,
    check_ports,
    check_ray_address,
    check_ray_cpus,
    cpu_need,
    free_port,
    host_cpu_count,
)
from launch.preflight.cluster import Asked, ask_cluster

Build = Callable[..., Settings]
CPUS = "hardware.ray_cpus"
UNITS = "transfer_queue.backend.SimpleStorage.num_data_storage_units"
ADDRESS = "hardware.ray_address"


def one(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def test_sum_of_an_rl_run(settings: Build) -> None:
    # 3 a training rank, 1 TransferQueue controller, 1 a storage unit. Held against a real Ray with
    # the real TransferQueue: 5 CPUs run with 1 rank and 1 unit, 4 wait for ever.
    assert cpu_need(settings("grpo", f"{UNITS}=1")).total == 5
    assert cpu_need(settings("grpo", f"{UNITS}=8")).total == 12
    assert cpu_need(settings("ppo", "hardware.ranks=2", f"{UNITS}=1")).total == 8
    need = cpu_need(settings("grpo", "hardware.ranks=8", "hardware.nodes=2", f"{UNITS}=1"))
    assert need.total == 3 * 16 + 2
    assert need.terms[0] == "3 × 16 training ranks"


def test_sum_of_an_sft_run(settings: Build) -> None:
    # sft_trainer_ray's pool reserves 10 a rank, and nothing else.
    assert cpu_need(settings("sft")).total == 10
    assert cpu_need(settings("sft", "hardware.ranks=2")).total == 20


def test_remote_rewards_and_other_pools_add_to_the_sum(settings: Build) -> None:
    base = ["grpo", f"{UNITS}=1"]
    remote = ["reward.reward_manager.name=remote", "reward.num_workers=4"]
    assert cpu_need(settings(*base, *remote)).total == 5 + 16
    teacher = ["distillation.enabled=true", "distillation.nnodes=1"]
    teacher += ["distillation.n_gpus_per_node=2"]
    assert cpu_need(settings(*base, *teacher)).total == 5 + 6
    rollout = "actor_rollout_ref.rollout"
    split = ["trainer.v1.trainer_mode=separate_async", f"{rollout}.nnodes=1"]
    split += [f"{rollout}.n_gpus_per_node=2"]
    assert cpu_need(settings(*base, *split)).total == 5 + 4
    other = "transfer_queue.backend.storage_backend=MooncakeStore"
    assert cpu_need(settings(*base, other)).total == 4


@pytest.mark.parametrize(("cpus", "status"), [(12, Status.PASS), (11, Status.FAILURE)])
def test_too_few_would_wait_for_ever(settings: Build, cpus: int, status: Status) -> None:
    line = one(check_ray_cpus(settings("grpo", f"{CPUS}={cpus}", f"{UNITS}=8"), None, 2))
    assert line.status is status
    assert "12 = 3 × 1 training rank + 1 TransferQueue controller" in f"{line.got} {line.need}"
    if status is Status.FAILURE:
        assert "wait for ever" in line.got
        assert line.fixes == (f"{CPUS}=12", f"{UNITS}=1")


def test_fewer_storage_units_are_offered_only_if_they_suffice(settings: Build) -> None:
    line = one(check_ray_cpus(settings("grpo", f"{CPUS}=4", f"{UNITS}=8"), None, 2))
    assert line.fixes == (f"{CPUS}=12",)


def test_null_means_the_cores_of_this_host(settings: Build) -> None:
    config = settings("sft", f"{CPUS}=null")
    assert one(check_ray_cpus(config, None, 10)).status is Status.PASS
    line = one(check_ray_cpus(config, None, 2))
    assert "this host's 2 cores" in line.got
    assert line.fixes == (f"{CPUS}=10",)


def test_cluster_is_held_against_the_sum(settings: Build) -> None:
    config = settings("grpo", f"{ADDRESS}=h:6379", "hardware.ranks=2", "hardware.nodes=2")

    def asked(*cpus: float, gpus: float = 2, free: float | None = None) -> Line:
        nodes = tuple(NodeInfo(f"n{i}", count, gpus) for i, count in enumerate(cpus))
        return one(check_ray_cpus(config, ClusterInfo("h:6379", nodes, free_cpus=free), 2))

    # 3 × 4 ranks + 1 + 1 = 14 in all, 6 on each of two nodes.
    assert asked(7, 7).status is Status.PASS
    assert asked(7, 6).status is Status.FAILURE
    assert asked(16, 5).fixes == ("hardware.nodes=1",)
    assert asked(8, 8, free=13).status is Status.FAILURE
    assert "no GPU" not in asked(8, 8, free=14).got
    assert one(check_ray_cpus(config, None, 2)).status is Status.WARNING


def test_host_cores_stop_at_the_containers_limit(tmp_path: Path) -> None:
    import os

    limit = tmp_path / "cpu.max"
    limit.write_text("100000 100000\n")
    assert host_cpu_count(limit) == 1
    limit.write_text("max 100000\n")
    assert host_cpu_count(limit) == os.cpu_count()
    assert host_cpu_count(tmp_path / "none") == os.cpu_count()


# --- addresses --------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that refuses, held so that nobody else can listen at it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "http://127.0.0.1:{}"])
def test_address_that_answers(settings: Build, listener: int, form: str) -> None:
    config = settings("grpo", f"{ADDRESS}={form.format(listener)}")
    assert one(check_ray_address(config, {})).status is Status.PASS


def test_address_that_does_not_answer(settings: Build, closed: int) -> None:
    config = settings("grpo", f"{ADDRESS}=127.0.0.1:{closed}")
    line = one(check_ray_address(config, {}))
    assert line.status is Status.FAILURE
    assert "does not answer" in line.got
    assert line.fixes[0] == f"{ADDRESS}=null"


@pytest.mark.parametrize("address", ["nonsense", "http://", "h:port", "ftp://h", "a b:1"])
def test_address_that_is_none(settings: Build, address: str) -> None:
    line = one(check_ray_address(settings("grpo", f"{ADDRESS}='{address}'"), {}))
    assert line.status is Status.FAILURE
    assert "HOST:PORT" in line.need


def test_ray_address_of_the_environment_is_joined_too(
    settings: Build, listener: int, closed: int
) -> None:
    line = one(check_ray_address(settings("grpo"), {}))
    assert (line.status, line.got) == (Status.PASS, "a Ray of this run's own")
    there = one(check_ray_address(settings("grpo"), {"RAY_ADDRESS": f"127.0.0.1:{listener}"}))
    assert there.status is Status.PASS and "answers" in there.got
    gone = one(check_ray_address(settings("grpo"), {"RAY_ADDRESS": f"127.0.0.1:{closed}"}))
    assert gone.status is Status.FAILURE
    assert gone.fixes[0] == "unset RAY_ADDRESS"


def test_a_dashboard_and_a_dead_address_tell_no_resources() -> None:
    assert "dashboard" in ask_cluster("http://127.0.0.1:1").problem
    slow = ask_cluster("127.0.0.1:1", {"PATH": ""}, seconds=0.2)
    assert "within 0.2 s" in slow.problem and not slow.refused


def test_a_cluster_that_refuses_stops_the_run(settings: Build) -> None:
    config = settings("grpo", f"{ADDRESS}=h:6379")
    assert check_joining(config, Asked()) == []
    assert one(check_joining(config, Asked(problem="slow"))).status is Status.WARNING
    refused = Asked(problem="it wants a token, or another one than ours", refused=True)
    line = one(check_joining(config, refused))
    assert line.status is Status.FAILURE
    assert line.fixes[0].startswith("RAY_AUTH_MODE=token")


def test_verls_own_number_of_cpus_counts(settings: Build) -> None:
    own = "ray_kwargs.ray_init.num_cpus"
    line = one(check_ray_cpus(settings("grpo", f"{own}=4", f"{UNITS}=1"), None, 2))
    assert line.status is Status.FAILURE
    assert line.fixes == (f"{own}=5",)


def test_fixed_port_must_be_free(settings: Build, listener: int) -> None:
    key = "ray_kwargs.ray_init.dashboard_port"
    line = check_ports(settings("grpo", f"{key}={listener}"))[0]
    assert line.status is Status.FAILURE
    assert line.fixes[0].startswith(f"{key}=")
    free = check_ports(settings("grpo", f"{key}={free_port()}"))
    assert all(line.status is not Status.FAILURE for line in free)
    assert check_ports(settings("grpo", f"{ADDRESS}=h:6379", f"{key}={listener}")) == []
