"""Ray before it starts: enough logical CPUs, an address that answers, ports that are free.

In: `Settings` and, where a cluster was asked, its `ClusterInfo`. Out: lines. verl's actors wait for
ever, without a word, when Ray has fewer logical CPUs than they reserve together, so the sum is made
here from the configuration and shown term by term. Does not import Ray.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from launch.preflight.cluster import Asked, ClusterInfo
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import Settings, pools

CONNECT_SECONDS = 1.5
DASHBOARD_PORT = 8265  # Ray's defaults
GCS_PORT = 6379
SCHEME_PORTS = {"ray": 10001, "http": 80, "https": 443, "": GCS_PORT}
TQ = "transfer_queue.backend"


@dataclass(frozen=True)
class CpuNeed:
    """Logical CPUs that a run reserves for its whole life.

    Attributes:
        total: their sum.
        terms: each part in words, as `3 × 2 training ranks`.
        fix: an override that makes the sum smaller, empty when there is none worth naming.
    """

    total: int
    terms: tuple[str, ...]
    fix: str = ""


def cpu_need(settings: Settings) -> CpuNeed:
    """Add up what verl's actors and placement groups reserve.

    The numbers are verl's and TransferQueue's own `num_cpus` (contract tests read them from the
    wheels). Actors without a resource of their own (task runner, agent loops, reward workers, vLLM
    servers, load balancer) hold none while they live.
    """
    total = 0
    terms: list[str] = []
    fix = ""
    for pool in pools(settings):
        total += pool.cpus * pool.ranks
        terms.append(f"{pool.cpus} × {pool.ranks} {pool.name} rank{'s' * (pool.ranks != 1)}")
    if settings.is_sft:
        return CpuNeed(total, tuple(terms))
    if settings["trainer.use_v1"]:
        total += 1
        terms.append("1 TransferQueue controller")
        if settings[f"{TQ}.storage_backend"] == "SimpleStorage":
            key = f"{TQ}.SimpleStorage.num_data_storage_units"
            units = settings.positive(key)
            total += units
            terms.append(f"{units} TransferQueue storage unit{'s' * (units != 1)}")
            fix = f"{key}=1" if units > 1 else ""
    if settings["reward.reward_manager.name"] == "remote":
        workers = settings.positive("reward.num_workers")
        total += workers * workers
        terms.append(f"{workers} × {workers} remote reward workers")
    return CpuNeed(total, tuple(terms), fix)


def check_ray_cpus(settings: Settings, cluster: ClusterInfo | None, host_cpus: int) -> list[Line]:
    """Hold the sum against the Ray that will run this.

    Args:
        settings: the composed configuration.
        cluster: the cluster, when `hardware.ray_address` is set and it was asked.
        host_cpus: cores that a Ray started here would count by itself.
    """
    name = "Ray CPUs"
    need = cpu_need(settings)
    why = f"{need.total} = {' + '.join(need.terms)}"
    if cluster is not None:
        return [_cluster_cpus(settings, cluster, need, why)]
    address = settings["hardware.ray_address"]
    if address is not None:
        return [warned(name, f"{address} did not tell its CPUs", f"{why} logical CPUs")]
    # verl's RL tree has a key of its own, which follows ours unless it was set by itself.
    key = "hardware.ray_cpus"
    own = "ray_kwargs.ray_init.num_cpus"
    if not settings.is_sft and settings.optional(own) != settings[key]:
        key = own
    asked = settings.optional_whole(key)
    have = asked if asked is not None else host_cpus
    if have >= need.total:
        return [passed(name, f"{have} logical CPUs, verl reserves {why}")]
    source = f"{key}={asked}" if asked is not None else f"this host's {host_cpus} cores"
    fixes = [f"{key}={need.total}"]
    # A smaller sum must suffice by itself to be offered by itself.
    if need.fix and need.total - (_units(settings) - 1) <= have:
        fixes.append(need.fix)
    return [
        failed(
            name,
            f"{have} logical CPUs ({source}): verl would wait for ever, without a word",
            why,
            *fixes,
        )
    ]


def _units(settings: Settings) -> int:
    return settings.positive(f"{TQ}.SimpleStorage.num_data_storage_units")


def _cluster_cpus(settings: Settings, cluster: ClusterInfo, need: CpuNeed, why: str) -> Line:
    name = "Ray CPUs"
    have = cluster.cpus if cluster.free_cpus is None else cluster.free_cpus
    word = "logical CPUs" if cluster.free_cpus is None else "free logical CPUs"
    got = f"the cluster at {cluster.address} has {have:g} {word} ({cluster.cpus:g} in all)"
    start = f"ray start --num-cpus={need.total} on a node, or add nodes"
    if have < need.total:
        what = f"{got}: verl would wait for ever, without a word"
        return failed(name, what, why, *([need.fix] if need.fix else []), start)
    training = pools(settings)[0]
    ranks = training.ranks // training.nodes
    per_node = training.cpus * ranks
    fitting = sum(node.cpus >= per_node and node.gpus >= ranks for node in cluster.nodes)
    if fitting < training.nodes:
        return failed(
            name,
            f"{fitting} node(s) of the cluster have {per_node} logical CPUs and {ranks} GPUs",
            f"{training.nodes} such node(s): {training.cpus} CPUs a training rank",
            f"hardware.nodes={fitting}" if fitting else start,
        )
    return passed(name, f"{got}, verl reserves {why}")


def check_ray_address(settings: Settings, environment: Mapping[str, str]) -> list[Line]:
    """Whether the Ray that the run will join answers.

    Args:
        settings: the composed configuration; `hardware.ray_address` null with RAY_ADDRESS unset
            means a Ray of the run's own.
        environment: the variables that Ray will see.
    """
    name = "Ray address"
    way = "hardware.ray_address=null"
    if settings["hardware.ray_address"] in (None, environment.get("RAY_ADDRESS")):
        way = "unset RAY_ADDRESS"
    address = settings.joining(environment)["hardware.ray_address"]
    if address is None:
        return [passed(name, "a Ray of this run's own")]
    if address == "auto":
        known = Path("/tmp/ray/ray_current_cluster")
        if not known.is_file() and not environment.get("RAY_ADDRESS"):
            return [
                failed(
                    name,
                    "the Ray address is auto, and no Ray runs on this host",
                    "a running Ray",
                    way,
                    "ray start --head",
                )
            ]
        address = environment.get("RAY_ADDRESS") or known.read_text().strip()
    target = _host_port(str(address))
    if target is None:
        return [
            failed(
                name,
                f"the Ray address is {address}",
                "HOST:PORT, ray://HOST:PORT or http://HOST:PORT",
                way,
            )
        ]
    host, port = target
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return [passed(name, f"{address} answers")]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return [
            failed(
                name,
                f"{address} does not answer ({reason})",
                "a Ray cluster that listens there",
                way,
                "ray start --head",
            )
        ]


def check_joining(settings: Settings, asked: Asked) -> list[Line]:
    """What a cluster said, or did not say, when a driver of this host joined it.

    Args:
        settings: the composed configuration.
        asked: what came of it.
    """
    if not asked.problem:
        return []
    address = settings["hardware.ray_address"]
    make = failed if asked.refused else warned
    token = "RAY_AUTH_MODE=token (before the command), with the cluster's token in ~/.ray"
    return [
        make(
            "Ray cluster",
            f"{address}: {asked.problem}",
            "a cluster that this host may join",
            *([token] if "token" in asked.problem else []),
            f"python -m launch.submit {settings.job} … --address http://HEAD:8265",
        )
    ]


def _host_port(address: str) -> tuple[str, int] | None:
    """Host and port of an address with or without a scheme; None when it is no address."""
    text = address if "://" in address else f"//{address}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or not re.fullmatch(r"[\w.:\-]+", parts.hostname):
        return None
    if port is None:
        if parts.scheme not in SCHEME_PORTS or not parts.scheme:
            return None
        port = SCHEME_PORTS[parts.scheme]
    return parts.hostname, port


def check_ports(settings: Settings) -> list[Line]:
    """Whether the fixed ports of a Ray that we start are free."""
    if settings["hardware.ray_address"] is not None:
        return []
    name = "ports"
    fixed = {
        key: port
        for key in ("ray_kwargs.ray_init.dashboard_port", "hardware.dashboard_port")
        if (port := settings.optional_whole(key)) is not None
    }
    lines = [
        failed(
            name,
            f"{key}={port} is in use on this host",
            "a free port",
            f"{key}={free_port()}",
        )
        for key, port in fixed.items()
        if port_busy(port)
    ]
    if not lines and port_busy(GCS_PORT):
        lines.append(
            warned(
                name,
                f"port {GCS_PORT} is in use: another Ray head may run on this host",
                "its cores and memory to be free",
                "hardware.ray_address=auto",
                "ray stop",
            )
        )
    return lines or [passed(name, "free, or chosen by Ray")]


def port_busy(port: int) -> bool:
    """Whether something on this host holds a TCP port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def host_cpu_count(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that Ray would count by itself: the host's, or the container's limit if lower."""
    cores = os.cpu_count() or 1
    try:
        quota, period = cgroup.read_text().split()
        limit = int(quota) / int(period)
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return cores
    return min(cores, max(int(limit), 1))
