"""What is kept of a run's checkpoints for their metric, which one counts, and what chose it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from conf.errors import ConfigError, RunFolderError
from conf.runs import RunFolder
from launch.bridge.selection import Selection
from launch.plan import policy_folder
from launch.run_metrics import merge_metrics
from launch.selection import abandon, by_loss, consider_saved, keep, kept
from launch.selection_rows import choosing_rows


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
        keep(tmp_path, checkpoint(tmp_path, step), facts(step, value, mode))
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


def names(run: Path) -> set[str]:
    return {path.name for path in (run / "best").iterdir()}


def test_a_run_that_goes_on_from_before_falls_back_and_loses_nothing(tmp_path: Path) -> None:
    for step, value in {2: 0.5, 4: 0.7}.items():
        keep(tmp_path, checkpoint(tmp_path, step), facts(step, value))
    (tmp_path / "best" / ".global_step_5.x.tmp").mkdir()  # killed while linking
    assert abandon(tmp_path, after=4) == [] and kept(tmp_path)[0].step == 4
    (note,) = abandon(tmp_path, after=3)
    assert note == ("best/global_step_4 lies beyond step 3; set aside as abandoned_1_global_step_4")
    aside = tmp_path / "best" / "abandoned_1_global_step_4"
    assert (aside / "huggingface" / "model.safetensors").read_text() == "weights 4"
    assert [one.step for one in kept(tmp_path)] == [2]
    # Trained again, step 4 is considered anew.
    shutil.rmtree(tmp_path / "checkpoints" / "global_step_4")
    keep(tmp_path, checkpoint(tmp_path, 4), facts(4, 0.6))
    assert kept(tmp_path)[0].value == 0.6
    abandon(tmp_path, after=0)
    assert names(tmp_path) == {
        "considered.json",
        "abandoned_1_global_step_4",
        "abandoned_2_global_step_4",
        "abandoned_1_global_step_2",
    }


def test_a_step_is_considered_once_and_what_is_no_number_never(tmp_path: Path) -> None:
    keep(tmp_path, checkpoint(tmp_path, 2), facts(2, float("nan")))
    assert kept(tmp_path) == []
    keep(tmp_path, checkpoint(tmp_path, 4), facts(4, 0.5))
    keep(tmp_path, tmp_path / "checkpoints" / "global_step_2", facts(2, 0.4))
    keep(tmp_path, tmp_path / "checkpoints" / "global_step_2", facts(2, 0.9))  # another draw
    assert [(one.step, one.value) for one in kept(tmp_path)] == [(4, 0.5)]
    said = json.loads((tmp_path / "best" / "considered.json").read_text())
    assert said == {"metric": "acc", "mode": "max", "values": {"4": 0.5, "2": 0.4}}


def test_another_metric_is_never_compared_with_the_former(tmp_path: Path) -> None:
    keep(tmp_path, checkpoint(tmp_path, 2), facts(2, 0.5))
    keep(tmp_path, checkpoint(tmp_path, 4), facts(4, -0.1) | {"metric": "reward"})
    assert [(one.step, one.value) for one in kept(tmp_path)] == [(4, -0.1)]
    assert "abandoned_1_global_step_2" in names(tmp_path)


def test_no_weights_at_hand_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "global_step_2"
    folder.mkdir(parents=True)
    with pytest.raises(RunFolderError, match=r"no weights in .*huggingface") as error:
        keep(tmp_path, folder, facts(2, 0.5))
    assert "selection.checkpoint=last" in error.value.fix
    assert kept(tmp_path) == [] and not (tmp_path / "best").exists()


def run_folder(tmp_path: Path, chosen: str) -> Path:
    config = {"job": "grpo", "selection": {"checkpoint": chosen, "metric": None}}
    return RunFolder.prepare(tmp_path, "r", "grpo", config, redact=lambda tree: tree).path


def test_a_runs_folder_as_policy_means_its_best_where_it_says_so(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "best")
    with pytest.raises(ConfigError, match="kept no checkpoint as its best"):
        policy_folder(run)
    for step, value in {2: 0.7, 4: 0.5}.items():
        keep(run, checkpoint(run, step), facts(step, value))
    best = run / "best" / "global_step_2" / "huggingface"
    assert policy_folder(run) == policy_folder(run, "best") == best
    # What a command asks for counts, not what the run was begun with.
    with pytest.raises(ConfigError, match="has no complete checkpoint"):
        policy_folder(run, "last")
    with pytest.raises(ConfigError) as error:
        policy_folder(run_folder(tmp_path / "other", "last"), "best")
    assert error.value.fix == "selection.checkpoint=last"


def test_what_sft_saved_before_a_kill_is_considered_afterwards(tmp_path: Path) -> None:
    run = RunFolder.prepare(tmp_path, "r", "sft", {"job": "sft"}, redact=lambda tree: tree)
    folder = checkpoint(run.path, 5, part=".")
    for name in ("model", "optim", "extra_state"):
        with zipfile.ZipFile(folder / f"{name}_world_size_1_rank_0.pt", "w") as file:
            file.writestr("data.pkl", "x")
    shutil.copy(folder / "model_world_size_1_rank_0.pt", folder / "data_0.pt")
    (folder / "fsdp_config.json").write_text('{"world_size": 1}')
    lines = [{"step": 5, "data": {"train/loss": 1.0}}, {"step": 5, "data": {"val/loss": 0.1}}]
    attempt = run.new_attempt(from_step=0)
    attempt.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    merge_metrics(run)
    consider_saved(run)
    consider_saved(run)
    assert [(one.step, one.value) for one in kept(run.path)] == [(5, 0.1)]
    keep(run.path, checkpoint(run.path, 10, part="."), by_loss(10, 0.9))
    assert kept(run.path)[0].step == 5


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
    one = np.float32(1.0)
    # Three items: right twice, right in one of one verdict (the other failed), wrong twice.
    uids = ["a", "a", "b", "b", "c", "c"]
    selection.saw(uids, {"acc": [one, True, None, 1.0, 0.0, float("nan")], "score": [0.0] * 6})
    selection.validated(5, {})
    said = json.loads((run / "best" / "global_step_5" / "validated.json").read_text())
    assert said["value"] == pytest.approx(2 / 3)
    assert (said["shares"], said["draws"], said["metric"]) == ([1.0, 1.0, 0.0], 4, "acc")


def test_a_metric_by_name_or_the_names_there_are(tmp_path: Path) -> None:
    name = "val-core/gsm8k/acc/mean@1"
    checkpoint(tmp_path, 5)
    for step in (0, 5):  # before the first step, not at the first save
        with pytest.raises(ConfigError, match=rf"selection.metric=nope is no metric .*\({name}\)"):
            rl(tmp_path, "nope").validated(step, {name: 0.3, "val-aux/x": 1.0})
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


def test_last_asks_nothing_of_the_verdicts(tmp_path: Path) -> None:
    rl(tmp_path, chosen="last").saw(["a"], {})


def test_a_metric_does_not_change_within_a_run(tmp_path: Path) -> None:
    selection = rl(tmp_path)
    for step in (5, 10):
        checkpoint(tmp_path, step)
    selection.saw(["a", "b"], {"acc": [1.0, 0.0], "reward": [0.1, 0.2]})
    selection.validated(5, {})
    selection.saw(["a", "b"], {"reward": [0.9, 0.9]})  # every verdict without an `acc`
    selection.validated(10, {})
    assert [(one.step, one.value) for one in kept(tmp_path)] == [(5, 0.5)]


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    for name, rows in (("test", 6), ("other", 4)):
        pq.write_table(pa.table({"n": list(range(rows))}), tmp_path / f"{name}.parquet")
    return tmp_path / "test.parquet"


def test_which_rows_chose(held_out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, other = str(held_out), str(held_out.with_name("other.parquet"))
    assert choosing_rows([test], held_out, -1, True, 1) == [0, 1, 2, 3, 4, 5]
    assert choosing_rows([test], held_out, 2, False, 1) == [0, 1]
    assert choosing_rows([other], held_out, 2, False, 1) == []
    # Rows count through the files: 4 of `other` come first, or the 6 of `test`.
    assert choosing_rows([other, test], held_out, 6, False, 1) == [0, 1]
    assert choosing_rows([test, other], held_out, 8, False, 1) == [0, 1, 2, 3, 4, 5]
    monkeypatch.chdir(held_out.parent)
    roundabout = str(held_out.parent / "x" / ".." / "test.parquet")
    for path in ("test.parquet", roundabout):
        assert choosing_rows([path], held_out, 2, False, 1) == [0, 1]
