"""Preflight on a cluster before anything of a run is submitted to it.

In: a `Jobs`, a `JobPlan`, the staged upload. Out: a `Cluster` (which nodes, where the launcher
should run) and a `Report`, the same table as the local preflight's. A small job of the same upload
asks the nodes (`launch.jobs.probe`); here its answer is held against this host and the upload.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import conf.errors
from conf.errors import ClusterError, TemperError
from launch.jobs.client import PROBE, Jobs, JobState
from launch.jobs.package import Package
from launch.jobs.plan import JobPlan
from launch.jobs.probe import MARK
from launch.preflight import Line, Report, compare_nodes, probe
from launch.preflight.lines import failed, passed

PROBE_S = 300.0
"""Seconds for the probe; uploading and starting Python twice takes most of them."""
CODE = "code"


@dataclass(frozen=True)
class Cluster:
    """What the probe found.

    Attributes:
        nodes: the reports of `launch.jobs.probe`, one a live node.
        lines: of the checks that ran there.
        here: id of the node where jobs run unless told otherwise.
    """

    nodes: tuple[Mapping[str, Any], ...]
    lines: tuple[Line, ...]
    here: str

    @property
    def gpus(self) -> int:
        """Real GPUs of the best node; a Ray may call CPUs so (`ray start --num-gpus`)."""
        return max((int(node["driver_gpus"]) for node in self.nodes), default=0)

    def launcher_node(self, device: str, ranks: int) -> str | None:
        """Where to run the launcher: None for the head, unless evaluation finds no GPU there."""
        if device == "cpu":
            return None
        fitting = [node["id"] for node in self.nodes if node["gpus"] >= ranks]
        return None if self.here in fitting or not fitting else str(fitting[0])


def ask(jobs: Jobs, plan: JobPlan, package: Package) -> Cluster:
    """Run the probe as a job of its own and read its answer.

    Raises:
        ClusterError: it did not run, or nodes did not answer.
        TemperError: whatever composing said there.
    """
    name = f"probe-{secrets.token_hex(6)}"
    with_torch = "torch" if plan.config.hardware.device != "cpu" else "no-torch"
    words = ["exec", "python", "-m", "launch.jobs.probe", plan.job, with_torch, *plan.arguments]
    jobs.submit(shlex.join(words), package.folder, submission_id=name, metadata=PROBE)
    try:
        state = jobs.wait(name, PROBE_S)
    except KeyboardInterrupt:
        jobs.stop(name)
        raise
    if not state.over:
        jobs.stop(name)
        raise ClusterError(
            f"the cluster at {jobs.address} did not run a probe within {PROBE_S:.0f} s",
            f"python -m launch.submit list --address {jobs.address}",
        )
    log = jobs.logs(name) if state.exit_code is not None else ""
    return _read(jobs, state, log)


def report(cluster: Cluster, plan: JobPlan, package: Package) -> Report:
    """Hold the nodes against this host and the upload.

    Args:
        cluster: what the probe found.
        plan: the job.
        package: what was uploaded.
    """
    device = str(plan.config.hardware.device)
    ranks = 0 if device == "cpu" else int(plan.config.hardware.ranks)
    nodes = compare_nodes(probe(with_torch=False), cluster.nodes, device=device, ranks=ranks)
    return Report(cluster.lines).extended([*nodes, *compare_code(cluster.nodes, package)])


def compare_code(nodes: Sequence[Mapping[str, Any]], package: Package) -> list[Line]:
    """That the workers of each node import the upload, whole and unchanged."""
    lines = []
    for node in nodes:
        found = node["code"]
        if found["fingerprint"] != package.fingerprint:
            what = f"version {found['fingerprint'][:12]}" if found["fingerprint"] else "another"
            lines.append(
                failed(
                    CODE,
                    f"{node['host']}: workers import {what} from {found['folder']}",
                    f"the uploaded version {package.fingerprint[:12]}",
                    f"remove that folder from PYTHONPATH on {node['host']}",
                )
            )
    where = f"temper {package.version} ({package.fingerprint[:12]})"
    return lines or [passed(CODE, f"workers of {len(nodes)} node(s) import the upload: {where}")]


def _read(jobs: Jobs, state: JobState, log: str) -> Cluster:
    answers = [line for line in log.splitlines() if line.startswith(MARK)]
    if not answers:
        raise _unanswered(jobs, state, log)
    answer = json.loads(answers[-1].removeprefix(MARK))
    if "error" in answer:
        kind = getattr(conf.errors, answer["error"]["type"], TemperError)
        raise kind(f"on the cluster: {answer['error']['message']}", answer["error"]["fix"])
    if answer["silent"]:
        raise ClusterError(
            f"node {', '.join(answer['silent'])} of the cluster does not answer",
            "`ray status` on the head; a node whose Python or disk is broken starts no worker",
        )
    lines = tuple(Line.from_json(line) for line in answer["lines"])
    return Cluster(tuple(answer["nodes"]), lines, answer["here"])


def _unanswered(jobs: Jobs, state: JobState, log: str) -> ClusterError:
    """Why a probe said nothing, in one line."""
    said = [line.strip() for line in (log or state.message).splitlines() if line.strip()]
    last = said[-1][:300] if said else "no output"
    fix = f"python -m launch.submit list --address {jobs.address}"
    if state.exit_code == 127 or "No module named" in last:
        fix = "start Ray on the nodes from the environment that has verl: `python` there lacks it"
    return ClusterError(f"the probe on {jobs.address} ended {state.status}: {last}", fix)
