"""Every workaround of `launch.cpu_platform.workarounds` is still needed by the installed upstream.

One fresh process, without our plugin, asks upstream itself; each entry has its own test, so that
the one that upstream made superfluous is named when it can go.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from launch.cpu_platform.workarounds import WORKAROUNDS

PROBE = r"""
import importlib.metadata, inspect, json, os
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", RANK="0", WORLD_SIZE="1")
needed = {}

def raises(kinds, call):
    try:
        call()
    except kinds:
        return True
    return False

needed["vllm_distribution"] = raises(
    importlib.metadata.PackageNotFoundError, lambda: importlib.metadata.version("vllm")
)
import torch
import torch.distributed as dist
from verl.plugin.platform.platform_manager import PlatformRegistry
needed["platform"] = "cpu" not in PlatformRegistry.registered_names()

from verl.workers.engine.base import EngineRegistry
import verl.workers.engine.fsdp.transformer_impl as fsdp
engines = EngineRegistry._engines["language_model"]["fsdp2"]
needed["engine_device"] = "cpu" not in engines and "cuda" in engines

needed["duplicate_backend"] = raises(
    (ValueError, RuntimeError), lambda: dist.init_process_group("cpu:gloo,cpu:gloo")
)
store = dist.HashStore()
if not dist.is_initialized():
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
from torch.distributed.fsdp import FullyShardedDataParallel
needed["fsdp2"] = raises(
    (ValueError, RuntimeError),
    lambda: FullyShardedDataParallel(
        torch.nn.Linear(4, 4), sync_module_states=True, device_id=torch.device("cpu")
    ),
) and "sync_module_states=True" in inspect.getsource(fsdp)
dist.destroy_process_group()

needed["pinned_offload"] = raises(
    RuntimeError, lambda: torch.zeros(1).pin_memory()
) and "CPUOffloadPolicy(pin_memory=True)" in inspect.getsource(fsdp)

import verl.utils.model
needed["value_head_attention"] = 'attn_implementation="flash_attention_2"' in inspect.getsource(
    verl.utils.model.load_valuehead_model
)

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
default = inspect.signature(ReplayBuffer.__init__).parameters["poll_interval"].default
needed["poll_interval"] = default > 1 and "poll_interval" not in inspect.getsource(
    PPOTrainer._build_replay_buffer
)

from launch.cpu_platform import patches
patches.name_vllm_distribution()  # vLLM knows its own CPU build by this version
from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm
def packed(remove):
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.randn(256, 96), requires_grad=False)
    dispatch_cpu_unquantized_gemm(layer, remove_weight=remove)
    return layer
needed["weight_reload"] = packed(True).weight.numel() == 0
head = packed(False)
x = torch.randn(8, 96)
before = head.cpu_linear(x, head.weight, None).clone()
head.weight.data.mul_(2)
after = head.cpu_linear(x, head.weight, None)
needed["tied_head"] = torch.equal(before, after)
print("NEEDED " + json.dumps(needed))
"""


@pytest.fixture(scope="module")
def needed() -> dict[str, bool]:
    """What upstream says in a process without our plugin."""
    environment = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none"}
    environment.pop("VERL_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=240
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("NEEDED ")]
    assert lines, done.stderr[-3000:]
    result: dict[str, bool] = json.loads(lines[-1].removeprefix("NEEDED "))
    return result


@pytest.mark.parametrize("name", [workaround.name for workaround in WORKAROUNDS])
def test_upstream_still_needs_it(needed: dict[str, bool], name: str) -> None:
    """Upstream as installed fails without the workaround; if not, remove it."""
    assert needed[name], f"upstream no longer needs {name!r}: remove the workaround"


def test_every_probe_belongs_to_a_listed_workaround(needed: dict[str, bool]) -> None:
    """The list and the probes name the same things."""
    assert set(needed) == {workaround.name for workaround in WORKAROUNDS}
