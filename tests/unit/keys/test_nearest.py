"""Which real key is meant by a wrong one.

1. A key without the path above it finds all keys that end so, in the tree's order.
2. A typo in the last part or in the middle, parts left out, parts swapped, parts too many.
3. Beginnings and initials of names.
4. Nothing is suggested where nothing is alike, and never more than three.
"""

from __future__ import annotations

import pytest

from launch.nearest import nearest

KEYS = [
    "actor_rollout_ref.actor.optim.lr",
    "actor_rollout_ref.actor.ppo_mini_batch_size",
    "actor_rollout_ref.rollout.n",
    "actor_rollout_ref.rollout.val_kwargs.n",
    "actor_rollout_ref.rollout.gpu_memory_utilization",
    "critic.optim.lr",
    "reward.reward_model.rollout.n",
    "distillation.rollout.n",
    "trainer.total_epochs",
    "trainer.test_freq",
    "trainer.n_gpus_per_node",
]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("lr", ["actor_rollout_ref.actor.optim.lr", "critic.optim.lr"]),
        ("optim.lr", ["actor_rollout_ref.actor.optim.lr", "critic.optim.lr"]),
        ("trainer.tota_epochs", ["trainer.total_epochs"]),
        ("total_epochs", ["trainer.total_epochs"]),
        ("actor_rollout_ref.acter.optim.lr", ["actor_rollout_ref.actor.optim.lr"]),
        ("actor.lr", ["actor_rollout_ref.actor.optim.lr"]),
        ("rollout.actor_rollout_ref.n", ["actor_rollout_ref.rollout.n"]),
        ("ppo.trainer.total_epochs", ["trainer.total_epochs"]),
        ("trainer.n_gpu", ["trainer.n_gpus_per_node"]),
        ("critic.optim.learning_rate", ["critic.optim.lr"]),
        ("gpu_memory_utilisation", ["actor_rollout_ref.rollout.gpu_memory_utilization"]),
    ],
)
def test_the_meant_key_comes_first(key: str, expected: list[str]) -> None:
    assert nearest(key, KEYS)[: len(expected)] == expected


def test_a_missing_path_suggests_only_keys_that_end_so() -> None:
    assert nearest("lr", KEYS) == ["actor_rollout_ref.actor.optim.lr", "critic.optim.lr"]


def test_at_most_three() -> None:
    assert nearest("n", KEYS) == [
        "actor_rollout_ref.rollout.n",
        "actor_rollout_ref.rollout.val_kwargs.n",
        "reward.reward_model.rollout.n",
    ]


@pytest.mark.parametrize("key", ["zzz.qqq", "flux_capacitor", "trainer.foo", "x"])
def test_no_suggestion_where_nothing_is_alike(key: str) -> None:
    assert nearest(key, KEYS) == []
