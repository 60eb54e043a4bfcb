"""The interval and the words for the checkpoint that was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import EvaluationError
from eval.best import best_of, line, main


def run_with(folder: Path, *facts: dict[str, Any]) -> Path:
    for one in facts:
        place = folder / "best" / f"global_step_{one['step']}"
        place.mkdir(parents=True)
        (place / "validated.json").write_text(json.dumps(one))
    values = {"5": 0.6, "10": 0.71, "15": 0.5}
    (folder / "best" / "considered.json").write_text(json.dumps({"values": values}))
    return folder


def rl(step: int, right: int, n: int = 100) -> dict[str, Any]:
    shares = [1.0] * right + [0.0] * (n - right)
    return {"step": step, "metric": "acc", "mode": "max", "value": right / n,
            "shares": shares, "draws": n}  # fmt: skip


def test_single_answers_have_wilsons_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_with(tmp_path, rl(5, 60), rl(10, 71))
    main([str(run)])
    assert capsys.readouterr().out == (
        "best checkpoint: step 10, held-out acc 71.0% [61.5, 79.0], n = 100, of 3 "
        "considered; the best of several looks too good\n"
    )
    said = json.loads((run / "best" / "best.json").read_text())
    # Wilson by hand for 71 of 100: (0.71 + z²/200 ± z·√(0.71·0.29/100 + z²/40000)) / (1 + z²/100)
    assert said["ci95"] == pytest.approx([0.614617, 0.789847], abs=1e-5)
    assert (said["method"], said["items"], said["considered"]) == ("wilson", 100, [5, 10, 15])
    assert said["folder"] == "best/global_step_10/huggingface" and "shares" not in said


def test_several_samples_an_item_are_a_cluster_each(tmp_path: Path) -> None:
    facts = rl(5, 0) | {"shares": [1.0, 0.5, 0.0, 0.5] * 25, "draws": 200, "value": 0.5}
    found = best_of(run_with(tmp_path, facts))
    assert found["method"] == "wilson-cluster"
    # Variance of the item means is 1/8, half that of single answers: as if n were 200 at most.
    half = (found["ci95"][1] - found["ci95"][0]) / 2
    assert 0.066 < half < 0.073


def test_a_loss_has_no_interval_and_the_least_is_the_best(tmp_path: Path) -> None:
    losses = {30: 0.41, 60: 0.35}
    facts = [
        {"step": s, "metric": "val/loss", "mode": "min", "value": v} for s, v in losses.items()
    ]
    found = best_of(run_with(tmp_path, *facts))
    assert found["step"] == 60 and "ci95" not in found
    assert line(found) == (
        "best checkpoint: step 60, val/loss 0.35, of 3 considered; the best of several looks too "
        "good"
    )
    assert line({**found, "considered": [60]}).endswith("val/loss 0.35, of 1 considered")


def test_a_run_without_a_best_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="kept no checkpoint as its best"):
        best_of(tmp_path)
