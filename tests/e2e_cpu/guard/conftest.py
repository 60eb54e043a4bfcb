"""Real launchers, guards and trainers for the tests of clean-up.

`start` runs a launcher (this project's `run_attempt` in a process of its own) whose trainer makes
the awkward descendants asked for: deaf ones, daemons, ones that fork on. Each notes its process id
in a file, so that the tests find them without trusting the code under test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

TRAINER = """
import os, signal, sys, time
pids, ending, kinds = sys.argv[1], sys.argv[2], sys.argv[3:]

def note():
    with open(pids, "a") as file:
        file.write(f"{os.getpid()}\\n")

def rest():
    while True:
        time.sleep(0.05)

def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

def detached():  # a daemon as the book says: fork, setsid, fork, close everything
    for step in (os.setsid, lambda: os.closerange(0, 256)):
        parent = os.getpid()
        if os.fork():
            os._exit(0)
        while os.getppid() == parent:  # who is on the way out must not be counted
            time.sleep(0.001)
        step()

def child(kind):
    if os.fork():
        return
    if kind == "deaf":
        deaf()
    elif kind == "session":
        os.setsid()
    elif kind == "daemon":
        detached()
        deaf()
    elif kind == "holder":  # keeps the trainer's stdout open
        os.setsid()
        deaf()
    elif kind == "bomb":
        deaf()
        for _ in range(400):  # bounded, should the clean-up fail
            if os.fork() == 0:
                os.setsid()
                note()
                time.sleep(30)
                os._exit(0)
            time.sleep(0.01)
        os._exit(0)
    elif kind == "chain":  # each generation dies as soon as the next is born
        deaf()
        for _ in range(2000):
            if os.fork():
                os._exit(0)
            os.setsid()
            note()
            time.sleep(0.01)
        os._exit(0)
    note()
    rest()

note()
for kind in kinds:
    child(kind)
enough = 12 if {"bomb", "chain"} & set(kinds) else len(kinds)
while len(open(pids).readlines()) <= enough:
    time.sleep(0.01)
if ending == "deaf":
    deaf()
if ending == "stubborn":
    deaf()
    signal.signal(signal.SIGINT, lambda *_: print("not yet", flush=True))
if ending == "polite":
    def leave(number, frame):
        print("leaving on", signal.Signals(number).name, flush=True)
        sys.exit(0)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
if ending == "crash":
    raise ValueError("the reward is not finite")
if ending == "finish":
    sys.exit(0)
if ending == "flood":
    while True:
        print("x" * 4096)
rest()
"""

LAUNCHER = """
import json, os, sys
from pathlib import Path
from conf.runs import RunFolder
from launch.leftovers import end_leftovers
from launch.redact import Redactor
from launch.supervise import run_attempt
root, grace, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
redactor = Redactor(os.environ)
run = RunFolder.prepare(root, "r", "n", {"seed": 1}, redact=redactor.tree)
with run.lock():
    for line in end_leftovers(run):
        print(line, flush=True)
    attempt = run.new_attempt(from_step=0)
    outcome = run_attempt(command, attempt=attempt, env=os.environ, redactor=redactor,
                          grace_s=grace, polite_s=0.3)
print(outcome.summary(), flush=True)
sys.exit(outcome.exit_code)
"""


def alive(pid: int) -> bool:
    """Whether the process exists and is not merely a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


@dataclass
class Launched:
    """A launcher under test."""

    process: subprocess.Popen[str]
    folder: Path
    pids_file: Path
    extra: list[int] = field(default_factory=list)

    @property
    def attempt(self) -> Path:
        return self.folder / "latest"

    def record(self, name: str) -> dict[str, Any]:
        return json.loads((self.attempt / f"{name}.json").read_text())

    def log(self) -> str:
        return (self.attempt / "stdout.log").read_text()

    def pids(self) -> list[int]:
        """Trainer and descendants, as they noted themselves, and the guard."""
        noted = [int(line) for line in self.pids_file.read_text().split()]
        return [*noted, self.record("pid")["guard"]["pid"]]

    def ready(self) -> None:
        self.printed("ready")

    def printed(self, word: str) -> None:
        """Wait until the trainer has said it."""
        log = self.attempt / "stdout.log"
        wait_for(lambda: log.exists() and word in log.read_text(), 60, f"the trainer's {word!r}")

    def listed(self, count: int) -> None:
        """Wait until pid.json names so many processes below the guard."""
        wait_for(lambda: len(self.record("pid")["tree"]) == count, 60, "pid.json to list the tree")

    def left(self) -> list[int]:
        """Those of `pids` that live."""
        return [pid for pid in self.pids() if alive(pid)]

    def gone(self, seconds: float = 15) -> float:
        """Wait until nothing is left; returns the seconds it took."""
        begun = time.monotonic()
        wait_for(lambda: not self.left(), seconds, "every process to end")
        return time.monotonic() - begun

    def finish(self) -> tuple[int, str]:
        """The launcher's exit code and output."""
        out, _ = self.process.communicate(timeout=90)
        return self.process.returncode, out


Start = Callable[..., Launched]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a launcher; whatever a failed test leaves is killed at the end."""
    started: list[Launched] = []
    trainer = tmp_path / "trainer.py"
    trainer.write_text(TRAINER)

    def launch(
        *kinds: str, ending: str = "rest", grace: float = 1.0, env: dict[str, str] | None = None
    ) -> Launched:
        pids = tmp_path / f"pids{len(started)}"
        pids.touch()
        command = [sys.executable, "-I", "-S", str(trainer), str(pids), ending, *kinds]
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(tmp_path / "runs"), str(grace), *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            start_new_session=True,
        )
        launched = Launched(process, tmp_path / "runs" / "r" / "n", pids)
        started.append(launched)
        return launched

    yield launch
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
        for pid in (int(line) for line in one.pids_file.read_text().split()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
