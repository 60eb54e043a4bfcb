"""Two ranks train as one: what is sharded must not change what is learned.

GRPO: verl records the rollouts of step 1 in the run with one rank and replays them in the run with
two, so that both update on one batch (samples of their own would differ: verl seeds a replica by
its rank). Rewards are the random control's: whatever the policy says, every group has a gradient.
SFT: both runs read the same rows in the same order anyway.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from conf.runs import RunFolder

BOUND = 1e-4
SECOND_RANK = "model_world_size_2_rank_1.pt"  # the shard that only a run of two ranks leaves
pytestmark = [pytest.mark.full, pytest.mark.timeout(1500)]
Weights = dict[str, np.ndarray]


def _weights(folder: Path) -> Weights:
    return load_file(folder / "huggingface" / "model.safetensors")


def _largest_difference(one: Weights, other: Weights) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def grpo(
    run_job: Callable[..., Any],
    from_sft: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, RunFolder]:
    """Ranks → run of two steps; step 1 is the same batch, step 2 each run's own samples."""
    folder = tmp_path_factory.mktemp("ranks")
    runs = {}
    for ranks in (1, 2):
        _, runs[ranks] = run_job(
            "grpo",
            [
                *from_sft,
                f"run.name=ranks-{ranks}",
                f"hardware.ranks={ranks}",
                "control=random_reward",
                # The recording is found again by the experiment's name.
                "trainer.experiment_name=ranks",
                "skip.rollout_tq.enable=true",
                "skip.rollout_tq.steps=[1]",
                f"skip.rollout_tq.dump_dir={folder / 'recorded'}",
                "trainer.save_freq=1",
                "actor_rollout_ref.actor.optim.lr=1e-3",
            ],
            folder,
        )
    return runs


def test_the_second_run_replayed_the_recording(grpo: dict[int, RunFolder]) -> None:
    said = {n: (run.latest / "stdout.log").read_text() for n, run in grpo.items()}
    assert "Dump TQ batch at step 1" in said[1] and "Injected" not in said[1]
    assert "Injected 32 cached trajectories" in said[2]
    replayed = [
        Counter(r["output"] for r in _lines(g.rollouts_dir / "1.jsonl")) for g in grpo.values()
    ]
    assert replayed[0] == replayed[1]


def test_both_see_the_same_prompts(grpo: dict[int, RunFolder]) -> None:
    """At step 2, which was not replayed."""
    prompts = [
        Counter(r["input"] for r in _lines(g.rollouts_dir / "2.jsonl")) for g in grpo.values()
    ]
    assert prompts[0] == prompts[1]
    assert len(prompts[0]) == 8 and set(prompts[0].values()) == {4}


def test_greedy_validation_is_equal(grpo: dict[int, RunFolder]) -> None:
    said = [
        sorted((r["input"], r["output"], r["score"]) for r in _lines(g.validation_dir / "0.jsonl"))
        for g in grpo.values()
    ]
    assert said[0] == said[1]
    assert len({output for _, output, _ in said[0]}) > 1


def test_one_batch_gives_the_same_gradient_and_weights(
    grpo: dict[int, RunFolder], metrics_of: Callable[..., Any], sft_run: RunFolder
) -> None:
    norms = [metrics_of(run)[1]["actor/grad_norm"] for run in grpo.values()]
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(norms[0], rel=BOUND)
    one, two = (_weights(g.checkpoints_dir / "global_step_1" / "actor") for g in grpo.values())
    assert (grpo[2].checkpoints_dir / "global_step_1" / "actor" / SECOND_RANK).is_file()
    start = _weights(sft_run.checkpoints_dir / "global_step_30")
    moved, apart = _largest_difference(start, one), _largest_difference(one, two)
    print(f"GRPO: grad_norm {norms}, moved {moved:.3g}, ranks apart {apart:.3g}")
    assert moved > 5 * BOUND  # else equality would say little
    assert apart <= BOUND


def test_no_step_trips_the_guard(
    grpo: dict[int, RunFolder], metrics_of: Callable[..., Any]
) -> None:
    for run in grpo.values():
        steps = metrics_of(run)
        assert set(steps) == {0, 1, 2}
        for step in (1, 2):
            assert abs(steps[step]["rollout_corr/k3_kl"]) <= 1e-6
            assert steps[step]["training/rollout_probs_diff_max"] <= 1e-3


def test_sft_on_two_ranks_is_sft_on_one(
    run_job: Callable[..., Any],
    sft_run: RunFolder,
    metrics_of: Callable[..., Any],
    tmp_path: Path,
    world: Any,
) -> None:
    """The shared SFT has one rank; its step 2 is kept."""
    overrides = ["run.name=sft-2", "hardware.ranks=2", "trainer.total_training_steps=2"]
    _, two = run_job("sft", overrides, tmp_path)
    norms = [[metrics_of(r)[step]["train/grad_norm"] for step in (1, 2)] for r in (sft_run, two)]
    a, b = (_weights(run.checkpoints_dir / "global_step_2") for run in (sft_run, two))
    assert (two.checkpoints_dir / "global_step_2" / SECOND_RANK).is_file()
    start = load_file(world.policy / "model.safetensors")
    moved = _largest_difference({k: start[k] for k in a}, a)
    print(f"SFT: grad_norm {norms}, moved {moved:.3g}, ranks apart {_largest_difference(a, b):.3g}")
    assert norms[1] == pytest.approx(norms[0], rel=BOUND)
    assert moved > 10 * BOUND
    assert _largest_difference(a, b) <= BOUND


def test_torchrun_trains_as_ray_does(
    run_job: Callable[..., Any],
    sft_run: RunFolder,
    metrics_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """The fallback, two processes, against the shared SFT under Ray with one."""
    _, run = run_job(
        "sft",
        [
            "run.name=sft-torchrun",
            "hardware.launcher=torchrun",
            "hardware.ranks=2",
            "trainer.total_training_steps=2",
        ],
        tmp_path,
    )
    logs = [(r.latest / "stdout.log").read_text() for r in (sft_run, run)]
    assert ["Started a local Ray instance" in log for log in logs] == [True, False]
    assert (run.checkpoints_dir / "global_step_2" / SECOND_RANK).is_file()
    norms = [[metrics_of(r)[step]["train/grad_norm"] for step in (1, 2)] for r in (sft_run, run)]
    assert norms[1] == pytest.approx(norms[0], rel=BOUND)
    a, b = (_weights(r.checkpoints_dir / "global_step_2") for r in (sft_run, run))
    assert _largest_difference(a, b) <= BOUND
