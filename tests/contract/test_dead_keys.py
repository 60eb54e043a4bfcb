"""The table of dead keys against the installed verl, and the scan against planted code.

1. The shipped table is what the wheel says, for the installed version.
2. It holds the families that users are known to set in vain, with the keys to use instead.
3. Keys that verl demonstrably obeys are not in it.
4. Every dead key is a leaf of the tree, and every replacement a living key.
5. The scan finds a planted dead key and none of the ways in which code may read a key.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from launch import derive_dead_keys
from launch.dead_keys import TABLE, load
from launch.derive_dead_keys import Trainer, derive
from launch.keyscan.index import package_folder
from launch.keyscan.tree import Tree, compose_tree
from launch.keyscan.verdict import Verdict


def test_the_shipped_table_is_what_the_wheel_says() -> None:
    derived = derive_dead_keys.render(derive_dead_keys.derive_table())
    assert TABLE.read_text(encoding="utf-8") == derived


@pytest.mark.parametrize(
    ("key", "use"),
    [
        ("custom_reward_function.path", "reward.custom_reward_function.path"),
        ("custom_reward_function.name", "reward.custom_reward_function.name"),
        ("reward_model.enable", "reward.reward_model.enable"),
        ("reward_model.reward_manager", "reward.reward_manager.name"),
        ("reward_model.model.path", "reward.reward_model.model_path"),
        ("reward_model.num_workers", "reward.num_workers"),
        ("sandbox_fusion.url", "reward.sandbox_fusion.url"),
        (
            "algorithm.filter_groups.max_num_gen_batches",
            "algorithm.filter_groups.max_inflight_gen_batches",
        ),
    ],
)
def test_known_families_are_dead_and_replaced(key: str, use: str) -> None:
    assert load("ppo_trainer").dead[key].use == use


def test_whole_legacy_nodes_are_dead() -> None:
    tree = compose_tree(package_folder("verl") / "trainer" / "config", "ppo_trainer")
    legacy = {"custom_reward_function", "reward_model", "sandbox_fusion"}
    leaves = {".".join(leaf) for leaf in tree.leaves if leaf[0] in legacy}
    assert len(leaves) > 30
    assert leaves <= set(load("ppo_trainer").dead)


# Each was seen to change what verl does, or is read where the comment says.
OBEYED = {
    "ppo_trainer": [
        "actor_rollout_ref.actor.optim.lr",
        "actor_rollout_ref.actor.fsdp_config.wrap_policy.min_num_params",  # through a helper
        "actor_rollout_ref.actor.optim.warmup_style",  # deprecated, still copied
        "actor_rollout_ref.model.lora.dropout_position",  # whole node to Megatron-Bridge
        "actor_rollout_ref.rollout.engine_kwargs.vllm",  # whole node to vLLM
        "actor_rollout_ref.rollout.val_kwargs.do_sample",
        "actor_rollout_ref.actor.profiler.tool_config.torch.schedule.skip_first",
        "algorithm.filter_groups.max_inflight_gen_batches",
        "algorithm.rollout_correction.bypass_mode",
        "data.train_batch_size",
        "global_profiler.global_tool_config.nsys.worker_nsight_options.kill",
        "global_profiler.global_tool_config.torch_memory.stack_depth",  # by interpolation
        "ray_kwargs.ray_init.num_cpus",  # whole node to ray.init
        "reward.reward_manager.name",
        "transfer_queue.backend.SimpleStorage.total_storage_size",  # whole node to TransferQueue
        "trainer.checkpoint_callback_class",
    ],
    "sft_trainer_engine": [
        "data.max_length",
        "engine.ulysses_sequence_parallel_size",
        "optim.lr",
        "trainer.balance_batch",  # dead for PPO, not for SFT
        "model.lora_rank",
    ],
}


@pytest.mark.parametrize("root", OBEYED)
def test_keys_that_verl_obeys_are_alive(root: str) -> None:
    tree = compose_tree(package_folder("verl") / "trainer" / "config", root)
    leaves = {".".join(leaf) for leaf in tree.leaves}
    assert set(OBEYED[root]) <= leaves
    assert not set(OBEYED[root]) & set(load(root).dead)


@pytest.mark.parametrize("root", OBEYED)
def test_dead_keys_are_leaves_and_replacements_live(root: str) -> None:
    tree = compose_tree(package_folder("verl") / "trainer" / "config", root)
    leaves = {".".join(leaf) for leaf in tree.leaves}
    table = load(root)
    assert set(table.dead) <= leaves
    uses = {entry.use for entry in table.dead.values()} - {""}
    assert uses <= (leaves - set(table.dead)) | table.by_name


def test_keys_verl_reads_by_name_alone_may_be_added() -> None:
    table = load("ppo_trainer")
    assert "reward.custom_reward_function.reward_kwargs" in table.by_name
    assert "actor_rollout_ref.rollout.agent.agent_loop_manager_class" in table.by_name
    assert "critic.ppo_infer_max_token_len_per_gpu" in table.by_name
    assert "actor_rollout_ref.model.override_config" in table.open


# A package in miniature. Every key under `live` is read in the way its name says; of `gone` nothing
# is obeyed, though most of its names occur.
PACKAGE = {
    "__init__.py": "",
    "legacy.py": """
        def old(config):
            return config.gone.by_legacy_module
        """,
    "outside.py": """
        def unpack(**options):
            return options
        """,
    "config.py": """
        from dataclasses import dataclass
        from typing import Any

        @dataclass
        class Part:
            field_read: int = 0
            field_unread: int = 0
            field_absent: int = 0
            extra: dict[str, Any] = None

            def check(self):
                return self.field_read + self.field_absent + len(self.extra)
        """,
    "main.py": """
        import json
        import logging
        from omegaconf import OmegaConf
        from mini.outside import unpack
        from mini.worker import Worker

        logger = logging.getLogger(__name__)

        def pick(node, name, default=None):
            return node.get(name, default)

        def never_called(config):
            config.live.by_attribute = config.gone.by_dead_function
            return config.gone.by_dead_function

        def main(config):
            if not config.trainer.new:
                from mini.legacy import old
                return old(config)
            live = config.live
            total = live.by_attribute + live["by_subscript"] + live.get("by_get", 0)
            total += getattr(live, "by_getattr", 0)
            total += OmegaConf.select(config, "live.by_select")
            total += pick(live, "by_helper")
            if "by_in" in live:
                total += 1
            for name in ("by_loop_one", "by_loop_two"):
                total += live[name]
            unpack(**config.live.by_unpacking)
            json.dumps(OmegaConf.to_container(config.live.by_container))
            number = config.gone.by_warning
            if number > 0:
                logger.warning("by_warning is ignored: %s", number)
            print(config.gone.by_print)
            config.gone.by_writing = 3
            rows = load_rows()
            total += rows.items["untaken"]["by_other_object"]
            total += to_dataclass(config.typed).check()
            plugin = find_class(config.handed.name)
            plugin(config=config.handed)
            Worker.remote(config=config.nested.deep).run()
            logger.info(config.trainer.name)
            return total, config.trainer.absent if "absent" in config.trainer else 0

        def load_rows():
            return object()

        def to_dataclass(node):
            from hydra.utils import instantiate
            return instantiate(node)

        def find_class(name):
            return name
        """,
    "worker.py": """
        from mini.config import Part

        class Worker:
            def __init__(self, config):
                self.config = config

            def run(self):
                part = make(self.config.part)
                part.check()
                return self.config.by_worker

        def make(node):
            return Part(**node)
        """,
}
TREE = {
    "trainer": {"new": True, "name": "x"},
    "live": {
        "by_attribute": 1,
        "by_subscript": 1,
        "by_get": 1,
        "by_getattr": 1,
        "by_select": 1,
        "by_helper": 1,
        "by_in": 1,
        "by_loop_one": 1,
        "by_loop_two": 1,
        "by_unpacking": {"one": 1, "two": {"three": 3}},
        "by_container": {"four": 4},
    },
    "nested": {"deep": {"by_worker": "${interpolated.value}", "part": {"field_read": 1}}},
    "interpolated": {"value": 1, "other": 2},
    "handed": {"name": "x", "unread": 1},
    "gone": {
        "by_warning": 0,
        "by_print": 0,
        "by_writing": 0,
        "by_legacy_module": 0,
        "by_dead_function": 0,
        "never_named": 0,
    },
    "untaken": {"by_other_object": 0},
    "typed": {"_target_": "mini.config.Part", "field_read": 0, "field_unread": 0},
    "same_name": {"by_attribute": 0},
}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    folder: Path = tmp_path_factory.mktemp("mini") / "mini"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
    trainer = Trainer(["mini.main"], ["mini.legacy"], ["main"])
    return derive(folder, "mini", Tree.of("mini", TREE), trainer)


def test_each_way_of_reading_counts(verdict: Verdict) -> None:
    flagged = {key for key in verdict.dead if key.startswith(("live.", "nested.", "trainer."))}
    assert flagged - {"trainer.name"} == set()


def test_planted_dead_keys_are_found(verdict: Verdict) -> None:
    gone = {f"gone.{name}" for name in TREE["gone"]}
    elsewhere = {"handed.unread", "interpolated.other", "trainer.name", "typed.field_unread"}
    assert gone | elsewhere <= set(verdict.dead)


def test_a_node_that_is_never_taken_from_the_root_is_dead(verdict: Verdict) -> None:
    """Rows and other objects have keys of the same names; they prove nothing."""
    assert verdict.dead["untaken.by_other_object"].reason == "nothing reads the node untaken"
    assert verdict.dead["same_name.by_attribute"].reason == "nothing reads the node same_name"


def test_what_a_living_key_interpolates_lives(verdict: Verdict) -> None:
    assert "interpolated.value" not in verdict.dead


def test_code_that_copies_an_old_key_names_the_new_one(verdict: Verdict) -> None:
    assert verdict.dead["gone.by_dead_function"].use == "live.by_attribute"


def test_nodes_for_plugins_and_nodes_passed_whole_are_open(verdict: Verdict) -> None:
    assert {"handed", "live.by_unpacking", "live.by_container"} <= set(verdict.open)


def test_a_key_looked_up_though_absent_may_be_added(verdict: Verdict) -> None:
    assert "trainer.absent" in verdict.by_name


def test_fields_of_a_dataclass_may_be_added(verdict: Verdict) -> None:
    assert {"typed.field_absent", "typed.extra"} <= set(verdict.by_name)
    assert "typed.field_read" not in verdict.dead
