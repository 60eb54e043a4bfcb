"""One attempt: start the trainer under the guard, follow its output, record how it ended.

In: the trainer's command, its complete environment and the attempt's folder. Out: `stdout.log`
(redacted), `pid.json`, `exit.json`, a call of `on_line` for each line, and an `AttemptExit`. When
`run_attempt` returns or raises, nothing that the trainer started is left: the guard ends it, and if
the guard itself was killed, this process does, being a subreaper too. It decides nothing about
checkpoints, and raises nothing for a trainer that failed: that is the caller's to judge.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conf.atomic import write_json, writing
from conf.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, PlatformError, RunFolderError
from conf.runs import Attempt
from launch.attempt_log import AttemptLog
from launch.guard import LIMIT_S
from launch.processes import Process, descendants, end_all, set_subreaper
from launch.redact import Redactor

GRACE_S = 5.0
"""Seconds the trainer has to end by itself after the first Ctrl-C or SIGTERM."""
POLITE_S = 2.0
"""Seconds from SIGTERM to SIGKILL for what outlives the trainer."""
RESERVE_BYTES = 1 << 18
"""Kept free on the run's disk until its end is written."""
_OVERDUE_S = LIMIT_S + 1.0  # past grace and politeness: the guard hangs, we do its work
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class AttemptExit:
    """How an attempt ended; exit.json holds the same keys."""

    reason: str  # finished | failed | interrupted | terminated | launcher_died
    code: int | None  # the trainer's exit code; None when a signal ended it
    signal: int | None  # the signal that ended the trainer
    started: float  # Unix time
    ended: float
    error: str = (
        ""  # of a failed attempt: the last line that names an exception, else the last line
    )
    error_lines: list[str] = field(default_factory=list)  # the last 20 lines of a failed attempt
    cleanup: dict[str, Any] = field(default_factory=dict)  # launch.processes.Ended
    notes: list[str] = field(default_factory=list)  # a full disk, a killed guard, …

    @property
    def exit_code(self) -> int:
        """What the launcher exits with: 0, 130, 143, or the trainer's own code (128 + signal)."""
        if self.reason == "finished":
            return 0
        if self.reason == "interrupted":
            return EXIT_INTERRUPTED
        if self.reason == "terminated":
            return EXIT_TERMINATED
        if self.signal is not None:
            return 128 + self.signal
        return self.code or 1

    def summary(self) -> str:
        """One line: how it ended, and the error if there is one."""
        if self.signal is not None:
            how = f"{self.reason} (signal {signal.Signals(self.signal).name})"
        else:
            how = f"{self.reason} (exit code {self.code})" if self.code else self.reason
        return "; ".join([how, *([self.error] if self.error else []), *self.notes])


def run_attempt(
    command: list[str],
    *,
    attempt: Attempt,
    env: Mapping[str, str],
    redactor: Redactor,
    on_line: Callable[[str], None] | None = None,
    grace_s: float = GRACE_S,
    polite_s: float = POLITE_S,
) -> AttemptExit:
    """Run the trainer to its end, whatever that is. Ctrl-C, SIGTERM and SIGHUP stop it.

    The first signal reaches the trainer, which has `grace_s` to end; the second ends all at once.

    Args:
        command: the trainer's program and arguments.
        attempt: its folder, fresh from `RunFolder.new_attempt`.
        env: the trainer's whole environment; nothing is added but PYTHONUNBUFFERED.
        redactor: what goes to stdout.log, `on_line` and exit.json passes through it.
        on_line: called with each line without its end. What it raises ends the attempt and goes on.
        grace_s: seconds between the first signal and the forced end.
        polite_s: seconds from SIGTERM to SIGKILL for the descendants at the end.

    Raises:
        RunFolderError: the attempt's files cannot be written.
        PlatformError: the program does not exist, or this is no Linux.
    """
    if not sys.platform.startswith("linux"):
        raise PlatformError(f"training needs Linux, this is {sys.platform}", "use a Linux machine")
    started = time.time()
    with writing(attempt.reserve_file):
        attempt.reserve_file.write_bytes(bytes(RESERVE_BYTES))
    output = AttemptLog(attempt.stdout_log, redactor, on_line)
    try:
        with _subreaper() as bystanders:
            report = _Session(command, attempt, env, output, (grace_s, polite_s)).run(bystanders)
    finally:
        output.close()
        attempt.reserve_file.unlink(missing_ok=True)
    if "error" in report:
        with writing(attempt.pid_file):
            if report["about"] == str(attempt.pid_file):
                raise OSError(report["errno"], report["error"])
        raise PlatformError(f"cannot start {command[0]}: {report['error']}", "check the command")
    outcome = AttemptExit(
        reason=report["reason"],
        code=report["code"],
        signal=report["signal"],
        started=started,
        ended=report["ended"],
        cleanup=report["cleanup"],
        notes=[*report["notes"], *output.notes()],
    )
    if outcome.reason == "failed":
        outcome.error_lines = list(output.tail)[-20:]
        outcome.error = output.error()
        if not outcome.error and outcome.code is not None:
            outcome.error = "".join(outcome.error_lines[-1:])[:500]
    write_json(attempt.exit_file, asdict(outcome))
    return outcome


class _Session:
    """The guard's process, its three pipes, and the signals meant for it."""

    def __init__(
        self,
        command: list[str],
        attempt: Attempt,
        env: Mapping[str, str],
        output: AttemptLog,
        patience: tuple[float, float],
    ) -> None:
        self._command, self._attempt, self._env = command, attempt, env
        self._output = output
        self._grace_s, self._polite_s = patience
        self._guard: subprocess.Popen[bytes] | None = None
        self._stop: str | None = None
        self._overdue = float("inf")

    def run(self, bystanders: list[Process]) -> dict[str, Any]:
        """Start, follow, wait, clean up. Returns the guard's report, or what stands for it."""
        life_read, life_write = os.pipe()
        report_read, report_write = os.pipe()
        out_read, out_write = os.pipe()
        ours = [life_write, report_read, out_read]
        try:
            with self._signals():
                try:
                    with _blocked_signals():  # until the guard can handle them
                        self._guard = self._spawn(life_read, report_write, out_write)
                finally:
                    for fd in (life_read, report_write, out_write):
                        os.close(fd)
                try:
                    if self._stop is not None:  # it came before there was a guard to tell
                        self._guard.send_signal(
                            signal.SIGINT if self._stop == "interrupted" else signal.SIGTERM
                        )
                    self._follow(self._guard, out_read)
                except BaseException:
                    # on_line raised: closing the life pipe tells the guard to end everything.
                    os.close(ours.pop(0))
                    with suppress(subprocess.TimeoutExpired):
                        self._guard.wait(self._polite_s + _OVERDUE_S)
                    self._end_all(bystanders)
                    raise
                return self._conclude(report_read, out_read, bystanders)
        finally:
            for fd in ours:
                os.close(fd)

    def _spawn(self, life_fd: int, report_fd: int, out_fd: int) -> subprocess.Popen[bytes]:
        spec = {
            "command": self._command,
            "launcher": os.getpid(),
            "life_fd": life_fd,
            "report_fd": report_fd,
            "pid_file": str(self._attempt.pid_file),
            "exit_file": str(self._attempt.exit_file),
            "grace_s": self._grace_s,
            "polite_s": self._polite_s,
        }
        # -I -S: no site-packages, no start-up hooks; the project's folder comes last in the path,
        # so that nothing in it can hide a module of the standard library.
        root = str(Path(__file__).resolve().parents[1])
        code = f"import sys; sys.path.append({root!r}); from launch.guard import main; main()"
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=out_fd,
            stderr=out_fd,
            env={**self._env, "PYTHONUNBUFFERED": "1"},
            pass_fds=(life_fd, report_fd),
            start_new_session=True,
        )

    def _follow(self, guard: subprocess.Popen[bytes], out_fd: int) -> None:
        """Pass output on until the guard is gone; survivors may hold the pipe open longer."""
        os.set_blocking(out_fd, False)
        # Fewer and larger reads; refused where the user's pipe quota is used up, which is no harm.
        with suppress(OSError):
            fcntl.fcntl(out_fd, fcntl.F_SETPIPE_SZ, 1 << 20)
        ended = os.pidfd_open(guard.pid)
        try:
            watched = [out_fd, ended]
            while True:
                ready = select.select(watched, [], [], 0.5)[0]
                if out_fd in ready and not self._read(out_fd):
                    watched.remove(out_fd)
                if ended in ready:
                    return
                if time.monotonic() > self._overdue:
                    guard.kill()  # stopped or stuck: we end its tree ourselves
        finally:
            os.close(ended)

    def _read(self, fd: int) -> bool:
        """Take what is there; False at the end of the file."""
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return True
        if data:
            self._output.feed(data)
        return bool(data)

    def _conclude(self, report_fd: int, out_fd: int, bystanders: list[Process]) -> dict[str, Any]:
        if self._guard is None:
            raise AssertionError("the guard has been started")
        code = self._guard.wait()
        os.set_blocking(report_fd, False)
        try:
            text = os.read(report_fd, 1 << 16)
        except BlockingIOError:
            text = b""
        report: dict[str, Any] = json.loads(text) if text else {}
        notes = []
        if not report:
            notes.append(f"the guard was killed (exit code {code}); its tree was ended from here")
            report = {"reason": self._stop or "failed", "code": None, "signal": None}
            report |= {"ended": time.time(), "cleanup": self._end_all(bystanders)}
        elif "error" not in report and report["cleanup"]["survivors"]:
            report["cleanup"] = self._end_all(bystanders)
        if report.get("cleanup", {}).get("survivors"):
            notes.append(f"processes that could not be ended: {report['cleanup']['survivors']}")
        deadline = time.monotonic() + 1.0  # a survivor could go on writing for ever
        while time.monotonic() < deadline and select.select([out_fd], [], [], 0)[0]:
            if not self._read(out_fd):
                break
        return {**report, "notes": notes}

    def _end_all(self, bystanders: list[Process]) -> dict[str, Any]:
        """End whatever came back to this process as an orphan; its older children stay."""

        def orphans() -> list[Process]:
            return descendants([os.getpid()], without=bystanders)

        adopted: set[int] = set()

        def reap() -> None:
            adopted.update(process.pid for process in orphans())
            for pid in list(adopted):  # one by one: other children's exit codes are not ours
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

        polite_s = self._polite_s
        ended = end_all(orphans, polite_s=polite_s, limit_s=polite_s + LIMIT_S, reap=reap)
        return asdict(ended)

    def _handle(self, number: int, _frame: object) -> None:
        if self._stop is None:
            self._stop = "interrupted" if number == signal.SIGINT else "terminated"
            self._overdue = time.monotonic() + self._grace_s + self._polite_s + _OVERDUE_S
        if self._guard is not None:
            self._guard.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Pass stop signals to the guard. Only a main thread can; elsewhere the caller's stay."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {}
        for number in _STOP_SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: the user wants it to outlive the terminal
            before[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Hold stop signals back while a child is born: it inherits the mask and lifts it later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _subreaper() -> Iterator[list[Process]]:
    """Adopt orphans for a while; yields the descendants that were there before, to be let alone."""
    try:
        before = set_subreaper(True)
    except OSError as error:
        raise RunFolderError(f"cannot watch over child processes: {error.strerror}") from error
    try:
        yield descendants([os.getpid()])
    finally:
        if not before:
            set_subreaper(False)
