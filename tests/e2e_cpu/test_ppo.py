"""PPO with a critic, on the `custom_reward` recipe with a reward of the user's own.

The reward is an importable name here, from a folder on the user's PYTHONPATH; that the recipe's own
`reward.py:score`, a file, trains too is seen in `test_guard`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.runs import RunFolder

pytestmark = pytest.mark.timeout(900)
# Right answers count, as the data's gold answers must; long ones count a little more, so that the
# responses of an untrained policy differ in score.
REWARD = """
def score(response: str, gold: str, per_character: float = 0.0, **row: object) -> float:
    return float(response.endswith(f"#### {gold}")) + per_character * len(response)
"""


@pytest.fixture(scope="module")
def ppo(
    run_job: Callable[..., Any],
    from_sft: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:
    """Two steps."""
    folder = tmp_path_factory.mktemp("ppo")
    package = folder / "mine" / "my_rewards"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "length.py").write_text(REWARD)
    _, run = run_job(
        "ppo",
        [
            *from_sft,
            "+recipe=custom_reward",
            f"data_prep.out={folder / 'data'}",
            "run.name=ppo",
            "reward_fn.name=my_rewards.length:score",
            "+reward_fn.options.per_character=0.001",
            "critic.ppo_micro_batch_size_per_gpu=16",
        ],
        folder,
        env={"PYTHONPATH": str(folder / "mine")},
    )
    return run  # type: ignore[no-any-return]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_critic_is_trained(ppo: RunFolder, metrics_of: Callable[..., Any]) -> None:
    steps = metrics_of(ppo)
    assert set(steps) == {0, 1, 2}
    for step in (1, 2):
        for name in ("critic/vf_loss", "critic/grad_norm", "critic/values/mean", "critic/lr"):
            assert math.isfinite(steps[step][name]), name
        assert steps[step]["critic/grad_norm"] > 0
    # The values have moved: of the first step's critic, and of the critic it was updated to.
    assert steps[1]["critic/values/mean"] != steps[2]["critic/values/mean"]


def test_rollout_and_training_agree(ppo: RunFolder, metrics_of: Callable[..., Any]) -> None:
    for step in (1, 2):
        assert abs(metrics_of(ppo)[step]["rollout_corr/k3_kl"]) <= 1e-6
        assert metrics_of(ppo)[step]["training/rollout_probs_diff_max"] <= 1e-3


def test_scores_are_those_of_the_named_function(ppo: RunFolder) -> None:
    for step in (1, 2):
        rows = _lines(ppo.rollouts_dir / f"{step}.jsonl")
        assert len(rows) == 32
        for row in rows:
            right = row["output"].endswith(f"#### {row['gts']}")
            assert row["score"] == pytest.approx(right + 0.001 * len(row["output"]))
        assert len({row["score"] for row in rows}) > 1


def test_the_checkpoint_holds_actor_and_critic(ppo: RunFolder) -> None:
    saved = ppo.checkpoints_dir / "global_step_2"
    for part in ("actor", "critic"):
        assert (saved / part / "model_world_size_1_rank_0.pt").stat().st_size > 1e6
        assert (saved / part / "optim_world_size_1_rank_0.pt").stat().st_size > 1e6
    assert (saved / "actor" / "huggingface" / "model.safetensors").is_file()
