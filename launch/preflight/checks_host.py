"""The host: disk, memory, shared memory, and a run folder that can be written.

In: `Settings`, the model's parameters and the planned steps where they are known. Out: lines.
Sizes are estimates and say so: fp32 training with Adam writes 4 + 8 bytes a parameter (weights and
two moments) and holds 16 in memory (gradients too).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from launch.preflight.arithmetic import ceil_div
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import ROLLOUT, Settings

GB = 1e9
CHECKPOINT_BYTES = 12  # a parameter: fp32 weights and Adam's two moments
EXPORT_BYTES = 4  # a parameter, where save_contents has hf_model
TRAINING_BYTES = 16  # a parameter in memory: weights, gradients, two moments, all fp32
RANK_GB, ENGINE_GB, ACTOR_GB, DRIVER_GB = 1.0, 2.0, 0.5, 1.5  # processes beside their tensors
SHM = Path("/dev/shm")
SHM_LOW_GB = 1.0
RAY_DISK_LIMIT = 0.95  # Ray stops writing objects to disk above this share in use
RESUME = "resume"


@dataclass(frozen=True)
class Checkpoints:
    """How checkpoints of a run add up.

    Attributes:
        kept: how many lie on disk at most.
        each: bytes of one, critic included.
        keep_key: the override that bounds them.
        unbounded: whether none is ever removed.
        best: bytes of the weights that are kept for their metric, beside the checkpoints.
    """

    kept: int
    each: float
    keep_key: str
    unbounded: bool
    best: float = 0.0

    @property
    def total(self) -> float:
        """Bytes of all that are kept."""
        return self.kept * self.each + self.best


def plan_checkpoints(
    settings: Settings, parameters: int | None, steps: int | None
) -> Checkpoints | None:
    """Add up the checkpoints of a run; None where parameters or steps are not known."""
    if parameters is None or steps is None:
        return None
    freq = settings["trainer.save_freq"]
    if settings.is_sft:
        per_epoch = max(steps // settings.positive("trainer.total_epochs"), 1)
        freq = per_epoch if freq == "after_each_epoch" else freq
        saves = ceil_div(steps, freq) if freq > 0 else 1
        keep_key, contents = "trainer.max_ckpt_to_keep", settings["checkpoint.save_contents"]
    else:
        saves = ceil_div(steps, freq) if freq > 0 else 0
        keep_key = "trainer.max_actor_ckpt_to_keep"
        contents = settings["actor_rollout_ref.actor.checkpoint.save_contents"]
    keep = settings.optional_whole(keep_key)
    each = parameters * (CHECKPOINT_BYTES + (EXPORT_BYTES if "hf_model" in contents else 0))
    if settings.uses_critic:
        each += parameters * CHECKPOINT_BYTES
    # With a bound of 1 verl removes the old one only when the new one is whole.
    kept = min(saves, max(keep, 2)) if keep is not None else saves
    best = 2.0 * parameters * EXPORT_BYTES if settings["selection.checkpoint"] == "best" else 0.0
    return Checkpoints(kept, float(each), keep_key, keep is None, best)


def check_disk(settings: Settings, plan: Checkpoints | None) -> list[Line]:
    """Free disk for the checkpoints and what must stay free, and Ray's own scratch space.

    Args:
        settings: the composed configuration.
        plan: the checkpoints of this run; None where they cannot be estimated.
    """
    parent = existing_parent(settings.run_dir)
    try:
        free = shutil.disk_usage(parent).free
    except OSError as error:
        got = f"{parent}: {error.strerror}"
        return [failed("disk", got, "a disk that can be read", "run.root=/another/disk")]
    spare = float(settings["preflight.min_free_gb"]) * GB
    there = folder_bytes(settings.run_dir / "checkpoints")
    need = spare + max((plan.total if plan else 0.0) - there, 0.0)
    lines: list[Line] = []
    what = f"{settings['preflight.min_free_gb']:g} GB to stay free"
    if plan:
        what = f"{plan.kept} checkpoint(s) of about {plan.each / GB:.2g} GB, and {what}"
    if free < need:
        fixes = ["run.root=/another/disk"]
        fitting = int((free - spare) // plan.each) if plan and plan.each else 0
        if plan and 2 <= fitting < plan.kept:
            fixes.insert(0, f"{plan.keep_key}={fitting}")
        need_text = f"about {need / GB:.3g} GB: {what}"
        lines.append(failed("disk", f"{free / GB:.3g} GB free at {parent}", need_text, *fixes))
    elif plan and plan.unbounded and plan.kept > 3:
        lines.append(
            warned(
                "disk",
                f"all {plan.kept} checkpoints are kept, about {plan.total / GB:.3g} GB",
                "a bound",
                f"{plan.keep_key}=2",
            )
        )
    else:
        lines.append(passed("disk", f"{free / GB:.3g} GB free; {what}"))
    return lines + _ray_scratch()


def _ray_scratch() -> list[Line]:
    scratch = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    usage = shutil.disk_usage(existing_parent(scratch))
    share = (usage.total - usage.free) / usage.total if usage.total else 0.0
    if share < RAY_DISK_LIMIT:
        return []
    return [
        warned(
            "disk",
            f"{scratch} is {share:.0%} full: Ray stops spilling objects at {RAY_DISK_LIMIT:.0%}",
            "room for Ray's scratch files",
            "RAY_TMPDIR=/another/disk (before the command)",
        )
    ]


def check_run_folder(settings: Settings) -> list[Line]:
    """Whether the run's folder can be made and written; nothing of it is made here."""
    target = settings.run_dir
    parent = existing_parent(target)
    way = "run.root=/a/folder/you/may/write"
    if not parent.is_dir():
        return [failed("run folder", f"{parent} is a file", "a folder", way)]
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        got = f"{parent} cannot be written ({error.strerror})"
        return [failed("run folder", got, f"to make {target}", way)]
    return [passed("run folder", f"{target}")]


def check_memory(settings: Settings, parameters: int | None, available: float) -> list[Line]:
    """Host memory against an estimate of what the processes will hold.

    Args:
        settings: the composed configuration.
        parameters: of the policy; None when not known.
        available: bytes.
    """
    tensors, processes = memory_need(settings, parameters or 0)
    need = tensors + processes
    text = f"{available / GB:.3g} GB available, about {need / GB:.2g} GB needed"
    if available < tensors:
        return [
            failed(
                "memory",
                f"{available / GB:.3g} GB available",
                f"{tensors / GB:.3g} GB for the model's tensors alone",
                "policy.path=/a/smaller/model",
                "hardware=gpu1",
            )
        ]
    if available < need:
        return [warned("memory", text, "memory for all processes", "hardware.ranks=1")]
    return [passed("memory", text)]


def memory_need(settings: Settings, parameters: int) -> tuple[float, float]:
    """Host memory in bytes: of the model's tensors, and of the processes beside them.

    On GPUs the tensors that count here are the copies that the ranks load (4 bytes a parameter,
    each on its own where embeddings are tied); on a CPU all of training and of vLLM.
    """
    world = settings.world
    processes = world * RANK_GB + DRIVER_GB
    if settings.device != "cpu":
        return world * 4.0 * parameters, processes * GB
    tensors = float(TRAINING_BYTES) * parameters
    if settings.is_sft:
        return tensors, processes * GB
    engines = max(world // settings.positive(f"{ROLLOUT}.tensor_model_parallel_size"), 1)
    processes += engines * ENGINE_GB
    workers = settings.positive(f"{ROLLOUT}.agent.num_workers") + settings.positive(
        "reward.num_workers"
    )
    processes += workers * ACTOR_GB
    tensors += engines * 4.0 * parameters
    if settings.uses_reference:
        tensors += 4.0 * parameters
    if settings.uses_critic:
        tensors += TRAINING_BYTES * parameters
    return tensors, processes * GB


def check_shared_memory(settings: Settings, parameters: int | None, free: float) -> list[Line]:
    """/dev/shm, which Ray's object store and the weight sync use.

    Args:
        settings: the composed configuration.
        parameters: of the policy; None when not known.
        free: bytes free in /dev/shm.
    """
    lines: list[Line] = []
    more = "docker run --shm-size=8g, or --ipc=host"
    if not settings.is_sft and settings.device == "cpu":
        # Without IPC between devices, verl hands weights over in one shared bucket a rank.
        key = f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes"
        bucket = settings.positive(key) * 2**20
        used = settings.world * min(bucket, 4 * parameters if parameters else bucket)
        if free < used:
            fit = max(int(free / settings.world / 2**20 / 2), 1)
            lines.append(
                failed(
                    "shared memory",
                    f"{free / GB:.2g} GB free in {SHM}",
                    f"{used / GB:.2g} GB for the weight sync of {settings.world} rank(s)",
                    f"{key}={fit}",
                    more,
                )
            )
    if not lines and free < SHM_LOW_GB * GB:
        need = f"{SHM_LOW_GB:g} GB, or Ray's object store goes to disk"
        lines.append(warned("shared memory", f"{free / GB:.2g} GB free in {SHM}", need, more))
    return lines or [passed("shared memory", f"{free / GB:.3g} GB free in {SHM}")]


def free_shared_memory() -> float:
    """Bytes free in /dev/shm; 0 where there is none."""
    return float(shutil.disk_usage(SHM).free) if SHM.is_dir() else 0.0


def available_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes of memory that new processes can have: the host's, or the container's if less."""
    import psutil

    available = float(psutil.virtual_memory().available)
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or no limit ("max")
        return available
    return min(available, float(max(limit - used, 0)))


def existing_parent(path: Path) -> Path:
    """The nearest path upwards that exists, `path` itself included."""
    here = path.expanduser().absolute()
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    return here


def folder_bytes(folder: Path) -> float:
    """Bytes of the files below a folder, 0 where there is none."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # removed meanwhile, as old checkpoints are
                continue
    return float(total)


def check_resume(settings: Settings) -> list[Line]:
    """Whether what is kept of the checkpoints lets a killed run go on.

    verl removes the old checkpoint before it records the new one's step, so that one alone may be
    none; and with `async_save` FSDP never writes the tracker that says which one is whole.
    """
    actor, critic = "trainer.max_actor_ckpt_to_keep", "trainer.max_critic_ckpt_to_keep"
    keys = ["trainer.max_ckpt_to_keep"] if settings.is_sft else [actor]
    keys += [critic] if settings.uses_critic else []
    lines = [
        failed(RESUME, f"{key}=1", "2, or a kill while saving leaves none", f"{key}=2")
        for key in keys
        if settings.optional_whole(key) == 1
    ]
    node = "checkpoint" if settings.is_sft else "actor_rollout_ref.actor.checkpoint"
    if settings.optional(f"{node}.async_save"):
        need = "false: FSDP would never say which checkpoint is whole"
        lines.append(failed(RESUME, f"{node}.async_save=true", need, f"{node}.async_save=false"))
    return lines or [passed(RESUME, "a killed run goes on from its newest complete checkpoint")]
