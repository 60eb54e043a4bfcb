"""What a cluster is, asked from within: `python -m launch.jobs.probe JOB [OVERRIDE…]` as a Ray job.

In: the job's own overrides. Out: one line on stdout, `MARK` and JSON: what each live node reports
(versions, plugins, which copy of our code it imports), the cluster's resources, and the lines of
the checks that hold for this cluster. The dashboard is all that a submitter may reach, so this runs
as a job and speaks by its log. It judges no nodes against each other: the submitter does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conf.errors import TemperError

MARK = "temper-probe: "
NODE_S = 120.0
"""Seconds for all nodes together to answer."""


def describe(with_torch: bool) -> dict[str, Any]:
    """One node as a worker of the job sees it; runs as a Ray task on that node."""
    from launch.jobs.package import fingerprint_of, uploaded
    from launch.preflight.probe import probe

    report = probe(with_torch=with_torch)
    report["plugins"] = allowed(report["plugins"], os.environ)
    stamp = uploaded()
    report["code"] = {
        "folder": str(Path(__file__).resolve().parents[2]),
        # Counted anew: a stamp alone would not show a file that was lost or changed on the way.
        "fingerprint": fingerprint_of(Path(stamp["folder"]), stamp["files"]) if stamp else None,
    }
    return report


def allowed(modules: Sequence[str], environment: Any) -> list[str]:
    """Of the registered plugins, those that verl would load under VERL_USE_EXTERNAL_PLUGINS.

    verl reads the variable as auto (all), none, or names of entry points.
    """
    from importlib.metadata import entry_points

    policy = environment.get("VERL_USE_EXTERNAL_PLUGINS", "auto").strip().lower()
    if policy == "none":
        return []
    if policy == "auto":
        return list(modules)
    names = {name.strip() for name in policy.split(",") if name.strip()}
    found = {entry.value for entry in entry_points(group="verl.plugins") if entry.name in names}
    return [module for module in modules if module in found]


def ask_nodes(with_torch: bool) -> dict[str, Any]:
    """Ask every live node, and Ray for what they have.

    Returns:
        `address` (the cluster's own), `nodes` (reports with `id`, `cpus`, `gpus`), `free_cpus`,
        `free_gpus`, `here` (this node's id), `silent` (addresses of nodes that did not answer).
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(address="auto", log_to_driver=False, logging_level="error")
    alive = [node for node in ray.nodes() if node["Alive"]]
    free = ray.available_resources()
    task = ray.remote(num_cpus=0, max_retries=0)(describe)
    asked = {}
    for node in alive:
        here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[task.options(scheduling_strategy=here).remote(with_torch)] = node
    ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=NODE_S)
    reports = []
    for reference in ready:
        node = asked[reference]
        has = node["Resources"]
        reports.append(
            {
                **ray.get(reference),
                "id": node["NodeID"],
                "address": node["NodeManagerAddress"],
                "cpus": has.get("CPU", 0.0),
                "gpus": has.get("GPU", 0.0),
            }
        )
    return {
        "address": ray.get_runtime_context().gcs_address,
        "nodes": reports,
        "free_cpus": free.get("CPU", 0.0),
        "free_gpus": free.get("GPU", 0.0),
        "here": ray.get_runtime_context().get_node_id(),
        "silent": [asked[reference]["NodeManagerAddress"] for reference in silent],
    }


def check_here(job: str, arguments: Sequence[str], cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The checks that need this cluster and no prepared data, as JSON of their lines.

    Data, and a policy that is built on the spot, are made by the job itself, which then runs the
    whole preflight once more.
    """
    from launch.compose import compose, resolve
    from launch.preflight import (
        ClusterInfo,
        Line,
        NodeInfo,
        Settings,
        checks_batch,
        checks_gpu,
        checks_host,
        checks_ray,
        checks_versions,
    )
    from launch.preflight.checks_model import scan_model
    from launch.preflight.checks_reward import check_reward
    from launch.preflight.checks_sft import check_sft_batch
    from launch.preflight.gpus import VISIBLE, ask_driver, read_visible

    settings = Settings.of(resolve(compose(job, arguments)))
    nodes = tuple(NodeInfo(n["host"], n["cpus"], n["gpus"]) for n in cluster["nodes"])
    info = ClusterInfo(cluster["address"], nodes, cluster["free_cpus"], cluster["free_gpus"])
    environment = dict(os.environ)
    driver = ask_driver()
    visible = read_visible(environment.get(VISIBLE), driver)
    versions = {name: checks_versions.installed(name) for name in checks_versions.wanted(settings)}
    pins = checks_versions.read_pins(checks_versions.stack_of(settings))
    checks: list[Callable[[], list[Line]]] = [
        lambda: checks_versions.check_versions(settings, pins, versions),
        lambda: checks_gpu.check_ranks(settings),
        lambda: checks_gpu.check_gpus(settings, driver, visible, None, info),
        lambda: checks_ray.check_ray_cpus(settings, info, 0),
        lambda: checks_host.check_run_folder(settings),
        lambda: checks_host.check_disk(settings, None),
        lambda: (
            check_sft_batch(settings) if settings.is_sft else checks_batch.check_batch(settings)
        ),
        lambda: check_reward(settings, environment, 12.0),
    ]
    if settings["policy.build"] is None and settings["policy.warm_start"] is None:
        checks.append(lambda: list(scan_model(settings, environment).lines))
    return [line.to_json() for check in checks for line in check()]


def main() -> int:
    """Ask, check, print one line."""
    job, with_torch, arguments = sys.argv[1], sys.argv[2] == "torch", sys.argv[3:]
    answer: dict[str, Any] = {}
    try:
        answer = ask_nodes(with_torch)
        answer["lines"] = check_here(job, arguments, answer)
    except TemperError as error:
        answer["error"] = asdict_of(error)
    print(MARK + json.dumps(answer), flush=True)
    return 0


def asdict_of(error: TemperError) -> dict[str, str]:
    """An error in JSON: its type's name, its message and its way out."""
    return {"type": type(error).__name__, "message": error.message, "fix": error.fix}


if __name__ == "__main__":
    sys.exit(main())
