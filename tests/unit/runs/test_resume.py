"""Going on after a kill: which checkpoint, and metrics without gap or duplicate.

The scenes follow verl 0.9.1's order of writing: RL saves N, writes the tracker, logs N; on resuming
it validates at N again (a record of step N with only val-* keys). SFT logs N, its validation in a
second record, then saves.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from conf.errors import TrainingError
from conf.runs import RunFolder
from launch.resume import (
    check_metrics,
    find_complete_checkpoint,
    merge_metrics,
    newest_complete_checkpoint,
)
from launch.run_metrics import start_of

TRACKER = "latest_checkpointed_iteration.txt"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return make(tmp_path, "grpo")


def make(root: Path, job: str) -> RunFolder:
    return RunFolder.prepare(root, "r", job, {"job": job}, redact=lambda tree: tree)


def train(step: int, attempt: int = 1, **more) -> dict:
    return {"step": step, "data": {"critic/score/mean": step + attempt / 10, **more}}


def validate(step: int, attempt: int = 1) -> dict:
    return {"step": step, "data": {"val-core/acc": step + attempt / 10}}


def log(run: RunFolder, start: int, *records: dict, torn: str = "") -> None:
    attempt = run.new_attempt(from_step=start)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    attempt.metrics_file.write_text(lines + torn)


def shard() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:  # what torch.save writes is a zip
        file.writestr("archive/data.pkl", b"x" * 1000)
    return buffer.getvalue()


def part(folder: Path, ranks: int = 1) -> None:
    (folder / "huggingface").mkdir(parents=True)
    (folder / "huggingface/config.json").write_text("{}")
    (folder / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": ranks}))
    for kind in ("model", "optim", "extra_state"):
        for rank in range(ranks):
            (folder / f"{kind}_world_size_{ranks}_rank_{rank}.pt").write_bytes(shard())


def save(run: RunFolder, step: int, *parts: str, ranks: int = 1, tracker: bool = True) -> Path:
    folder = run.checkpoints_dir / f"global_step_{step}"
    for name in parts or ("actor",):
        part(folder / name, ranks)
    (folder / ("data_0.pt" if parts == (".",) else "data.pt")).write_bytes(shard())
    if tracker:
        (run.checkpoints_dir / TRACKER).write_text(str(step))
    return folder


def tracked(run: RunFolder) -> int:
    return int((run.checkpoints_dir / TRACKER).read_text())


def merged(run: RunFolder) -> list[dict]:
    return [json.loads(line) for line in run.metrics_file.read_text().splitlines()]


def test_nothing_yet(run):
    assert find_complete_checkpoint(run) is None
    point = newest_complete_checkpoint(run)
    assert (point.step, point.path, point.notes) == (0, None, [])
    assert not run.metrics_file.exists()


def test_killed_between_save_and_log(run):
    """The case that would leave a gap: step 4 is saved, the tracker written, the record missing."""
    log(run, 0, validate(0), train(1), train(2), train(3))
    save(run, 2)
    save(run, 4)
    found = find_complete_checkpoint(run)  # only looks: nothing is renamed or written
    assert found is not None and found.step == 2
    assert tracked(run) == 4 and not run.metrics_file.exists()
    point = newest_complete_checkpoint(run)
    assert (point.step, point.path) == (2, run.checkpoints_dir / "global_step_2")
    assert tracked(run) == 2
    assert not (run.checkpoints_dir / "global_step_4").exists()
    assert (run.checkpoints_dir / "global_step_4.incomplete/actor").is_dir()
    assert "no training record of step 4" in point.notes[0]
    # verl then validates at 2 again and trains 3 and 4 anew.
    log(run, 2, validate(2, 2), train(3, 2), train(4, 2), train(5, 2))
    save(run, 4)
    assert newest_complete_checkpoint(run).step == 4
    check_metrics(run, 5)
    assert [record["step"] for record in merged(run)] == [0, 1, 2, 3, 4, 5]
    assert merged(run)[2]["data"] == {"critic/score/mean": 2.1, "val-core/acc": 2.2}
    assert merged(run)[3]["data"] == {"critic/score/mean": 3.2}
    assert merged(run)[0]["data"] == {"val-core/acc": 0.1}


def test_an_abandoned_record_does_not_vouch_for_a_later_checkpoint(run):
    """Attempt 1 recorded step 4; attempt 2 saved another step 4 and died before recording it."""
    log(run, 0, train(1), train(2), train(3), train(4), train(5))
    save(run, 2)
    log(run, 2, validate(2, 2), train(3, 2))
    save(run, 4)
    report = merge_metrics(run)
    assert report.steps == [1, 2, 3]
    assert merged(run)[2]["data"]["critic/score/mean"] == 3.2
    assert newest_complete_checkpoint(run).step == 2


def test_a_later_record_replaces_an_abandoned_one_whole(run):
    log(run, 0, train(1), train(2, aborted=1.0), validate(2))
    log(run, 1, train(2, 2))
    merge_metrics(run)
    assert merged(run)[1] == {"step": 2, "data": {"critic/score/mean": 2.2}}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "data.pt").unlink(), "data.pt is missing"),
        (
            lambda folder: (folder / "actor/optim_world_size_2_rank_1.pt").unlink(),
            "optim_world_size_2_rank_1.pt is missing",
        ),
        (
            lambda folder: (folder / "actor/model_world_size_2_rank_0.pt").write_bytes(
                shard()[:-9]
            ),
            "model_world_size_2_rank_0.pt is cut off",
        ),
        (lambda folder: (folder / "data.pt").write_bytes(b""), "data.pt is cut off (0 bytes)"),
        (
            lambda folder: (folder / "actor/fsdp_config.json").write_text('{"FSD'),
            "fsdp_config.json",
        ),
        (lambda folder: (folder / "actor/huggingface/config.json").unlink(), "config.json"),
        (lambda folder: (folder.parent / TRACKER).write_text("2"), "its tracker says 2"),
    ],
)
def test_incomplete_checkpoints(run, damage, says):
    log(run, 0, *(train(step) for step in range(1, 6)))
    save(run, 2, ranks=2)
    damage(save(run, 4, ranks=2))
    point = newest_complete_checkpoint(run)
    assert point.step == 2
    assert says in point.notes[0]
    assert tracked(run) == 2


def test_a_torn_tracker_is_written_again(run):
    """Verl truncates it before it writes it; its own int('') would end the next start."""
    log(run, 0, train(1), train(2), train(3))
    save(run, 2)
    (run.checkpoints_dir / TRACKER).write_text("")
    assert newest_complete_checkpoint(run).step == 2
    assert tracked(run) == 2


def test_no_complete_checkpoint_starts_over_and_says_so(run):
    log(run, 0, train(1))
    save(run, 2)
    point = newest_complete_checkpoint(run)
    assert point.step == 0
    assert not (run.checkpoints_dir / TRACKER).exists()
    assert "from the beginning" in point.notes[-1]
    save(run, 2)
    newest_complete_checkpoint(run)  # set aside a second time, under another name
    assert (run.checkpoints_dir / "global_step_2.incomplete-2").is_dir()


def test_what_verl_pruned_is_left_alone(run):
    log(run, 0, *(train(step) for step in range(1, 7)))
    for step in (2, 4, 6):
        save(run, step)
    for name in ("huggingface/config.json", "fsdp_config.json"):
        (run.checkpoints_dir / "global_step_2/actor" / name).unlink()
    point = newest_complete_checkpoint(run)
    assert (point.step, point.notes) == (6, [])
    assert (run.checkpoints_dir / "global_step_2").is_dir()


def test_ppo_needs_its_critic(tmp_path):
    run = make(tmp_path, "ppo")
    log(run, 0, *(train(step) for step in range(1, 6)))
    save(run, 2, "actor", "critic")
    save(run, 4, "actor")
    assert newest_complete_checkpoint(run).step == 2


def test_hf_weights_are_asked_for_where_the_configuration_saves_them(tmp_path):
    contents = ["model", "optimizer", "extra", "hf_model"]
    config = {
        "job": "grpo",
        "actor_rollout_ref": {"actor": {"checkpoint": {"save_contents": contents}}},
    }
    run = RunFolder.prepare(tmp_path, "r", "hf", config, redact=lambda tree: tree)
    log(run, 0, *(train(step) for step in range(1, 6)))
    for step in (2, 4):
        folder = save(run, step) / "actor/huggingface"
        index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        for number in (1, 2)[: 2 - (step == 4)]:
            (folder / f"model-{number}.safetensors").write_bytes(b"x")
    assert newest_complete_checkpoint(run).step == 2


def test_sft(tmp_path):
    run = make(tmp_path, "sft")

    def loss(step: int) -> dict:
        return {"step": step, "data": {"train/loss": 1.0}}

    val = {"step": 2, "data": {"val/loss": 0.5}}
    log(run, 0, loss(1), loss(2), val, loss(3), loss(4))
    save(run, 2, ".")
    save(run, 4, ".", tracker=False)  # killed after the shards, before the tracker
    assert newest_complete_checkpoint(run).step == 2
    log(run, 2, loss(3), loss(4))
    report = check_metrics(run, 4)
    assert report.duplicates == []
    assert merged(run)[1]["data"] == {"train/loss": 1.0, "val/loss": 0.5}


def test_torn_last_line_is_told_and_left_out(run):
    log(run, 0, train(1), train(2), torn='{"step": 3, "da')
    report = merge_metrics(run)
    assert report.last_step == 2
    assert report.torn == ["0001/metrics.jsonl line 3 is cut off (15 bytes)"]
    assert newest_complete_checkpoint(run).notes[0] == report.torn[0]


def test_gaps_and_duplicates_fail_the_check(run):
    log(run, 0, train(1), train(3), validate(4))
    assert merge_metrics(run).gaps == [2, 4]
    with pytest.raises(TrainingError, match=r"no training record for steps 2, 4-5"):
        check_metrics(run, 5)
    log(run, 0, train(1), train(2), train(2))
    with pytest.raises(TrainingError, match=r"attempt 2 \(from step 0\) records step 2 twice"):
        check_metrics(run, 2)
    log(run, 1, train(1), train(2))
    with pytest.raises(TrainingError, match=r"attempt 3 \(from step 1\) records step 1 again"):
        check_metrics(run, 2)
    log(run, 0, train(1), train(2), train(3))
    with pytest.raises(TrainingError, match=r"beyond the planned end 2: step 3"):
        check_metrics(run, 2)


def test_merging_twice_changes_nothing(run):
    log(run, 0, validate(0), train(1), train(2))
    log(run, 1, train(2, 2))
    merge_metrics(run)
    before = run.metrics_file.read_bytes()
    merge_metrics(run)
    assert run.metrics_file.read_bytes() == before


def test_an_attempt_without_start_json_is_read_by_its_first_record(run):
    attempt = run.new_attempt(from_step=7)
    attempt.start_file.unlink()
    assert start_of(attempt, [(4, {"val-core/acc": 1}), (5, {"loss": 1})]) == 4
    assert start_of(attempt, [(5, {"loss": 1})]) == 4
    assert start_of(attempt, []) is None
