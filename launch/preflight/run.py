"""Run all checks of a job side by side and collect their lines.

In: a composed configuration. Out: a `Report`. Slow questions (torch, nvidia-smi, the reward, the
hub) are asked first and waited for last. A check that breaks makes a failure line of its own: a
preflight with a hole must not look like one that passed.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from omegaconf import DictConfig

from conf.errors import ConfigError
from launch.preflight.checks_batch import check_batch
from launch.preflight.checks_data import DataScan, check_data, scan_data
from launch.preflight.checks_gpu import check_gpus, check_ranks
from launch.preflight.checks_host import (
    available_memory,
    check_disk,
    check_memory,
    check_resume,
    check_run_folder,
    check_shared_memory,
    free_shared_memory,
    plan_checkpoints,
)
from launch.preflight.checks_lengths import check_lengths
from launch.preflight.checks_model import Model, scan_model
from launch.preflight.checks_ray import (
    check_joining,
    check_ports,
    check_ray_address,
    check_ray_cpus,
    host_cpu_count,
)
from launch.preflight.checks_reward import check_reward
from launch.preflight.checks_selection import check_selection
from launch.preflight.checks_sft import check_sft_batch
from launch.preflight.checks_steps import check_steps, planned_steps
from launch.preflight.checks_tokens import check_tokens
from launch.preflight.checks_versions import (
    check_plugin,
    check_trl,
    check_versions,
    installed,
    plugin_modules,
    read_pins,
    stack_of,
    wanted,
)
from launch.preflight.cluster import Asked, ClusterInfo, ask_cluster
from launch.preflight.gpus import (
    VISIBLE,
    DriverGpus,
    TorchGpus,
    ask_driver,
    ask_torch,
    read_visible,
)
from launch.preflight.lines import Line, Report, failed
from launch.preflight.settings import Settings

REWARD_SECONDS = 2.5  # without torch; with it, a reward may take as long as torch does
REWARD_SECONDS_WITH_TORCH = 12.0
Check = Callable[[], list[Line]]
T = TypeVar("T")


@dataclass
class _Timed:
    """Runs functions in threads and keeps how long each took."""

    pool: ThreadPoolExecutor
    seconds: dict[str, float] = field(default_factory=dict)

    def start(self, name: str, function: Callable[[], T]) -> Future[T]:
        def timed() -> T:
            begin = time.perf_counter()
            try:
                return function()
            finally:
                self.seconds[name] = time.perf_counter() - begin

        return self.pool.submit(timed)


def preflight(
    config: DictConfig, *, with_torch: bool = True, cluster: ClusterInfo | None = None
) -> Report:
    """Check everything that can be checked before Ray starts.

    Args:
        config: verl's tree and ours, composed, of job grpo, ppo or sft.
        with_torch: ask torch for its devices in a child process (at most 15 s in all, else 3 s).
        cluster: the Ray cluster that will run this, when someone asked it already; else it is
            asked here, in a child process, unless `with_torch` is off.

    Returns:
        All findings; nothing is raised for a failed check.

    Raises:
        ConfigError: the configuration does not resolve.
    """
    begin = time.perf_counter()
    environment = dict(os.environ)
    settings = Settings.of(config)
    address = settings.joining(environment)["hardware.ray_address"]
    with ThreadPoolExecutor(max_workers=16, thread_name_prefix="preflight") as pool:
        timed = _Timed(pool)
        limit = REWARD_SECONDS_WITH_TORCH if with_torch else REWARD_SECONDS
        torch = timed.start("torch", ask_torch) if with_torch else None
        driver = timed.start("driver", ask_driver)
        # Joining a cluster takes seconds, as torch does; without that time its say is not had.
        ask = with_torch and cluster is None and address is not None
        joined = timed.start(
            "cluster", lambda: ask_cluster(str(address)) if ask else Asked(cluster)
        )
        reward = timed.start("reward", lambda: check_reward(settings, environment, limit))
        model = timed.start("model", lambda: scan_model(settings, environment))
        data = timed.start("data", lambda: scan_data(settings))
        settled = settings.joining(environment)
        checks = _checks(settled, environment, driver, torch, model, data, joined)
        # Each waits for what it needs; what waits starts after what is waited for.
        started = [(name, timed.start(name, check)) for name, check in checks]
        started.append(("reward", reward))
        lines = [line for name, future in started for line in _collect(name, future)]
    return Report(tuple(lines), time.perf_counter() - begin, dict(timed.seconds))


def _checks(
    settings: Settings,
    environment: dict[str, str],
    driver: Future[DriverGpus],
    torch: Future[TorchGpus] | None,
    model: Future[Model],
    data: Future[DataScan],
    cluster: Future[Asked],
) -> list[tuple[str, Check]]:
    """The checks in the order in which their lines are shown."""

    def gpus() -> list[Line]:
        seen = driver.result()
        visible = read_visible(environment.get(VISIBLE), seen)
        asked = torch.result() if torch else None
        return check_gpus(settings, seen, visible, asked, cluster.result().info)

    def batch() -> list[Line]:
        return check_sft_batch(settings) if settings.is_sft else check_batch(settings)

    def versions() -> list[Line]:
        pins = read_pins(stack_of(settings))
        have = {name: installed(name) for name in wanted(settings)}
        return check_versions(settings, pins, have)

    def lengths() -> list[Line]:
        scan, found = data.result(), model.result()
        return check_lengths(settings, (*scan.train, *scan.val), found.folder)

    def disk() -> list[Line]:
        steps = planned_steps(settings, data.result().train_rows)
        return check_disk(settings, plan_checkpoints(settings, model.result().parameters, steps))

    def steps() -> list[Line]:
        scan = data.result()
        return check_steps(settings, scan.train_rows, scan.val_rows)

    return [
        ("versions", versions),
        ("trl", check_trl),
        ("plugin", lambda: check_plugin(settings, plugin_modules())),
        ("ranks", lambda: check_ranks(settings)),
        ("gpus", gpus),
        ("ray address", lambda: check_ray_address(settings, environment)),
        ("ray joins", lambda: check_joining(settings, cluster.result())),
        ("ray cpus", lambda: check_ray_cpus(settings, cluster.result().info, host_cpu_count())),
        ("ports", lambda: check_ports(settings)),
        ("run folder", lambda: check_run_folder(settings)),
        ("resume", lambda: check_resume(settings)),
        ("disk", disk),
        (
            "memory",
            lambda: check_memory(settings, model.result().parameters, available_memory()),
        ),
        (
            "shared memory",
            lambda: check_shared_memory(settings, model.result().parameters, free_shared_memory()),
        ),
        ("model lines", lambda: list(model.result().lines)),
        ("data lines", lambda: check_data(settings, data.result())),
        ("lengths", lengths),
        ("batch", batch),
        ("tokens", lambda: check_tokens(settings, model.result().context)),
        ("steps", steps),
        ("selection", lambda: check_selection(settings)),
    ]


def _collect(name: str, future: Future[list[Line]]) -> list[Line]:
    """The lines of one check; a value that it cannot read, or its own defect, as a failure."""
    try:
        return future.result()
    except ConfigError as error:
        return [failed(name, error.message, "a value that can be read", *_ways(error.fix))]
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return [
            failed(
                name,
                f"this check broke: {type(error).__name__}: {str(error)[:160]} "
                f"({os.path.basename(place.filename)}:{place.lineno})",
                "a report to temper's authors; this is a defect",
                "preflight.enable=false to go on without any check",
            )
        ]


def _ways(fix: str) -> tuple[str, ...]:
    return (fix,) if fix else ()
