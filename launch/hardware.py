"""`hardware=auto`: look at what is there, choose a hardware option, say what and why.

In: nvidia-smi and CUDA_VISIBLE_DEVICES, or the Ray cluster that the run would join. Out: a
`Choice`. It takes milliseconds on a host without GPUs and imports no torch; preflight then holds
the choice against `torch.cuda.device_count()`. A cluster is asked by a child that joins it, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

NAMED = (1, 2, 4, 8)


@dataclass(frozen=True)
class Choice:
    """What `hardware=auto` settled on.

    Attributes:
        gpus: CUDA devices of a host that the driver lists and the environment lets through.
        reason: one line for the user.
        nodes: hosts that have as many.
    """

    gpus: int
    reason: str
    nodes: int = 1

    def overrides(self, given: Mapping[str, str]) -> list[str]:
        """The Hydra overrides that this choice stands for, leaving the user's own alone."""
        if self.gpus == 0:
            return ["hardware=cpu"]
        several = self.nodes > 1 and "hardware.nodes" not in given
        nodes = [f"hardware.nodes={self.nodes}"] if several else []
        if self.gpus in NAMED:
            return [f"hardware=gpu{self.gpus}", *nodes]
        ranks = [] if "hardware.ranks" in given else [f"hardware.ranks={self.gpus}"]
        return ["hardware=gpu", *ranks, *nodes]


def detect(ray_address: str | None = None) -> Choice:
    """Count the GPUs: of the cluster at an address, else of this host.

    A cluster that does not say what it has leaves the choice to this host; preflight fails on it.

    Args:
        ray_address: as `hardware.ray_address` is given; None, empty or null: this host.
    """
    if ray_address in (None, "", "null"):
        return _of_this_host()
    return _of_cluster(str(ray_address))


@cache
def _of_cluster(address: str) -> Choice:
    """The largest hosts of the cluster decide: a run's ranks are the same on each of its nodes."""
    from launch.preflight.cluster import (
        ask_cluster,
    )  # pydantic and more, which a host need not load

    asked = ask_cluster(address)
    if asked.info is None:
        here = _of_this_host()
        return Choice(here.gpus, f"{here.reason}; the Ray at {address}: {asked.problem}")
    devices = [node.devices for node in asked.info.nodes]
    most = max(devices, default=0)
    nodes = devices.count(most) if most else 1
    said = f"{nodes} node(s) with {most} GPU(s)" if most else f"no GPU on {len(devices)} node(s)"
    return Choice(most, f"the Ray at {asked.info.address} has {said}", nodes)


def _of_this_host() -> Choice:
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return Choice(0, "no nvidia-smi on this host")
    try:
        listing = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Choice(0, f"nvidia-smi does not answer ({type(error).__name__})")
    listed = sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return Choice(listed, f"nvidia-smi lists {listed} GPU(s)")
    allowed = len([item for item in visible.split(",") if item.strip() not in ("", "-1")])
    count = min(listed, allowed)
    return Choice(count, f"nvidia-smi lists {listed} GPU(s), CUDA_VISIBLE_DEVICES={visible!r}")
