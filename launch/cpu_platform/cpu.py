"""`CpuPlatform`: verl's hardware interface, answered for a host without accelerators.

In: calls from verl's engines, workers and rollout servers. Out: CPU answers (gloo, no IPC, logical
Ray `GPU` slots). It does not patch anything; see `patches.py`.
"""

from __future__ import annotations

import resource
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from verl.plugin.platform.platform_base import PlatformBase

from launch.cpu_platform import DEVICE


def _peak_rss_bytes(*_args: Any) -> int:
    """Peak resident memory of this process in bytes, in place of allocator statistics."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _available_bytes(*_args: Any) -> tuple[int, int]:
    """(available, total) host memory in bytes, as `torch.cuda.mem_get_info` reports a GPU's."""
    fields = {}
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        for line in meminfo:
            name, value = line.split(":", 1)
            fields[name] = int(value.split()[0]) * 1024
    return fields["MemAvailable"], fields["MemTotal"]


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Stand for calls that only mean something on an accelerator (empty_cache, set_device, …)."""


def _device_module() -> types.ModuleType:
    """A `torch.<device>` namespace: `torch.cpu` plus what verl calls on `torch.cuda`."""
    module = types.ModuleType("torch.cpu")
    module.__dict__.update(torch.cpu.__dict__)
    extras: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda *_args: "CPU",
        "get_rng_state": lambda *_args: torch.get_rng_state(),
        "set_rng_state": lambda state, *_args: torch.set_rng_state(state),
        "manual_seed": torch.manual_seed,
        "manual_seed_all": torch.manual_seed,
        "mem_get_info": _available_bytes,
    }
    for name in ("max_memory_allocated", "max_memory_reserved", "memory_allocated"):
        extras[name] = _peak_rss_bytes
    extras["memory_reserved"] = _peak_rss_bytes
    for name in ("empty_cache", "ipc_collect", "reset_peak_memory_stats", "set_device"):
        extras[name] = _nothing
    module.__dict__.update(extras)
    return module


class CpuPlatform(PlatformBase):
    """One CPU host as an "accelerator": each Ray worker with a logical GPU slot is a rank."""

    device_name = DEVICE
    vendor_name = DEVICE
    device_module = _device_module()

    def is_available(self) -> bool:
        """A CPU is always there."""
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Never chosen by auto-detection: `VERL_PLATFORM=cpu` asks for it by name."""
        return False

    def current_device(self) -> torch.device:  # type: ignore[override]
        """The device object: an integer index would mean CUDA to torch."""
        return torch.device(DEVICE)

    def device_count(self) -> int:
        """One device per process."""
        return 1

    def set_device(self, device_index: int) -> None:
        """Nothing to select."""

    def synchronize(self, device_index: int | None = None) -> None:
        """CPU work is synchronous."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch's CPU generator."""
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed torch's CPU generator."""
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """The host allocator has no such settings."""

    def empty_cache(self) -> None:
        """The host allocator caches nothing that could be released."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        """No compute capability."""
        return None, None

    def communication_backend_name(self) -> str:
        """Collectives go over gloo."""
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """The variable that Ray sets for the logical `GPU` slots."""
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self) -> str:
        """Logical slots are Ray's `GPU` resource, so that `num_gpus=N` gives N ranks."""
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """Nothing to hide from Ray."""
        return []

    def is_ipc_supported(self) -> bool:
        """No device IPC: verl sends weights to vLLM through shared memory."""
        return False

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Profiler ranges are a GPU matter."""
        yield

    def profiler_start(self) -> None:
        """No device profiler."""

    def profiler_stop(self) -> None:
        """No device profiler."""

    def cudart(self) -> Any:
        """No CUDA runtime."""
        return None
