"""The environment that verl, vLLM and Ray see in a run, in one place.

In: the resolved configuration and the attempt's folder. Out: variables for the driver's process
and for Ray's workers. Values that the user has set win, but for those that the run's meaning
depends on (platform, metrics file).
"""

from __future__ import annotations

import os
from pathlib import Path

from omegaconf import DictConfig

# vLLM's KV cache on a CPU, GB: enough for 256 sequences of a small model; 4 by default.
KV_CACHE_GB = "1"


def variables(config: DictConfig, attempt: Path) -> dict[str, str]:
    """What every process of the run has in its environment.

    Args:
        config: the resolved configuration.
        attempt: the attempt's folder, absolute.
    """
    preferred = {
        "TOKENIZERS_PARALLELISM": "true",
        "VLLM_LOGGING_LEVEL": "WARN",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
        "VLLM_NO_USAGE_STATS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray would start one idle Python process for each logical CPU, 32 of them on a laptop.
        "RAY_prestart_worker_first_driver": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Ray would run its workers at nice 15, behind everything else on the machine.
        "RAY_worker_niceness": "0",
        # Seconds that the others wait for a store of Ray's own that crashed; 60 by default, while
        # nothing restarts the one of a Ray that this run started.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "8",
        "PYTHONUNBUFFERED": "1",
    }
    required = {"VERL_FILE_LOGGER_PATH": str(attempt / "metrics.jsonl")}
    if Path(config.policy.path).exists():
        # A local model needs no hub, and a host without network should not wait for one.
        preferred |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if config.hardware.device == "cpu":
        preferred["VLLM_CPU_KVCACHE_SPACE"] = KV_CACHE_GB
        # The engine registry knows the device-agnostic FSDP engine under this name alone.
        required |= {"VERL_PLATFORM": "cpu", "VERL_ENGINE_DEVICE": "cuda"}
    kept = {key: value for key, value in preferred.items() if key not in os.environ}
    return kept | required


def adopt(values: dict[str, str]) -> None:
    """Set the variables in this process, before anything heavy is imported."""
    os.environ.update(values)
