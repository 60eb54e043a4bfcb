"""GPUs: driver, CUDA_VISIBLE_DEVICES, torch in a child, the cluster, and why they differ."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from launch.preflight import ClusterInfo, Line, NodeInfo, Settings, Status
from launch.preflight.checks_gpu import check_gpus
from launch.preflight.gpus import (
    DriverGpus,
    TorchGpus,
    Visible,
    ask_driver,
    ask_torch,
    parse_listing,
    read_visible,
)

Build = Callable[..., Settings]
LISTING = "".join(
    f"GPU {i}: NVIDIA H100 80GB HBM3 (UUID: GPU-{i}0000000-aaaa-bbbb-cccc-00000000000{i})\n"
    for i in range(8)
)
EIGHT = parse_listing(LISTING)
NONE = DriverGpus(problem="there is no nvidia-smi")
TORCH8 = TorchGpus(8, "2.11.0+cu130", "13.0", ("NVIDIA H100 80GB HBM3",) * 8)
ALL = Visible(None, 8)


def gpu(settings: Build, ranks: int, *changes: str) -> Settings:
    return settings("grpo", "hardware.device=cuda", f"hardware.ranks={ranks}", *changes)


def fake_smi(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


# --- what is there ----------------------------------------------------------------------------


def test_listing_of_the_driver() -> None:
    assert EIGHT.count == 8 and EIGHT.names[0] == "NVIDIA H100 80GB HBM3"
    sliced = parse_listing(
        LISTING.splitlines()[0] + "\n  MIG 1g.10gb     Device  0: (UUID: MIG-1-2-3)\n"
    )
    assert (sliced.count, sliced.slices) == (1, 1)
    assert "MIG-1-2-3" in sliced.uuids


def test_driver_is_asked_and_may_fail(tmp_path: Path) -> None:
    listing = tmp_path / "listing"
    listing.write_text(LISTING)
    assert ask_driver(fake_smi(tmp_path, f"cat {listing}")).count == 8
    broken = ask_driver(fake_smi(tmp_path, "echo 'NVIDIA-SMI has failed'; exit 9"))
    assert broken.count == 0 and "NVIDIA-SMI has failed" in broken.problem
    assert ask_driver(fake_smi(tmp_path, "exit 0")).problem == "nvidia-smi lists no GPU"
    assert ask_driver(str(tmp_path / "none")).problem == "there is no nvidia-smi"


@pytest.mark.parametrize(
    ("value", "count", "problem"),
    [
        (None, 8, ""),
        ("0", 1, ""),
        ("0,1,7", 3, ""),
        ("", 0, "hides every GPU"),
        ("-1", 0, "hides every GPU"),
        ("0,0", 0, "names GPU 0 twice"),
        ("0,8,1", 1, "names GPU 8, and the driver lists 0 to 7"),
        ("GPU-10000000", 1, ""),
        ("1,GPU-10000000", 0, "names GPU GPU-10000000 twice"),
        ("GPU-ff", 0, "names GPU-ff, which the driver does not list"),
        ("0,one", 1, "has an entry that is neither an index nor a UUID ('one')"),
    ],
)
def test_visible_devices_are_read_as_cuda_does(value: str | None, count: int, problem: str) -> None:
    assert read_visible(value, EIGHT) == Visible(value, count, problem)


def test_torch_answers_from_a_child() -> None:
    # The CPU stack's torch: a real one, whatever this host has.
    found = ask_torch({**os.environ, "CUDA_VISIBLE_DEVICES": ""}, seconds=240)
    assert found.count == 0 and found.torch


def test_torch_that_is_slow_or_broken_is_told(tmp_path: Path) -> None:
    module = tmp_path / "torch.py"
    child = {**os.environ, "PYTHONPATH": str(tmp_path)}
    module.write_text("import time; time.sleep(30)")
    assert "longer than 0.3 s" in ask_torch(child, seconds=0.3).problem
    module.write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
    found = ask_torch(child)
    assert found.count is None and "libcudart.so.13" in found.problem
    module.write_text("import os; os._exit(3)")
    assert ask_torch(child).count is None


# --- what is asked for ------------------------------------------------------------------------


def one(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def test_cpu_needs_none(settings: Build) -> None:
    config = settings("grpo", "hardware.ranks=2")
    line = one(check_gpus(config, NONE, Visible(None, 0), TorchGpus(0, "2.13", ""), None))
    assert line.status is Status.PASS and "2 logical rank(s)" in line.got
    line = one(check_gpus(config, EIGHT, ALL, None, None))
    assert "8 GPU(s) of this host stay unused" in line.got


def test_enough_gpus_pass_with_and_without_torch(settings: Build) -> None:
    for torch in (TORCH8, None):
        line = one(check_gpus(gpu(settings, 8), EIGHT, ALL, torch, None))
        assert line.status is Status.PASS and "8 × NVIDIA H100" in line.got
    line = one(check_gpus(gpu(settings, 6), EIGHT, ALL, TORCH8, None))
    assert "2 unused" in line.got


def test_no_gpu_under_hardware_gpu(settings: Build) -> None:
    torch = TorchGpus(0, "2.13.0+cpu", "")
    line = one(check_gpus(gpu(settings, 1), NONE, Visible(None, 0), torch, None))
    assert line.status is Status.FAILURE
    assert line.got == (
        "no GPU: there is no nvidia-smi, and torch 2.13.0+cpu (a CPU build) sees none"
    )
    assert line.fixes == ("hardware=cpu",)


def test_fewer_than_asked(settings: Build) -> None:
    line = one(check_gpus(gpu(settings, 9), EIGHT, ALL, TORCH8, None))
    assert line.status is Status.FAILURE
    assert line.fixes == ("hardware.ranks=8", "hardware=cpu")
    visible = read_visible("0,1", EIGHT)
    two = TorchGpus(2, "2.11.0+cu130", "13.0")
    line = one(check_gpus(gpu(settings, 4), EIGHT, visible, two, None))
    assert "2 GPU(s) of 8 are visible (CUDA_VISIBLE_DEVICES=0,1)" in line.got
    assert line.fixes[0] == "hardware.ranks=2"


@pytest.mark.parametrize("value", ["", "0,0", "0,9"])
def test_bad_visible_devices(settings: Build, value: str) -> None:
    visible = read_visible(value, EIGHT)
    torch = TorchGpus(visible.count, "2.11.0+cu130", "13.0")
    lines = check_gpus(gpu(settings, 2), EIGHT, visible, torch, None)
    assert lines[0].status is Status.FAILURE
    assert f"CUDA_VISIBLE_DEVICES={value!r}" in lines[0].got
    assert lines[0].fixes[0] == "unset CUDA_VISIBLE_DEVICES"
    assert len(lines) == 1


def test_cpu_build_of_torch_beside_a_driver(settings: Build) -> None:
    torch = TorchGpus(0, "2.13.0+cpu", "")
    line = one(check_gpus(gpu(settings, 8), EIGHT, ALL, torch, None))
    assert line.got.endswith(
        "the driver shows 8 GPU(s), torch 2.13.0+cpu sees 0: it is a CPU build"
    )
    assert line.fixes[0] == "make setup HARDWARE=gpu"


def test_driver_older_than_torchs_cuda(settings: Build) -> None:
    torch = TorchGpus(0, "2.11.0+cu130", "13.0")
    line = one(check_gpus(gpu(settings, 8), EIGHT, ALL, torch, None))
    assert "the driver is older than that CUDA" in line.got
    assert "CUDA 13.0" in line.need


def test_cuda_that_does_not_initialise(settings: Build) -> None:
    torch = TorchGpus(8, "2.11.0+cu130", "13.0", problem="RuntimeError: CUDA error: ECC")
    line = one(check_gpus(gpu(settings, 8), EIGHT, ALL, torch, None))
    assert line.status is Status.FAILURE and "ECC" in line.got


def test_torch_that_does_not_answer_is_a_failure(settings: Build) -> None:
    torch = TorchGpus(problem="importing torch took longer than 13 s")
    line = one(check_gpus(gpu(settings, 8), EIGHT, ALL, torch, None))
    assert line.status is Status.FAILURE and "longer than 13 s" in line.got
    line = one(check_gpus(settings("sft"), NONE, Visible(None, 0), torch, None))
    assert line.status is Status.FAILURE


# --- clusters ---------------------------------------------------------------------------------


def cluster(*gpus: int, free: float | None = None) -> ClusterInfo:
    nodes = tuple(NodeInfo(f"n{i}", 32, count) for i, count in enumerate(gpus))
    return ClusterInfo("head:6379", nodes, free_gpus=free)


ADDRESS = "hardware.ray_address=head:6379"


def test_cluster_counts_where_this_host_has_none(settings: Build) -> None:
    config = gpu(settings, 8, "hardware.nodes=2", ADDRESS)
    none = TorchGpus(0, "2.13.0+cpu", "")
    line = one(check_gpus(config, NONE, Visible(None, 0), none, cluster(0, 8, 8)))
    assert line.status is Status.PASS
    line = one(check_gpus(config, NONE, Visible(None, 0), none, None))
    assert line.status is Status.WARNING


def test_cluster_with_too_few(settings: Build) -> None:
    config = gpu(settings, 8, "hardware.nodes=2", ADDRESS)
    line = one(check_gpus(config, NONE, Visible(None, 0), None, cluster(0, 8, 4)))
    assert line.fixes == ("hardware.ranks=8 hardware.nodes=1",)
    line = one(check_gpus(config, NONE, Visible(None, 0), None, cluster(4, 4, 4, 4)))
    assert "0 node(s) of the cluster have 8 GPUs" in line.got
    line = one(check_gpus(config, NONE, Visible(None, 0), None, cluster(8, 8, free=15)))
    assert "15 of the cluster's 16 GPUs are free" in line.got
    line = one(check_gpus(config, NONE, Visible(None, 0), None, cluster()))
    assert line.fixes == ("hardware=cpu",)


def test_logical_slots_on_a_cpu(settings: Build) -> None:
    key = "ray_kwargs.ray_init.num_gpus"
    two = ["grpo", "hardware.ranks=2"]
    assert one(check_gpus(settings(*two), NONE, Visible(None, 0), None, None)).status is Status.PASS
    line = one(check_gpus(settings(*two, f"{key}=1"), NONE, Visible(None, 0), None, None))
    assert line.fixes == (f"{key}=2",)
    line = one(check_gpus(settings(*two), NONE, Visible(None, 0), None, cluster(1)))
    assert line.fixes == ("ray start --num-gpus=2",)
    line = one(check_gpus(settings(*two), NONE, Visible(None, 0), None, cluster(1, 1)))
    assert line.status is Status.PASS


def test_nodes_need_a_cluster(settings: Build) -> None:
    line = one(check_gpus(gpu(settings, 8, "hardware.nodes=2"), EIGHT, ALL, TORCH8, None))
    assert line.fixes == ("hardware.ray_address=HOST:6379", "hardware.nodes=1")


def test_other_pools_count_too(settings: Build) -> None:
    pool = "reward.reward_model"
    more = [f"{pool}.enable_resource_pool=true", f"{pool}.nnodes=1", f"{pool}.n_gpus_per_node=2"]
    assert one(check_gpus(gpu(settings, 6, *more), EIGHT, ALL, TORCH8, None)).status is Status.PASS
    line = one(check_gpus(gpu(settings, 7, *more), EIGHT, ALL, TORCH8, None))
    assert line.need == "9 GPU(s)"
