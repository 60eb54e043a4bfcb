"""The guard: a small process between launcher and trainer that leaves nothing running.

In: one JSON argument (`Spec`). It starts the trainer in a session of its own and waits for the
first of: the trainer's end, the launcher's death (the pipe whose other end only the launcher holds
reports it, even after `kill -9`), SIGINT or SIGTERM. Then it ends every descendant. It is the
subreaper of its tree, so daemons and orphans come back to it and ancestry is complete.

Out: `pid.json`, kept up to date while the trainer runs, so that the next start can find leftovers
if launcher and guard are both killed; one JSON report on `report_fd`; `exit.json`, written here
only when the launcher is no longer there to do it. It reads no output of the trainer and imports
the standard library only: it starts in 30 ms and holds 10 MB.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from launch.processes import (
    Ended,
    Process,
    descendants,
    end_all,
    machine_identity,
    read_process,
    send,
    set_subreaper,
)

LIMIT_S = 2.0
"""Seconds for killing what outlived the polite part; the kernel needs far less."""
SNAPSHOT_S = 2.0
"""Seconds between two looks at the tree for pid.json; the first come sooner."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Spec:
    """What the launcher tells the guard."""

    command: list[str]
    launcher: int  # pid
    life_fd: int  # read end; end of file: the launcher is gone
    report_fd: int  # write end, for the one report
    pid_file: str
    exit_file: str
    grace_s: float  # seconds the trainer has to end by itself after a first SIGINT or SIGTERM
    polite_s: float  # seconds from SIGTERM to SIGKILL for the rest of the tree


class Guard:
    """One trainer and everything that descends from it."""

    def __init__(self, spec: Spec) -> None:
        """Remember the spec; nothing is started yet."""
        self.spec = spec
        self.me = read_process(os.getpid())
        self.launcher = read_process(spec.launcher)
        self.trainer: Process | None = None
        self.trainer_pid = 0
        self.status: int | None = None  # the trainer's wait status, once it has ended
        self.stop: str | None = None  # why it is being stopped: interrupted | terminated | …
        self.stops = 0
        self.known: dict[Process, None] = {}
        self.started = time.time()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)

    def run(self) -> int:
        """Start the trainer, wait, clean up, report. Returns this process's exit code."""
        set_subreaper(True)
        for fd in (self.spec.life_fd, self.spec.report_fd):
            os.set_inheritable(fd, False)  # the trainer must hold neither
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the wake-up pipe carries the news
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        about = self.spec.pid_file
        try:
            self._write_pids()
            about = self.spec.command[0]
            self._start()
            about = self.spec.pid_file
            self._write_pids()
        except OSError as error:
            text = error.strerror or str(error)
            self._report({"error": text, "errno": error.errno, "about": about})
            end_all(self._tree, polite_s=0, limit_s=LIMIT_S, reap=self._reap)
            return 127
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self._wait()
        ended = time.time()
        at_once = self.stops > 1
        result = end_all(
            self._tree,
            polite_s=0 if at_once else self.spec.polite_s,
            limit_s=self.spec.polite_s + LIMIT_S,
            reap=self._reap,
            hurry=self._hurried,
        )
        self._report(self._record(ended, result))
        return 0

    def _start(self) -> None:
        self.trainer_pid = os.posix_spawnp(
            self.spec.command[0],
            self.spec.command,
            os.environ,
            setsid=True,  # a terminal's Ctrl-C reaches the launcher alone
            setsigmask=(),
            setsigdef=(*STOP_SIGNALS, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD),
        )
        self.trainer = read_process(self.trainer_pid)

    def _wait(self) -> None:
        """Return when the tree is to be ended."""
        deadline = None
        interval = SNAPSHOT_S / 8
        snapshot = time.monotonic() + interval
        while True:
            self._reap()
            if self.status is not None or self._launcher_gone():
                return
            for number in self._signals():
                self.stops += 1
                if self.stops > 1:
                    return
                self.stop = "interrupted" if number == signal.SIGINT else "terminated"
                deadline = time.monotonic() + self.spec.grace_s
                if self.trainer is not None:
                    send(self.trainer, number)
            if deadline is not None and time.monotonic() > deadline:
                return
            if time.monotonic() > snapshot:
                self._snapshot()
                interval = min(2 * interval, SNAPSHOT_S)
                snapshot = time.monotonic() + interval
            select.select([self.spec.life_fd, self._wake_read], [], [], 0.25)

    def _tree(self) -> list[Process]:
        return descendants([os.getpid()])

    def _reap(self) -> None:
        """Collect every dead child: the trainer and the orphans that came to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.trainer_pid:
                self.status = status

    def _signals(self) -> list[int]:
        """The stop signals that arrived since the last call."""
        try:
            return [number for number in os.read(self._wake_read, 512) if number in STOP_SIGNALS]
        except BlockingIOError:
            return []

    def _hurried(self) -> bool:
        self.stops += len(self._signals())
        return self.stops > 1

    def _launcher_gone(self) -> bool:
        """End of file on the life pipe; or another parent, should a fork of it hold the pipe."""
        readable = select.select([self.spec.life_fd], [], [], 0)[0]
        gone = os.getppid() != self.spec.launcher or bool(
            readable and not os.read(self.spec.life_fd, 1)
        )
        if gone and self.stop is None:
            self.stop = "launcher_died"
        return gone

    def _snapshot(self) -> None:
        """Note the tree in pid.json, so that it can be found when we cannot end it ourselves."""
        tree = dict.fromkeys(sorted(self._tree(), key=lambda process: process.pid))
        if tree != self.known:
            self.known = tree
            try:
                self._write_pids()
            except OSError:
                return  # a full disk must not end the run from here; the older list stays

    def _write_pids(self) -> None:
        record: dict[str, Any] = {
            **machine_identity(),
            "launcher": _identity(self.launcher),
            "guard": _identity(self.me),
            "trainer": _identity(self.trainer),
            "tree": [_identity(process) for process in self.known],
        }
        _write_json(self.spec.pid_file, record)

    def _record(self, ended: float, result: Ended) -> dict[str, Any]:
        code = number = None
        if self.status is not None:
            value = os.waitstatus_to_exitcode(self.status)
            code, number = (value, None) if value >= 0 else (None, -value)
        return {
            "code": code,
            "signal": number,
            "reason": self.stop or ("finished" if code == 0 else "failed"),
            "started": self.started,
            "ended": ended,
            "cleanup": vars(result),
        }

    def _report(self, record: dict[str, Any]) -> None:
        if self._launcher_gone() and "error" not in record:
            try:
                reserve = os.path.join(os.path.dirname(self.spec.exit_file), "reserve")
                if os.path.exists(reserve):
                    os.unlink(reserve)
                _write_json(self.spec.exit_file, record)
            except OSError:
                return  # nobody is left to tell; the next start sees an attempt without exit.json
            return
        try:
            os.write(self.spec.report_fd, json.dumps(record).encode())
        except BrokenPipeError:
            return  # the launcher died just now; pid.json tells the next start


def _identity(process: Process | None) -> dict[str, int] | None:
    if process is None:
        return None
    return {"pid": process.pid, "start": process.start, "session": process.session}


def _write_json(path: str, data: dict[str, Any]) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def main() -> None:
    """Run the guard of the JSON spec in the first argument."""
    sys.exit(Guard(Spec(**json.loads(sys.argv[1]))).run())


if __name__ == "__main__":
    main()
