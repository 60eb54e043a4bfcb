"""Numbers that the preflight takes from the wheels of verl, TransferQueue and vLLM.

A change upstream shows here before it shows as a hang.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from launch.preflight.checks_model import CPU_HEAD_SIZES
from launch.preflight.checks_reward import MANAGERS
from launch.preflight.checks_tokens import CRITIC_BUDGET, CRITIC_DEFAULT
from launch.preflight.settings import RL_BUNDLE_CPUS, SFT_BUNDLE_CPUS, STANDALONE_BUNDLE_CPUS


def source(package: str, path: str) -> str:
    """A module's source, without importing its package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return (Path(spec.submodule_search_locations[0]) / path).read_text(encoding="utf-8")


def classes(text: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}


def test_cpus_of_a_bundle() -> None:
    found = classes(source("verl", "single_controller/ray/base.py"))
    (manager,) = [
        node.value.value
        for node in found["ResourcePoolManager"].body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "max_colocate_count"
        and isinstance(node.value, ast.Constant)
    ]
    assert manager == RL_BUNDLE_CPUS
    (init,) = [
        node
        for node in found["RayResourcePool"].body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    ]
    names = [argument.arg for argument in init.args.args]
    defaults = dict(zip(reversed(names), reversed(init.args.defaults), strict=False))
    default = defaults["max_colocate_count"]
    assert isinstance(default, ast.Constant) and default.value == SFT_BUNDLE_CPUS
    # The bundle is that many CPUs; SFT's pool takes the default.
    assert '{"CPU": self.max_colocate_count}' in source("verl", "single_controller/ray/base.py")
    pool = "RayResourcePool(process_on_nodes=[n_gpus_per_node] * nnodes)"
    assert pool in source("verl", "trainer/sft_trainer_ray.py")
    replica = source("verl", "workers/rollout/replica.py")
    assert f"max_colocate_count={STANDALONE_BUNDLE_CPUS}," in replica


def test_one_cpu_for_the_controller_and_each_storage_unit() -> None:
    for path, name in (
        ("controller.py", "TransferQueueController"),
        ("storage/simple_storage.py", "SimpleStorageUnit"),
    ):
        text = source("transfer_queue", path)
        assert re.search(rf"@ray\.remote\(num_cpus=1\)\nclass {name}\b", text), name


def test_other_actors_reserve_no_cpu() -> None:
    """An actor without resources of its own holds none while it lives (Ray's default)."""
    assert "@ray.remote\nclass TaskRunnerV1" in source("verl", "trainer/main_ppo.py")
    for path, line in (
        ("experimental/agent_loop/agent_loop.py", "ray.remote(AgentLoopWorker)"),
        ("experimental/reward_loop/reward_loop.py", "ray.remote(RewardLoopWorker)"),
        ("workers/rollout/vllm_rollout/vllm_async_server.py", "ray.remote(vLLMHttpServer)"),
        ("workers/rollout/router.py", "ray.remote(load_balancer_cls)"),
    ):
        text = source("verl", path)
        assert line in text and "num_cpus" not in text, path
    assert "@ray.remote(num_cpus=1)\nclass RewardComputeWorker" in source(
        "verl", "experimental/reward_loop/reward_manager/remote.py"
    )


def test_head_sizes_of_vllm_on_a_cpu() -> None:
    text = source("vllm", "v1/attention/backends/cpu_attn.py")
    (found,) = re.findall(r"def get_supported_head_sizes.*?return \[([\d, ]+)\]", text, re.S)
    assert tuple(int(size) for size in found.split(",")) == CPU_HEAD_SIZES


def test_critic_takes_its_budget_from_a_key_outside_the_yaml() -> None:
    name = CRITIC_BUDGET.removeprefix("critic.")
    config = source("verl", "workers/config/critic.py")
    assert f"{name}: int = {CRITIC_DEFAULT}" in config
    trainer = source("verl", "trainer/ppo/v1/trainer_base.py")
    assert f"critic_cfg.engine.max_token_len_per_gpu = critic_cfg.{name}" in trainer
    assert name not in source("verl", "trainer/config/critic/critic.yaml")


def test_reward_managers_that_can_be_named() -> None:
    spec = importlib.util.find_spec("verl")
    assert spec is not None and spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "experimental/reward_loop/reward_manager"
    names = {
        name
        for path in folder.glob("*.py")
        for name in re.findall(r'^@register(?:_manager)?\("(\w+)"\)', path.read_text(), re.M)
    }
    assert names == set(MANAGERS)


def test_batch_rules_are_verls() -> None:
    """The lines of verl that `checks_batch` and `checks_steps` speak for."""
    trainer = source("verl", "trainer/ppo/v1/trainer_base.py")
    assert (
        "required_multiple = math.lcm(required_multiple, actor_global_mini_batch_size)" in trainer
    )
    assert "while current_epoch < self.config.trainer.total_epochs" in trainer
    assert "len(self.train_dataset) // self.config.data.train_batch_size" in trainer
    workers = source("verl", "workers/engine_workers.py")
    assert "mini_batch_size % self.engine.get_data_parallel_size() == 0" in workers
    assert "rollout world_size: {self.world_size} is not divisible by infer_world_size" in workers
    engine = source("verl", "workers/engine/utils.py")
    assert "data size must be divisible by force_group_size * micro_batch_size_per_gpu" in engine
    sft = source("verl", "trainer/sft_trainer_ray.py")
    assert "equal_size=True" in sft and "is_valid_step = global_step % self.test_freq == 0" in sft
