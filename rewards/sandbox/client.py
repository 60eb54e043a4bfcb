"""The caller's side of the local sandbox: one fork server for each process, sessions on it.

In: programs, inputs, calls, tests. Out: `Outcome`s: plain data that was read from the program.
Thread-safe; each session is used by one thread at a time. The server starts on first use, again
after a fork of the caller, and once again when it died. No judgement of outputs here.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

from conf.errors import SandboxError
from rewards.sandbox import plain, tiers, wire
from rewards.sandbox.limits import Limits
from rewards.sandbox.slots import Slots

_log = logging.getLogger("temper.sandbox")
T = TypeVar("T")
Kind = Literal["value", "error", "exit", "checked", "timeout", "overflow", "died"]
GRACE_S: Final = 3.0  # the session answers its deadline within this, or counts as broken


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from a program.

    Attributes:
        kind: `value` or `error` of a call, `exit` of a program, `checked` of a test; or it was a
            `timeout`, wrote too much (`overflow`), or `died` without an answer.
        value: of a call, built of plain types.
        status: exit code; negative is a signal.
        output: standard output of a program.
        error: the error's text, or the end of standard error.
        passed: of a test.
        fault: `test` when the test itself could not be run.
    """

    kind: Kind
    value: Any = None
    status: int = 0
    output: bytes = b""
    error: str = ""
    passed: bool = False
    fault: str = ""


class Session:
    """A loaded program in its own trusted process; see `Sandbox.session`."""

    def __init__(self, job: socket.socket, limits: Limits, tests: int) -> None:
        """Speak on `job`, under limits for so many tests."""
        self._job = job
        self._limits = limits
        self._wire_limits = limits.to_wire()
        self._call_limits = limits.to_wire(tests)
        self._until = time.monotonic() + limits.total_s

    @property
    def spent(self) -> bool:
        """Whether all of the response's time has gone; every further test is then a time-out."""
        return time.monotonic() >= self._until

    def _exchange(self, head: Mapping[str, Any], blob: bytes = b"") -> wire.Frame:
        left = self._until - time.monotonic()
        wall = max(0.0, min(self._limits.wall_s, left))
        nonce = secrets.token_hex(16)
        text = wire.pack({**head, "nonce": nonce, "wall_s": wall}, blob)
        deadline = time.monotonic() + wall + GRACE_S
        try:
            wire.write_all(self._job.fileno(), text, deadline)
            cap = self._limits.output_bytes + (1 << 20)
            reply = wire.read(self._job.fileno(), cap, deadline)
        except (wire.Late, wire.Closed, wire.BadFrame) as error:
            raise SandboxError(
                f"the sandbox's session gave no answer ({type(error).__name__} {error})",
                fix="see the machine's memory and the kernel's log",
            ) from None
        if reply.head.get("nonce") != nonce:
            raise SandboxError("the sandbox's session answered out of turn", fix="report this")
        if reply.head["kind"] == "failed":
            raise SandboxError(f"the sandbox failed: {reply.head['error']}", fix="report this")
        return reply

    def run(self, stdin: bytes) -> Outcome:
        """Run the program on one input, in a fresh process."""
        if self.spent:
            return Outcome("timeout")
        head, output = self._exchange({"do": "run", "limits": self._wire_limits}, stdin)
        return Outcome(head["kind"], status=head["status"], output=output, error=head["error"])

    def _reply(self, frame: wire.Frame) -> Outcome:
        head, blob = frame
        if head["kind"] != "reply":
            return Outcome(head["kind"], status=head["status"])
        try:
            answer = wire.parse_head(blob)
            if answer.get("nonce") != head["nonce"]:
                return Outcome("died", error="a reply to no request")
            if "error" in answer:
                name, text = answer["error"]
                return Outcome("error", error=f"{str(name)[:80]}: {str(text)[:500]}")
            return Outcome("value", value=plain.decode(answer.get("value")))
        except (wire.BadFrame, plain.NotPlain, ValueError, TypeError) as error:
            return Outcome("error", error=f"no plain value: {error}")

    def start(self) -> Outcome:
        """Start the program for calls; `error` when it does not load."""
        return self._reply(self._exchange({"do": "start", "limits": self._call_limits}))

    def _ask(self, request: Mapping[str, Any]) -> Outcome:
        if self.spent:
            return Outcome("timeout")
        head = {"do": "ask", "limits": self._call_limits, "request": dict(request)}
        return self._reply(self._exchange(head))

    def call(self, name: str, arguments: list[Any]) -> Outcome:
        """Call a function, or a `Solution`'s method, with plain arguments."""
        packed = {"args": plain.encode(arguments), "kwargs": plain.encode({})}
        return self._ask({"do": "call", "name": name, **packed})

    def evaluate(self, expression: str) -> Outcome:
        """Evaluate an expression among the program's names."""
        return self._ask({"do": "eval", "source": expression})

    def execute(self, source: str) -> Outcome:
        """Run set-up source among the program's names."""
        return self._ask({"do": "exec", "source": source})

    def check(self, test: str, trusted: list[str], remote: list[str]) -> Outcome:
        """Run a test against the program from another process; see `checker.check`.

        A test that ends without a verdict ends the program too.
        """
        if self.spent:
            return Outcome("timeout")
        head = {"test": test, "trusted": trusted, "remote": remote, "limits": self._call_limits}
        reply = self._exchange({"do": "check", **head}).head
        return Outcome(
            reply["kind"],
            passed=reply.get("passed") is True,
            error=str(reply.get("error", "")),
            fault=str(reply.get("fault", "")),
        )


def _cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Server:
    """A running fork server."""

    def __init__(self, setting: tiers.Setting, tier: str) -> None:
        self.process, self.control = tiers.start(setting, tier)
        self.ids = itertools.count()
        self.lock = threading.Lock()

    def send(self, message: Mapping[str, Any], fds: list[int]) -> None:
        with self.lock:
            socket.send_fds(self.control, [json.dumps(message).encode()], fds)

    def close(self) -> None:
        self.control.close()  # it ends itself, and all its sessions
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()

    def kill(self) -> None:
        """End it at once, and all its sessions."""
        self.control.close()
        pid = self.process.pid
        with suppress(OSError):  # bwrap's own death leaves what it started
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        self.process.kill()


class Sandbox:
    """Runs programs in the strongest tier that this machine has; see `tiers`."""

    def __init__(
        self,
        *,
        tier: str = "auto",
        allow_unsafe: bool = False,
        slots: int | None = None,
        packages: tuple[str, ...] = (),
        patience_s: float = 600.0,
    ) -> None:
        """Describe a sandbox; nothing starts before the first session.

        Args:
            tier: a name of `tiers.TIERS`, or `auto` for the strongest that passes its probe.
            allow_unsafe: also accept the tier `unsafe`.
            slots: most programs at once on this machine; None is one for each CPU core.
            packages: folders that programs may import from, such as one with numpy.
            patience_s: longest wait for a slot.
        """
        self._choice, self._unsafe = tier, allow_unsafe
        self._setting = tiers.Setting(packages=packages)
        self._slots = Slots(slots or max(2, _cores()))
        self._threads: ThreadPoolExecutor | None = None
        self._patience = patience_s
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._owner = os.getpid()
        self._tier = ""
        atexit.register(self.close)

    @property
    def tier(self) -> str:
        """The active tier; probes the machine when none is active yet."""
        self._running()
        return self._tier

    def _running(self) -> _Server:
        with self._lock:
            if self._owner != os.getpid():  # a fork must not share its parent's server
                self._server, self._owner = None, os.getpid()
                self._slots, self._threads = Slots(self._slots.count), None
            if self._server is not None and self._server.process.poll() is not None:
                self._server.close()
                self._server = None
            if self._server is None:
                if not self._tier:
                    self._tier = tiers.choose(self._choice, self._setting, self._unsafe)
                    _log.info("model code runs in tier %s", self._tier)
                self._server = _Server(self._setting, self._tier)
            return self._server

    @contextmanager
    def session(self, source: str, limits: Limits, tests: int = 1) -> Iterator[Session]:
        """A session with a loaded program; leaves no process behind.

        Args:
            source: the program.
            limits: for each test.
            tests: how many calls or asserts one process will serve.

        Raises:
            SandboxError: no tier, no slot in time, or a server that cannot be reached.
        """
        self._running()  # before a slot is held: it may take its time, and after a fork new slots
        slots = self._slots
        slot = slots.take(self._patience)
        try:
            with _Opened(self._running(), slot.number, limits.threads) as job:
                wire.write(job.fileno(), {"do": "load"}, source.encode(errors="replace"))
                yield Session(job, limits, tests)
        except wire.Closed:
            raise SandboxError("the sandbox's session has gone", fix="see memory limits") from None
        finally:
            slots.give(slot)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work of this sandbox without blocking the event loop.

        As many threads as slots: callers that wait take no thread of the loop's own pool.
        """
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._slots.count, "temper-sandbox")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the server and all that runs in it."""
        with self._lock:
            if self._server is not None and self._owner == os.getpid():
                self._server.close()
                self._server = None


class _Opened:
    """A session's sockets, from `open` to the proof that its processes have gone."""

    def __init__(self, server: _Server, slot: int, threads: int) -> None:
        self._server = server
        self._id = next(server.ids)
        self.job, theirs = socket.socketpair()
        self._gone, keep = os.pipe()
        message = {"do": "open", "id": self._id, "slot": slot, "threads": threads}
        try:
            server.send(message, [theirs.fileno(), keep])
        except OSError as error:
            self.job.close()
            os.close(self._gone)
            raise SandboxError(f"the fork server is gone: {error}", fix="try again") from None
        finally:
            theirs.close()
            os.close(keep)

    def __enter__(self) -> socket.socket:
        return self.job

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.job.close()
        poller = select.poll()
        poller.register(self._gone, select.POLLIN)
        if not poller.poll(500):
            with suppress(OSError):
                self._server.send({"do": "kill", "id": self._id}, [])
            if not poller.poll(5000):
                self._server.kill()
        os.close(self._gone)
