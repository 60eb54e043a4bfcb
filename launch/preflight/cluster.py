"""What a Ray cluster has to offer, as plain values.

In: filled by whoever can ask the cluster (`launch.jobs*`, or a node with Ray installed). Out: read
by the checks on GPUs, logical CPUs and addresses. Nothing here talks to Ray.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NodeInfo:
    """One live node of a Ray cluster.

    Attributes:
        name: its address or host name, for messages.
        cpus: logical CPUs in total.
        gpus: GPUs (or logical slots) in total.
    """

    name: str
    cpus: float
    gpus: float


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
