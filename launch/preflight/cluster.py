"""What a Ray cluster has to offer, as plain values.

In: filled by whoever can ask the cluster (`launch.jobs`), or by a child process that joins it.
Out: read by the checks on GPUs and logical CPUs. Ray is not imported in this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

ASK_SECONDS = 12.0
# Joins as a driver that asks for nothing, and prints one JSON object on its last line.
SCRIPT = """
import json, sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="critical", namespace="preflight")
nodes = [[n["NodeManagerAddress"], n["Resources"].get("CPU", 0), n["Resources"].get("GPU", 0),
          any(name.startswith("accelerator_type:") for name in n["Resources"])]
         for n in ray.nodes() if n["Alive"]]
free = ray.available_resources()
print("\\n" + json.dumps({"nodes": nodes, "cpus": free.get("CPU", 0), "gpus": free.get("GPU", 0)}))
"""


@dataclass(frozen=True)
class NodeInfo:
    """One live node of a Ray cluster.

    Attributes:
        name: its address or host name, for messages.
        cpus: logical CPUs in total.
        gpus: GPUs (or logical slots) in total.
        real: whether Ray found an accelerator behind them, and not `--num-gpus` alone.
    """

    name: str
    cpus: float
    gpus: float
    real: bool = False

    @property
    def devices(self) -> int:
        """Accelerators that are there."""
        return int(self.gpus) if self.real else 0


@dataclass(frozen=True)
class ClusterInfo:
    """A Ray cluster at the time of asking.

    Attributes:
        address: what it was reached by.
        nodes: its live nodes.
        free_cpus: logical CPUs that no one holds now; None: not asked.
        free_gpus: GPUs that no one holds now; None: not asked.
    """

    address: str
    nodes: tuple[NodeInfo, ...]
    free_cpus: float | None = None
    free_gpus: float | None = None

    @property
    def cpus(self) -> float:
        """Logical CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)


@dataclass(frozen=True)
class Asked:
    """What came of asking a cluster.

    Attributes:
        info: what it has; None when it did not say.
        problem: why it did not, empty when nobody asked or it did say.
        refused: whether this host may not join it, so that a run could not either.
    """

    info: ClusterInfo | None = None
    problem: str = ""
    refused: bool = False


def ask_cluster(
    address: str, environment: Mapping[str, str] | None = None, seconds: float = ASK_SECONDS
) -> Asked:
    """Ask a cluster that this host can join for its resources.

    Args:
        address: as `ray.init` takes it. A dashboard's (`http://…`) cannot be asked this way.
        environment: of the child; None: this process's.
        seconds: how long it may take.
    """
    if address.startswith(("http://", "https://")):
        return Asked(problem="a dashboard takes jobs, it does not tell its resources")
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, address],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ if environment is None else environment),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return Asked(problem=f"it did not let this host join within {seconds:g} s")
    except OSError as error:
        return Asked(problem=f"no child process ({error.strerror})")
    if done.returncode:
        if "AuthenticationError" in done.stderr:
            return Asked(problem="it wants a token, or another one than ours", refused=True)
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return Asked(problem=last[:160], refused=True)
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
        nodes = tuple(
            NodeInfo(str(name), float(cpus), float(gpus), bool(real))
            for name, cpus, gpus, real in said["nodes"]
        )
        return Asked(ClusterInfo(address, nodes, float(said["cpus"]), float(said["gpus"])))
    except (IndexError, ValueError, KeyError, TypeError) as error:
        return Asked(problem=f"its answer cannot be read ({type(error).__name__})")
