"""A running command under observation: everything that was ever part of it, and whether it is gone.

What belongs to a run is found here without the code under test: every process ever seen below the
launcher, by id and creation time, and every process whose environment holds a word that only this
run was started with. Each clean-up prints how long it took.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

CLEAN_S = 15.0
"""Seconds after its death in which nothing of a run may be left."""
START_S = 600.0
MARK = "TEMPER_TEST_RUN"


@dataclass
class Launched:
    """One running command and whatever was ever seen below it."""

    process: subprocess.Popen[str]
    folder: Path
    mark: str
    seen: set[psutil.Process] = field(default_factory=set)
    died: float = 0.0

    def look(self) -> set[psutil.Process]:
        """Note what descends from the launcher now; returns it."""
        with suppress(psutil.NoSuchProcess):
            launcher = psutil.Process(self.process.pid)
            self.seen |= {launcher, *launcher.children(recursive=True)}
        return {one for one in self.seen if lives(one)}

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, looking; fails when the launcher ends first."""
        deadline = time.monotonic() + START_S
        looked = 0.0
        while not condition():
            if time.monotonic() - looked > 0.5:
                self.look()
                looked = time.monotonic()
            if (code := self.process.poll()) is not None or looked > deadline:
                self.process.terminate()
                pytest.fail(f"no {what}; exit code {code}\n{self.process.communicate()[1]}")
            time.sleep(0.02)
        self.look()

    def steps(self) -> set[int]:
        """The steps that the newest attempt has recorded by now."""
        try:
            text = (self.folder / "latest" / "metrics.jsonl").read_text()
        except OSError:
            return set()
        return {json.loads(line)["step"] for line in text.splitlines(keepends=True) if "\n" in line}

    def saved(self) -> str:
        """The step that verl's tracker names."""
        tracker = self.folder / "checkpoints" / "latest_checkpointed_iteration.txt"
        return tracker.read_text() if tracker.is_file() else ""

    def parts(self, title: str) -> list[psutil.Process]:
        """The living processes of the run with these words in their title or command line."""
        return [one for one in self.look() if title in " ".join(cmdline(one))]

    def part(self, title: str) -> psutil.Process:
        """The one with these words."""
        found = self.parts(title)
        assert found, f"no {title} in {[' '.join(cmdline(one))[:60] for one in self.look()]}"
        return found[0]

    def kill(self, *victims: psutil.Process, number: int = signal.SIGKILL) -> None:
        """Signal the processes; the clock of the clean-up starts."""
        self.look()
        self.died = time.monotonic()
        for victim in victims:
            victim.send_signal(number)

    def end(self, seconds: float = 150) -> tuple[int, str, str]:
        """Wait for the launcher's end: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err

    def left(self) -> set[psutil.Process]:
        """What still lives of the run."""
        marked = {one for one in psutil.process_iter() if self.mark in environment_of(one)}
        self.seen |= marked
        return {one for one in self.seen if lives(one)}

    def assert_clean(self, case: str, at_least: int = 6, limit: float = CLEAN_S) -> None:
        """Nothing is left of it `limit` s after its death, and there was something to end."""
        deadline = self.died + limit
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        took = time.monotonic() - self.died
        print(f"clean-up after {case}: {len(self.seen)} processes gone within {took:.1f} s")
        assert not left, [(one.pid, " ".join(cmdline(one))[:80]) for one in left]
        assert took < limit + 1
        assert len(self.seen) >= at_least, "this run never had a tree worth the name"


def lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def cmdline(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


def environment_of(process: psutil.Process) -> str:
    with suppress(psutil.Error, OSError):
        return str(process.environ().get(MARK))
    return ""


Job = Callable[..., tuple[subprocess.Popen[str], Path]]


@pytest.fixture(scope="module")
def start(
    start_job: Callable[..., tuple[subprocess.Popen[str], Path]],
) -> Iterator[Callable[..., Launched]]:
    """`start(job, overrides, cwd, env=…) -> Launched`; whatever a failed test leaves is ended."""
    everyone: list[Launched] = []

    def begin(job: str, overrides: Sequence[str], cwd: Path, **env: str) -> Launched:
        mark = uuid.uuid4().hex
        words = [*overrides, f"run.root={cwd / 'runs'}"]
        process, folder = start_job(job, words, cwd, env={MARK: mark, **env})
        everyone.append(Launched(process, folder, mark))
        return everyone[-1]

    yield begin
    for one in everyone:
        for process in one.left():
            with suppress(psutil.NoSuchProcess):
                process.kill()
