"""SFT that stops early, and GRPO whose best checkpoint is evaluated on rows that did not choose it.

One SFT of at most 60 steps that validates every fifth, under a `min_delta` that no fall reaches
twice: it has to end at step 15 with step 5 as its best. From there GRPO trains three steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conf.runs import RunFolder
from launch.plan import choosing_rows_of
from launch.selection import kept

pytestmark = pytest.mark.timeout(900)
STOPS = (
    "run.name=stops",
    "trainer.total_training_steps=60",
    "trainer.save_freq=5",
    "trainer.test_freq=5",
    "trainer.max_ckpt_to_keep=2",
    "trainer.total_epochs=10",
    "selection.checkpoint=best",
    "early_stopping.patience=2",
    "early_stopping.min_delta=3",
)


@pytest.fixture(scope="module")
def sft(run_job: Callable[..., Any], world: Any) -> tuple[str, RunFolder]:
    """What it said, and its folder."""
    done, run = run_job("sft", STOPS, world.folder / "cwd")
    return done.stderr, run


@pytest.fixture(scope="module")
def grpo(run_job: Callable[..., Any], world: Any, sft: tuple[str, RunFolder]) -> Any:
    """What it said, and its folder: three steps, each saved and validated."""
    overrides = (
        f"policy.path={sft[1].path}",
        "run.name=best",
        "trainer.total_training_steps=3",
        "trainer.save_freq=1",
        "trainer.test_freq=1",
        "selection.checkpoint=best",
        "evaluation.enable=true",
        "evaluation.n=100",
    )
    done, run = run_job("grpo", overrides, world.folder / "cwd")
    return done.stderr, run


def test_sft_ends_where_the_loss_stopped_falling(
    sft: tuple[str, RunFolder], metrics_of: Callable[[RunFolder], Any]
) -> None:
    said, run = sft
    metrics = metrics_of(run)
    validated = {step: data["val/loss"] for step, data in metrics.items() if "val/loss" in data}
    assert list(validated) == [5, 10, 15] and max(metrics) == 15
    first = f"{validated[5]:.4g} (step 5) by more than 3"
    why = f"in 2 validations val/loss did not fall below {first}"
    assert f"stopped early at step 15 of 60: {why}" in said
    least = min(validated.items(), key=lambda one: one[1])
    assert f"best checkpoint: step {least[0]}, val/loss {least[1]:.4g}, of 3 considered" in said
    assert {path.name for path in run.checkpoints_dir.glob("global_step_*")} == {
        "global_step_10",
        "global_step_15",
    }


def test_the_same_command_finds_it_finished(
    sft: tuple[str, RunFolder], run_job: Callable[..., Any], world: Any
) -> None:
    done, run = run_job("sft", STOPS, world.folder / "cwd")
    assert "is finished: step 15 of 60" in done.stderr and len(run.attempts()) == 1


def test_grpo_starts_from_the_best_of_sft(
    sft: tuple[str, RunFolder], grpo: tuple[str, RunFolder]
) -> None:
    best = kept(sft[1].path)[0]
    config = (grpo[1].path / "latest" / "config.yaml").read_text()
    assert str(best.weights) in config


def test_the_best_is_the_one_with_most_right(
    grpo: tuple[str, RunFolder], metrics_of: Callable[[RunFolder], Any]
) -> None:
    said, run = grpo
    name = "val-core/arithmetic/acc/mean@1"
    values = {step: data[name] for step, data in metrics_of(run).items() if step and name in data}
    assert set(values) == {1, 2, 3}
    most = max(values, key=lambda step: (values[step], -step))
    best = kept(run.path)[0]
    assert best.step == most and best.value == pytest.approx(values[most])
    told = json.loads((run.path / "best" / "best.json").read_text())
    low, high = told["ci95"]
    assert low <= values[most] <= high and told["items"] == 16 and told["method"] == "wilson"
    assert f"best checkpoint: step {most}, held-out acc" in said
    # Linked, and still there when verl has removed its own.
    assert (best.weights / "config.json").is_file() and list(best.weights.glob("*.safetensors"))


def test_the_evaluation_is_of_the_best_on_rows_that_did_not_choose_it(
    grpo: tuple[str, RunFolder],
) -> None:
    from omegaconf import OmegaConf

    _, run = grpo
    results = json.loads((run.eval_dir / "results.json").read_text())
    assert results["after"]["model"] == str(kept(run.path)[0].weights)
    held_out = Path(run.config["data_prep"]["out"]) / "test.parquet"
    choosing = choosing_rows_of(OmegaConf.create(dict(run.config)), held_out)
    asked = {
        item["index"] for item in json.loads((run.eval_dir / "items.json").read_text())["items"]
    }
    assert len(choosing) == 16 and len(asked) == 100 and not asked & set(choosing)
    assert results["data"]["left_out"] == 16
    # verl validated exactly those rows: their questions are in its dump.
    rows = pq.read_table(held_out).to_pylist()
    dumped = [json.loads(line)["input"] for line in (run.validation_dir / "3.jsonl").open()]
    assert len(dumped) == 16
    for row in choosing:
        question = rows[row]["prompt"][-1]["content"]
        assert sum(question in text for text in dumped) == 1, question
    page = run.report_file.read_text()
    assert "Of its checkpoints the best was taken: step" in page
    assert "The 16 rows that chose it were not evaluated." in page
