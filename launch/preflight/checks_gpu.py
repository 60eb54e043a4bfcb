"""GPUs asked for against GPUs that are there, and why they differ.

In: `Settings` and what driver, environment, torch and the Ray cluster say. Out: lines. On a head or
submit node torch may rightly see none: with a Ray cluster the cluster's resources count. Memory is
not judged here.
"""

from __future__ import annotations

from launch.preflight.arithmetic import nearest_divisors
from launch.preflight.cluster import ClusterInfo
from launch.preflight.gpus import VISIBLE, DriverGpus, TorchGpus, Visible
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import ROLLOUT, Settings, pools

NAME = "GPUs"
CPU_WAY = "hardware=cpu"
GPU_SETUP = "make setup HARDWARE=gpu"
RANKS = "hardware.ranks"


def check_ranks(settings: Settings) -> list[Line]:
    """That verl's numbers are the hardware's, and that rollout replicas fit into the ranks."""
    lines: list[Line] = []
    for ours, theirs in (
        (RANKS, "trainer.n_gpus_per_node"),
        ("hardware.nodes", "trainer.nnodes"),
        ("hardware.device", "trainer.device"),
    ):
        want, have = settings[ours], settings[theirs]
        if want != have:
            lines.append(
                failed(
                    "ranks",
                    f"{theirs}={have}, but {ours}={want}",
                    f"one number: {theirs} follows {ours}",
                    f"{ours}={have}",
                    f"{theirs}={want}",
                )
            )
    if not settings.is_sft:
        lines += _replicas(settings)
    return lines


def _replicas(settings: Settings) -> list[Line]:
    tp_key = f"{ROLLOUT}.tensor_model_parallel_size"
    tp = settings.positive(tp_key)
    others = settings.positive(f"{ROLLOUT}.data_parallel_size") * settings.positive(
        f"{ROLLOUT}.pipeline_model_parallel_size"
    )
    world = settings.world
    if world % (tp * others) == 0:
        return []
    fixes = nearest_divisors(tp, world // others) if world % others == 0 else (1,)
    return [
        failed(
            "tensor parallel",
            f"rollout replicas of {tp * others} rank(s) do not fit {world} training rank(s)",
            f"a divisor of {world}",
            *(f"{tp_key}={value}" for value in fixes),
            *([] if world > tp * others else [f"{RANKS}={tp * others}"]),
        )
    ]


def check_gpus(
    settings: Settings,
    driver: DriverGpus,
    visible: Visible,
    torch: TorchGpus | None,
    cluster: ClusterInfo | None,
) -> list[Line]:
    """Hold the request against what is there.

    Args:
        settings: the composed configuration.
        driver: what nvidia-smi lists on this host.
        visible: what CUDA_VISIBLE_DEVICES leaves of it.
        torch: what torch sees; None: not asked.
        cluster: the Ray cluster that will run this, when there is one.
    """
    wanted = sum(pool.ranks for pool in pools(settings))
    if settings.device == "cpu":
        short = _slots(settings, wanted, cluster)
        if short:
            return short
        unused = f"; {driver.count} GPU(s) of this host stay unused" if driver.count else ""
        text = f"none needed: hardware=cpu with {wanted} logical rank(s){unused}"
        if torch is not None and torch.count is None:
            need = f"a torch that imports ({torch.problem})"
            if torch.slow:
                # No device depends on the answer here, and a busy machine is no broken torch.
                return [warned("torch", "torch has not answered yet", need, "make setup")]
            return [failed("torch", "torch does not answer", need, "make setup")]
        return [passed(NAME, text)]
    if cluster is not None or settings["hardware.ray_address"] is not None:
        return _by_cluster(settings, wanted, cluster)
    nodes = settings.positive("trainer.nnodes")
    if nodes > 1:
        return [
            failed(
                NAME,
                f"hardware.nodes={nodes} without a Ray cluster: this host is one node",
                "the address of a cluster",
                "hardware.ray_address=HOST:6379",
                "hardware.nodes=1",
            )
        ]
    return _by_host(wanted, driver, visible, torch)


def _slots(settings: Settings, wanted: int, cluster: ClusterInfo | None) -> list[Line]:
    """On a CPU, Ray's resource GPU is a logical slot that each rank holds."""
    if cluster is not None:
        if cluster.gpus >= wanted:
            return []
        got = f"the cluster at {cluster.address} has {cluster.gpus:g} logical GPU slots"
        return [failed(NAME, got, f"{wanted}, one a rank", f"ray start --num-gpus={wanted}")]
    key = "ray_kwargs.ray_init.num_gpus"
    if settings.is_sft or settings["hardware.ray_address"] is not None:
        return []
    have = settings.optional_whole(key)
    if have is not None and have >= wanted:
        return []
    got = f"{key}={'null' if have is None else have}"
    return [failed(NAME, got, f"{wanted} logical slots, one a rank", f"{key}={wanted}")]


def _by_cluster(settings: Settings, wanted: int, cluster: ClusterInfo | None) -> list[Line]:
    if cluster is None:
        address = settings["hardware.ray_address"]
        return [warned(NAME, f"{address} was not asked for its GPUs", f"{wanted} GPUs there")]
    each = settings.positive("trainer.n_gpus_per_node")
    nodes = settings.positive("trainer.nnodes")
    listed = ", ".join(f"{node.name} {node.gpus:g}" for node in cluster.nodes) or "no nodes"
    if cluster.gpus < wanted:
        most = int(max((node.gpus for node in cluster.nodes), default=0))
        full = sum(node.gpus >= most for node in cluster.nodes) if most else 0
        smaller = [f"{RANKS}={most} hardware.nodes={full}"] if most else [CPU_WAY]
        return [
            failed(
                NAME,
                f"the cluster at {cluster.address} has {cluster.gpus:g} GPUs ({listed})",
                f"{wanted} GPUs",
                *smaller,
            )
        ]
    fitting = sum(node.gpus >= each for node in cluster.nodes)
    if fitting < nodes:
        return [
            failed(
                NAME,
                f"{fitting} node(s) of the cluster have {each} GPUs ({listed})",
                f"{nodes} nodes with {each} GPUs",
                f"hardware.nodes={max(fitting, 1)}",
                f"{RANKS}={int(min(node.gpus for node in cluster.nodes if node.gpus))}",
            )
        ]
    if cluster.free_gpus is not None and cluster.free_gpus < wanted:
        return [
            failed(
                NAME,
                f"{cluster.free_gpus:g} of the cluster's {cluster.gpus:g} GPUs are free now",
                f"{wanted} free GPUs: verl would wait for them",
                f"python -m launch.submit list --address {cluster.address}",
            )
        ]
    return [passed(NAME, f"the cluster has {cluster.gpus:g} ({listed}), {wanted} asked for")]


def _by_host(
    wanted: int, driver: DriverGpus, visible: Visible, torch: TorchGpus | None
) -> list[Line]:
    lines: list[Line] = []
    if torch is not None and torch.count is None:
        got = f"torch does not answer: {torch.problem}"
        return [failed(NAME, got, "a torch that imports", GPU_SETUP)]
    if not driver.count and not (torch and torch.count):
        return [
            failed(
                NAME,
                f"no GPU: {driver.problem}{_torch_says(torch)}",
                f"{wanted} GPU(s) for hardware=gpu*",
                CPU_WAY,
            )
        ]
    if visible.problem:
        lines.append(_visible_line(visible, driver, wanted))
    usable = visible.count if driver.count else int(torch.count or 0) if torch else 0
    if torch is not None and torch.count is not None and driver.count:
        if torch.count != visible.count and not (visible.problem and visible.count == 0):
            lines.append(_mismatch(driver, visible, torch))
        elif torch.problem:
            need = "CUDA that initialises"
            lines.append(failed(NAME, torch.problem, need, "nvidia-smi", CPU_WAY))
        usable = min(usable, torch.count)
    if usable < wanted and not any(line.status == "failure" for line in lines):
        lines.append(
            failed(
                NAME,
                f"{usable} GPU(s){_of(driver, visible)}",
                f"{wanted} GPU(s)",
                f"{RANKS}={usable}" if usable else CPU_WAY,
                *([CPU_WAY] if usable else []),
            )
        )
    if lines:
        return lines
    names = torch.names if torch and torch.names else driver.names
    spare = f", {usable - wanted} unused" if usable > wanted else ""
    kind = names[0] if names else "GPU"
    version = f", torch {torch.torch} for CUDA {torch.cuda}" if torch else ""
    return [passed(NAME, f"{wanted} × {kind}{spare}{version}")]


def _torch_says(torch: TorchGpus | None) -> str:
    if torch is None:
        return ""
    build = f"built for CUDA {torch.cuda}" if torch.cuda else "a CPU build"
    return f", and torch {torch.torch} ({build}) sees none"


def _of(driver: DriverGpus, visible: Visible) -> str:
    if visible.value is None:
        return f" on this host ({driver.names[0]})" if driver.names else " on this host"
    return f" of {driver.count} are visible ({VISIBLE}={visible.value})"


def _visible_line(visible: Visible, driver: DriverGpus, wanted: int) -> Line:
    fixes = [f"unset {VISIBLE}"]
    if driver.count >= wanted:
        fixes.append(f"{VISIBLE}={','.join(map(str, range(wanted)))} (before the command)")
    fixes.append(CPU_WAY)
    return failed(
        NAME,
        f"{VISIBLE}={visible.value!r} {visible.problem}",
        f"{wanted} of the {driver.count} GPU(s) that the driver lists, each once",
        *fixes,
    )


def _mismatch(driver: DriverGpus, visible: Visible, torch: TorchGpus) -> Line:
    """Why torch counts otherwise than the driver does."""
    said = f" ({torch.problem})" if torch.problem else ""
    seen = f"the driver shows {visible.count} GPU(s), torch {torch.torch} sees {torch.count}"
    if torch.count == 0 and not torch.cuda:
        return failed(NAME, f"{seen}: it is a CPU build", "torch with CUDA", GPU_SETUP, CPU_WAY)
    if torch.count == 0:
        return failed(
            NAME,
            f"{seen}: CUDA {torch.cuda} does not start{said}"
            ", most often since the driver is older than that CUDA",
            f"a driver for CUDA {torch.cuda}, or a torch for this driver",
            "nvidia-smi (its first line names the driver's CUDA)",
            CPU_WAY,
        )
    got = f"{seen}{said}"
    if driver.slices:
        got += "; CUDA uses one MIG slice a process"
    return failed(NAME, got, "the same count by both", f"{RANKS}={torch.count}", f"unset {VISIBLE}")
