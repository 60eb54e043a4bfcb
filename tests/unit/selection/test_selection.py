"""What is kept of a run's checkpoints for their metric, which one counts, and what chose it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError, RunFolderError
from conf.runs import RunFolder
from launch.bridge.selection import Selection
from launch.plan import policy_folder
from launch.selection import abandon, keep, kept, rows_that_choose


def checkpoint(run: Path, step: int, part: str = "actor") -> Path:
    """A checkpoint as verl leaves it: weights that tell their step, and an optimizer."""
    folder = run / "checkpoints" / f"global_step_{step}"
    (folder / part / "huggingface").mkdir(parents=True)
    (folder / part / "huggingface" / "config.json").write_text("{}")
    (folder / part / "huggingface" / "model.safetensors").write_text(f"weights {step}")
    (folder / part / "optim.pt").write_text("moments")
    return folder


def facts(step: int, value: float, mode: str = "max") -> dict[str, Any]:
    return {"step": step, "value": value, "mode": mode, "metric": "acc"}


@pytest.mark.parametrize(
    ("mode", "values", "best", "left"),
    [
        ("max", {2: 0.5, 4: 0.7, 6: 0.6}, 4, {2, 4}),
        ("min", {2: 0.5, 4: 0.7, 6: 0.4}, 6, {2, 6}),
        ("max", {2: 0.5, 4: 0.5, 6: 0.5}, 2, {2}),  # a tie is no better: the earlier one
        ("max", {2: 0.1, 4: 0.2, 6: 0.3}, 6, {4, 6}),  # the one before it stays, 2 goes
    ],
)
def test_the_best_and_the_one_before_it_are_kept(
    mode: str, values: dict[int, float], best: int, left: set[int], tmp_path: Path
) -> None:
    for step, value in values.items():
        told = keep(tmp_path, checkpoint(tmp_path, step), facts(step, value, mode))
        assert told == (kept(tmp_path)[0].step == step)
        shutil.rmtree(tmp_path / "checkpoints")  # verl keeps its newest only
    found = kept(tmp_path)
    assert found[0].step == best and {one.step for one in found} == left
    assert (found[0].weights / "model.safetensors").read_text() == f"weights {best}"
    assert not (found[0].path / "optim.pt").exists()


def test_weights_are_linked_and_outlive_the_checkpoint(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, 3)
    keep(tmp_path, source, facts(3, 0.5))
    (one,) = kept(tmp_path)
    linked = one.weights / "model.safetensors"
    assert linked.samefile(source / "actor" / "huggingface" / "model.safetensors")
    shutil.rmtree(source)
    assert linked.read_text() == "weights 3"


def test_a_run_that_goes_on_from_before_falls_back(tmp_path: Path) -> None:
    for step, value in {2: 0.5, 4: 0.7}.items():
        keep(tmp_path, checkpoint(tmp_path, step), facts(step, value))
    abandon(tmp_path, after=4)
    assert kept(tmp_path)[0].step == 4
    abandon(tmp_path, after=3)
    assert [one.step for one in kept(tmp_path)] == [2]
    shutil.rmtree(tmp_path / "checkpoints" / "global_step_4")
    assert keep(tmp_path, checkpoint(tmp_path, 4), facts(4, 0.6))


def test_no_weights_at_hand_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "global_step_2"
    folder.mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"no weights in .*huggingface") as error:
        keep(tmp_path, folder, facts(2, 0.5))
    assert "selection.checkpoint=last" in error.value.fix
    assert kept(tmp_path) == [] and not list(tmp_path.glob("best/*"))


def run_folder(tmp_path: Path, chosen: str) -> Path:
    config = {"job": "grpo", "selection": {"checkpoint": chosen, "metric": None}}
    return RunFolder.prepare(tmp_path, "r", "grpo", config, redact=lambda tree: tree).path


def test_a_runs_folder_as_policy_means_its_best_where_it_says_so(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "best")
    with pytest.raises(ConfigError, match="kept no checkpoint as its best"):
        policy_folder(run)
    for step, value in {2: 0.7, 4: 0.5}.items():
        keep(run, checkpoint(run, step), facts(step, value))
    assert policy_folder(run) == run / "best" / "global_step_2" / "huggingface"


def rl(run: Path, metric: str | None = None, chosen: str = "best") -> Selection:
    tree = {
        "run": {"dir": str(run)},
        "trainer": {"default_local_dir": str(run / "checkpoints")},
        "selection": {"checkpoint": chosen, "metric": metric},
    }
    return Selection(OmegaConf.create(tree))


def test_accuracy_counts_items_not_samples_and_no_failed_verdict(tmp_path: Path) -> None:
    run, selection = tmp_path, rl(tmp_path)
    checkpoint(run, 5)
    # Three items: right twice, right in one of one verdict (the other failed), wrong twice.
    uids = ["a", "a", "b", "b", "c", "c"]
    selection.saw(uids, {"acc": [1.0, 1.0, None, 1.0, 0.0, float("nan")], "score": [0.0] * 6})
    selection.validated(5, {})
    said = json.loads((run / "best" / "global_step_5" / "validated.json").read_text())
    assert said["value"] == pytest.approx(2 / 3)
    assert (said["shares"], said["draws"], said["metric"]) == ([1.0, 1.0, 0.0], 4, "acc")


def test_a_metric_by_name_or_the_names_there_are(tmp_path: Path) -> None:
    name = "val-core/gsm8k/acc/mean@1"
    checkpoint(tmp_path, 5)
    with pytest.raises(ConfigError, match=rf"selection.metric=nope is no metric .*\({name}\)"):
        rl(tmp_path, "nope").validated(5, {name: 0.3, "val-aux/x": 1.0})
    rl(tmp_path, name).validated(5, {name: 0.3})
    assert kept(tmp_path)[0].value == 0.3


def test_nothing_is_kept_for_last_or_where_nothing_is_saved(tmp_path: Path) -> None:
    for selection in (rl(tmp_path), rl(tmp_path, chosen="last")):
        selection.saw(["a"], {"acc": [1.0]})
    rl(tmp_path).validated(0, {})
    checkpoint(tmp_path, 5)
    last = rl(tmp_path, chosen="last")
    last.saw(["a"], {"acc": [1.0]})
    last.validated(5, {})
    rl(tmp_path).validated(5, {})  # every verdict failed: nothing is known
    assert not (tmp_path / "best").exists()


def choosing(tmp_path: Path, rows: int, **data: Any) -> list[int]:
    pq.write_table(pa.table({"n": list(range(rows))}), tmp_path / "test.parquet")
    held_out = str(tmp_path / "test.parquet")
    tree = {
        "selection": {"checkpoint": "best"},
        "data_prep": {"out": str(tmp_path)},
        "data": {"val_files": held_out, "shuffle": True, "seed": 1, "val_max_samples": -1, **data},
    }
    return rows_that_choose(OmegaConf.create(tree))


def test_which_rows_chose(tmp_path: Path) -> None:
    assert choosing(tmp_path, 6) == [0, 1, 2, 3, 4, 5]
    assert choosing(tmp_path, 6, val_max_samples=2, shuffle=False) == [0, 1]
    assert choosing(tmp_path, 6, val_files=str(tmp_path / "other.parquet")) == []
    drawn = choosing(tmp_path, 600, val_max_samples=100)
    assert len(set(drawn)) == 100 and drawn == sorted(drawn) and drawn[-1] > 500
