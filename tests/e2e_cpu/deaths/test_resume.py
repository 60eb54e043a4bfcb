"""The same command again after a death: on from the newest checkpoint to the planned step.

Real runs, real kills. The merged metrics hold each step once, a finished run says so and is not
touched, and secrets that a reward prints are in no file. A run that ends well or by Ctrl-C leaves
no process behind either; the other deaths are in `test_cleanup.py`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from conf.errors import EXIT_INTERRUPTED

pytestmark = pytest.mark.timeout(1800)

EPOCH, EPOCHS = 4, 12  # an epoch takes a second: a late signal still finds the run at work
SFT = (
    "data.train_batch_size=32",
    "data.train_max_samples=128",
    f"trainer.total_epochs={EPOCHS}",
    "trainer.total_training_steps=null",
    "trainer.save_freq=after_each_epoch",
    "trainer.test_freq=after_each_epoch",
)
STEPS = 4
GRPO = (
    f"trainer.total_training_steps={STEPS}",
    "trainer.save_freq=1",
    "trainer.test_freq=2",
    "evaluation.enable=false",
)
GUARD = "from launch.guard import main"  # in the command line of the launcher's child
REWARD = """
import os, sys

def score(response, gold, **row):
    print("planted", os.environ["WANDB_API_KEY"], "end")
    print("planted", os.environ["HF_TOKEN"], "end", file=sys.stderr)
    return float(response.rpartition("####")[2].strip() == gold)
"""
SECRETS = {
    "WANDB_API_KEY": uuid.uuid4().hex + "01234567",
    "HF_TOKEN": f"hf_{uuid.uuid4().hex}",
}


Start = Callable[..., Any]


def records(folder: Path) -> list[tuple[int, dict[str, float]]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(record["step"], record["data"]) for record in map(json.loads, lines)]


def assert_whole(folder: Path, steps: int, key: str) -> dict[int, float]:
    """Merged metrics: each step once, in order, with its training record; returns `key` by step."""
    merged = records(folder)
    numbers = [step for step, _ in merged]
    assert numbers == sorted(set(numbers))
    values = {step: data[key] for step, data in merged if key in data}
    assert sorted(values) == list(range(1, steps + 1))
    return values


def resumed_at(text: str) -> int:
    match = re.search(r"resumes at step (\d+); \d+ steps", text)
    assert match, text
    return int(match[1])


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below the folder with its size and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
    }


@dataclass
class Story:
    """What the three commands said and how the folder looked after each."""

    after_kill: str
    folder: Path
    second: tuple[int, str, str]
    third: tuple[int, str, str]
    third_s: float
    before_third: dict[str, tuple[int, int]]
    after_third: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def story(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """`kill -9` of the launcher after step 2 of 4; all else with a reward that prints secrets."""
    cwd = tmp_path_factory.mktemp("story")
    (cwd / "reward.py").write_text(REWARD)
    words = [
        *GRPO,
        f"reward_fn.name={cwd / 'reward.py'}:score",
        f"data_prep.out={cwd / 'data'}",
        "data_prep.train_size=64",
        "data_prep.test_size=32",
        "data_prep.sft_size=64",
    ]
    first = start("grpo", words, cwd, **SECRETS)
    first.until(lambda: 2 in first.steps(), "step 2")
    first.kill(psutil.Process(first.process.pid))
    out, err = first.process.communicate()
    first.assert_clean("kill -9 of the GRPO launcher")
    second = start("grpo", words, cwd, **SECRETS)
    second.until(lambda: STEPS in second.steps(), "last step")
    said = second.end()
    second.died = time.monotonic()
    second.assert_clean("GRPO's normal end")
    before = snapshot(second.folder)
    begun = time.monotonic()
    third = start("grpo", words, cwd, **SECRETS).end()
    took = time.monotonic() - begun
    return Story(out + err, second.folder, said, third, took, before, snapshot(second.folder))


def test_grpo_goes_on_after_kill_9(story: Story) -> None:
    code, _, err = story.second
    assert code == 0, err
    step = resumed_at(err)
    assert 2 <= step < STEPS
    started = [
        json.loads(path.read_text())["from_step"]
        for path in sorted(story.folder.glob("attempts/*/start.json"))
    ]
    assert started == [0, step]
    assert_whole(story.folder, STEPS, "critic/score/mean")
    assert {f"{n}.jsonl" for n in range(1, STEPS + 1)} == {
        path.name for path in (story.folder / "rollouts").iterdir()
    }
    ends = [
        json.loads(path.read_text())["reason"]
        for path in sorted(story.folder.glob("attempts/*/exit.json"))
    ]
    assert ends == ["launcher_died", "finished"]


def test_a_finished_run_says_so_and_is_not_touched(story: Story) -> None:
    code, _, err = story.third
    assert code == 0
    assert f"is finished: step {STEPS} of {STEPS}" in err
    assert story.third_s < 60, "nothing heavy may be started to find that out"
    assert story.before_third == story.after_third


def test_secrets_are_in_no_file_and_not_on_the_terminal(story: Story) -> None:
    terminal = story.after_kill + "".join(map(str, (*story.second, *story.third)))
    folder = story.folder
    logs = [path.read_text() for path in folder.glob("attempts/*/stdout.log")]
    assert all("planted *** end" in log for log in logs), "the reward has not printed anything"
    files = [path for path in folder.parents[2].rglob("*") if path.is_file()]
    assert len(files) > 30
    for name, secret in SECRETS.items():
        assert secret not in terminal, name
        found = [str(path) for path in files if secret.encode() in path.read_bytes()]
        assert not found, (name, found)


Interrupted = tuple[tuple[int, str, str], tuple[int, str, str], Path]


@pytest.fixture(scope="module")
def interrupted(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """How Ctrl-C ended it, how the same command ended after that, and the run's folder."""
    cwd = tmp_path_factory.mktemp("interrupted")
    run = start("sft", SFT, cwd)
    run.until(run.saved, "checkpoint of the first epoch")
    run.died = time.monotonic()
    os.killpg(run.process.pid, signal.SIGINT)
    first = run.end()
    run.assert_clean("Ctrl-C of SFT")
    return first, start("sft", SFT, cwd).end(600), run.folder


def test_ctrl_c_ends_with_130_and_one_line(interrupted: Interrupted) -> None:
    code, _, err = interrupted[0]
    assert code == EXIT_INTERRUPTED
    assert err.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in err


def test_sft_resumed_at_an_epochs_end_trains_the_next_epoch(interrupted: Interrupted) -> None:
    _, (code, _, err), folder = interrupted
    assert code == 0, err
    assert resumed_at(err) in range(EPOCH, EPOCH * EPOCHS, EPOCH)
    assert_whole(folder, EPOCH * EPOCHS, "train/loss")


@pytest.mark.full
def test_a_resumed_sft_sees_the_rows_of_an_uninterrupted_one(
    interrupted: Interrupted, start: Start, tmp_path: Path
) -> None:
    whole = start("sft", SFT, tmp_path)
    assert whole.end(600)[0] == 0
    expected = assert_whole(whole.folder, EPOCH * EPOCHS, "train/loss")
    got = assert_whole(interrupted[2], EPOCH * EPOCHS, "train/loss")
    at = resumed_at(interrupted[1][2])
    steps = range(at + 1, min(at + 2 * EPOCH, EPOCH * EPOCHS) + 1)
    assert [got[n] for n in steps] == pytest.approx([expected[n] for n in steps], rel=1e-3)


@pytest.mark.full
def test_launcher_and_guard_killed_at_once_leave_nothing_and_the_run_goes_on(
    start: Start, tmp_path: Path
) -> None:
    words = [*SFT, "trainer.save_freq=3"]  # in mid epoch
    run = start("sft", words, tmp_path)
    run.until(run.saved, "checkpoint")
    run.kill(run.part(GUARD), psutil.Process(run.process.pid))
    run.process.communicate()
    run.assert_clean("launcher and guard killed at once")
    again = start("sft", words, tmp_path)
    code, _, err = again.end(600)
    assert code == 0, err
    assert resumed_at(err) % 3 == 0
    assert not list(again.folder.glob("attempts/*/reserve"))
    assert_whole(again.folder, EPOCH * EPOCHS, "train/loss")
