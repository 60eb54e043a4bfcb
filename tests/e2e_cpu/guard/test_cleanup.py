"""Nothing of a run is left running, whatever ends it (real processes, found by their own notes).

1. normal end, crash, Ctrl-C, SIGTERM, SIGHUP: all descendants end; exit codes 0, 1, 130, 143
2. `kill -9` of trainer, launcher or guard: likewise
3. descendants that ignore SIGTERM, daemonize, hold stdout open or go on forking end too
4. the trainer hears the first Ctrl-C once and may end by itself; the second ends all at once
5. launcher and guard both killed: the next start of the same folder ends what is left, and says so
6. clean-up stays below 10 s; strangers, and children the launcher had before, are left alone
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.runs import RunFolder
from launch.leftovers import end_leftovers
from launch.processes import machine_identity, read_process
from launch.redact import Redactor
from launch.supervise import run_attempt

AWKWARD = ("deaf", "session", "daemon", "holder")


@pytest.mark.parametrize(
    ("ending", "code", "reason"), [("finish", 0, "finished"), ("crash", 1, "failed")]
)
def test_own_end(start, ending, code, reason, record_property):
    run = start(*AWKWARD, ending=ending)
    assert run.finish()[0] == code
    seconds = run.gone(1)  # the launcher returns only when all is gone
    record = run.record("exit")
    assert (record["reason"], record["code"], record["signal"]) == (reason, code, None)
    assert record["cleanup"]["count"] == 4
    assert record["cleanup"]["seconds"] < 4
    assert len(run.pids()) == 6
    record_property("cleanup_s", record["cleanup"]["seconds"] + seconds)
    if ending == "crash":
        assert record["error"] == "ValueError: the reward is not finite"


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 143, "terminated"),
    ],
)
def test_stop_signals(start, number, code, reason):
    run = start(*AWKWARD, ending="deaf", grace=0.5)
    run.ready()
    run.process.send_signal(number)
    begun = time.monotonic()
    assert run.finish()[0] == code
    assert run.gone(1) + time.monotonic() - begun < 15
    record = run.record("exit")
    assert (record["reason"], record["signal"]) == (reason, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_trainer_may_end_by_itself_and_hears_the_signal_once(start, number):
    run = start("session", ending="polite", grace=60.0)
    run.ready()
    os.killpg(run.process.pid, number)  # as a terminal does: to the whole foreground group
    begun = time.monotonic()
    assert run.finish()[0] == 128 + number
    assert time.monotonic() - begun < 45  # less than the grace
    assert run.log().count("leaving on") == 1
    run.gone(1)


def test_second_interrupt_ends_all_at_once(start):
    run = start(*AWKWARD, ending="stubborn", grace=60.0)
    run.ready()
    run.process.send_signal(signal.SIGINT)
    run.printed("not yet")
    assert run.process.poll() is None
    begun = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    assert run.finish()[0] == 130
    run.gone(1)
    assert time.monotonic() - begun < 30  # far less than the grace


def test_trainer_killed(start):
    run = start(*AWKWARD)
    run.ready()
    os.kill(run.record("pid")["trainer"]["pid"], signal.SIGKILL)
    assert run.finish()[0] == 128 + signal.SIGKILL
    run.gone(1)
    assert run.record("exit")["signal"] == signal.SIGKILL


def test_launcher_killed(start):
    run = start(*AWKWARD)
    run.ready()
    run.process.kill()
    assert run.gone() < 15
    record = run.record("exit")  # written by the guard
    assert record["reason"] == "launcher_died"
    assert record["cleanup"]["survivors"] == []


def test_launcher_killed_while_output_floods(start):
    run = start("deaf", ending="flood")
    run.ready()
    run.process.kill()
    assert run.gone() < 15


def test_guard_killed(start):
    run = start(*AWKWARD)
    run.ready()
    os.kill(run.record("pid")["guard"]["pid"], signal.SIGKILL)
    code, out = run.finish()
    assert code == 1
    assert "guard was killed" in out
    run.gone(1)
    assert run.record("exit")["cleanup"]["count"] == 5


def test_guard_stopped_does_not_hold_the_launcher(start):
    run = start("deaf", grace=0.2)
    run.ready()
    os.kill(run.record("pid")["guard"]["pid"], signal.SIGSTOP)
    run.process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    assert run.finish()[0] == 130
    assert time.monotonic() - begun < 60  # it would be for ever
    run.gone(1)


def test_launcher_and_guard_killed_then_started_again(start):
    run = start(*AWKWARD)
    run.ready()
    run.listed(5)
    os.kill(run.record("pid")["guard"]["pid"], signal.SIGSTOP)  # or it would win the race
    run.process.kill()
    os.kill(run.record("pid")["guard"]["pid"], signal.SIGKILL)
    run.process.wait()
    left = [pid for pid in run.pids() if Path(f"/proc/{pid}").exists()]
    assert len(left) >= 5
    again = start(ending="finish")
    code, out = again.finish()
    assert code == 0
    assert "attempt 1 had left 5 processes running" in out
    run.gone(1)
    first = json.loads((run.folder / "attempts/0001/exit.json").read_text())
    assert first["reason"] == "launcher_died"


def test_started_again_at_once_waits_for_the_guard_at_work(start):
    run = start(*AWKWARD)
    run.ready()
    run.process.kill()
    run.process.wait()
    code, _ = start(ending="finish").finish()
    assert code == 0
    assert run.left() == []


@pytest.mark.parametrize("kind", ["bomb", "chain"])
def test_what_forks_on_is_caught(start, kind):
    run = start(kind, kind, ending="finish")
    assert run.finish()[0] == 0
    run.gone(1)
    assert run.record("exit")["cleanup"]["seconds"] < 6
    noted = len(run.pids())
    time.sleep(0.3)
    assert len(run.pids()) == noted  # and nothing new is born
    assert noted > 10


def test_reused_process_id_is_not_a_leftover(tmp_path):
    """A stranger whose id an old pid.json names (with another start time) lives on."""
    stranger = subprocess.Popen(["sleep", "30"], start_new_session=True)
    try:
        process = read_process(stranger.pid)
        run = RunFolder.prepare(tmp_path, "r", "n", {}, redact=lambda tree: tree)
        attempt = run.new_attempt(from_step=0)
        entry = {"pid": process.pid, "start": process.start - 1, "session": process.pid}
        record = {**machine_identity(), "launcher": None, "guard": None, "trainer": entry}
        attempt.pid_file.write_text(json.dumps({**record, "tree": [entry]}))
        assert end_leftovers(run) == []
        assert stranger.poll() is None
        entry["start"] += 1
        attempt.pid_file.write_text(json.dumps({**record, "tree": [], "boot": "another"}))
        assert end_leftovers(run) == []  # an id of another boot means nothing
        assert stranger.poll() is None
        attempt.pid_file.write_text(json.dumps({**record, "tree": []}))
        assert len(end_leftovers(run)) == 1
        assert stranger.wait(5) == -signal.SIGTERM
    finally:
        stranger.kill()
        stranger.wait()


def _attempt(tmp_path, script, **options):
    run = RunFolder.prepare(tmp_path, "r", "n", {}, redact=lambda tree: tree)
    attempt = run.new_attempt(from_step=0)
    command = [sys.executable, "-I", "-S", "-c", script]
    return attempt, run_attempt(
        command, attempt=attempt, env=os.environ, redactor=Redactor({}), **options
    )


def test_children_of_before_are_left_alone(tmp_path):
    """The launcher's own child outlives the attempt, though the launcher cleans up itself."""
    child = subprocess.Popen(["sleep", "30"])
    try:
        script = (
            "import os, signal; os.kill(os.getppid(), signal.SIGKILL); import time; time.sleep(9)"
        )
        _, outcome = _attempt(tmp_path, script)
        assert any("guard was killed" in note for note in outcome.notes)
        assert outcome.cleanup["survivors"] == []
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_failing_watcher_ends_the_attempt(tmp_path):
    seen = []

    def watch(line: str) -> None:
        seen.append(int(line))
        raise RuntimeError("watcher")

    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(RuntimeError, match="watcher"):
        _attempt(tmp_path, script, on_line=watch)
    assert read_process(seen[0]) is None
