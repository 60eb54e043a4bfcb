"""A pool of slim worker processes that can be killed: for verifiers that may hang or swell.

In: the name of a function, `module:function`, from JSON to JSON (a generator's values are steps on
the way, the last of them the answer). Out: a `Pool` whose `call` always
returns within the deadline, which counts from the dispatch to a ready worker, with what came of
it. Start-up is lazy: nothing runs before the first call. One helper process imports the target,
and workers are forked from it, so that a replacement takes milliseconds and memory is shared. Safe
from any thread and, by `acall`, from asyncio; needs no signal in the caller's process; a process
that was forked from the caller starts a pool of its own. Not a sandbox: the target is trusted, its
input is not. Retries and verdicts are the caller's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rewards.workers_child import ANSWER, LENGTH, MAX_MESSAGE, REQUEST, receive

Kind = Literal["ok", "timeout", "memory", "error", "crash"]
START_S: Final = 120.0  # to import the target on a loaded machine; not part of any deadline
CONTROL_S: Final = 15.0  # to fork or reap a worker
_ROOT: Final = str(Path(__file__).resolve().parents[1])
_BOOT: Final = (
    f"import sys; sys.path[:0] = [{_ROOT!r}]; from rewards.workers_child import main; main()"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one call.

    Attributes:
        kind: `ok`; `timeout` or `memory`: a limit was passed; `error`: the target raised; `crash`:
            the worker died by itself, or none could be started.
        value: the target's answer when `ok`; otherwise the last step that it came to, or None.
        detail: one line otherwise.
    """

    kind: Kind
    value: Any = None
    detail: str = ""


@dataclass(slots=True)
class _Worker:
    pid: int
    sock: socket.socket
    served: int = 0


@dataclass(slots=True)
class _State:
    """All that belongs to one process's pool; a forked process starts with a new one."""

    owner: int = field(default_factory=os.getpid)
    changed: threading.Condition = field(default_factory=threading.Condition)
    control_lock: threading.Lock = field(default_factory=threading.Lock)
    helper: subprocess.Popen[bytes] | None = None
    control: socket.socket | None = None
    idle: list[_Worker] = field(default_factory=list)
    taken: int = 0


def _message(sock: socket.socket, deadline: float) -> dict[str, Any] | None:
    """The next message of a worker; None when it is gone.

    Raises:
        TimeoutError: the deadline has passed.
    """
    sock.settimeout(max(0.001, deadline - time.monotonic()))
    head = receive(sock, LENGTH.size)
    text = receive(sock, LENGTH.unpack(head)[0]) if head is not None else None
    return dict(json.loads(text)) if text is not None else None


class Pool:
    """A bounded number of killable workers.

    Args:
        target: `module:function`, called in a worker with one JSON value.
        size: most workers at a time; further calls wait, and their deadline does not run yet.
        memory_mb: address space of one worker (RLIMIT_AS).
        recycle: calls after which a worker is replaced, so that caches of libraries stay bounded.
    """

    def __init__(
        self, target: str, *, size: int = 2, memory_mb: int = 1024, recycle: int = 1000
    ) -> None:
        self.target = target
        self.size = size
        self.memory_mb = memory_mb
        self.recycle = recycle
        self._state = _State()

    def call(self, payload: Any, timeout: float) -> Reply:
        """Run the target on `payload` for at most `timeout` seconds from its dispatch."""
        body = json.dumps({"payload": payload, "timeout": timeout}).encode()
        if len(body) > MAX_MESSAGE:
            return Reply("error", detail=f"request of {len(body)} bytes, at most {MAX_MESSAGE}")
        state = self._own()
        with state.changed:
            while state.taken >= self.size:
                state.changed.wait()
            state.taken += 1
            worker = state.idle.pop() if state.idle else None
        keep = False
        try:
            worker = worker or self._fork(state)
            reply, keep = self._ask(state, worker, body, timeout)
        except OSError as error:
            reply = Reply("crash", detail=f"no worker: {error}")
        finally:
            with state.changed:
                state.taken -= 1
                if keep and worker is not None:
                    state.idle.append(worker)
                state.changed.notify()
        return reply

    async def acall(self, payload: Any, timeout: float) -> Reply:
        """`call`, without blocking the event loop."""
        return await asyncio.to_thread(self.call, payload, timeout)

    def close(self) -> None:
        """End all processes of the pool; the next call starts them anew."""
        state, self._state = self._own(), _State()
        with state.control_lock:
            self._end(state)

    def pids(self) -> list[int]:
        """The helper's pid, if it runs, and those of idle workers."""
        state = self._own()
        helper = [state.helper.pid] if state.helper else []
        return helper + [worker.pid for worker in state.idle]

    def _own(self) -> _State:
        if self._state.owner != os.getpid():  # forked: the sockets are the parent's
            self._state = _State()
        return self._state

    def _ask(
        self, state: _State, worker: _Worker, body: bytes, timeout: float
    ) -> tuple[Reply, bool]:
        """The reply, and whether the worker may serve again."""
        deadline = time.monotonic() + timeout
        reply: Reply | None = None
        step: Any = None
        try:
            worker.sock.settimeout(timeout)
            worker.sock.sendall(LENGTH.pack(len(body)) + body)
            while (message := _message(worker.sock, deadline)) is not None:
                if message["kind"] != "step":
                    reply = Reply(**{"value": step, **message})
                    break
                step = message["value"]
        except TimeoutError:
            reply = Reply("timeout", step, f"over {timeout:g} s")
        except (BrokenPipeError, ConnectionResetError):
            reply = None
        worker.served += 1
        if reply is not None and reply.kind in ("ok", "error") and worker.served < self.recycle:
            return reply, True
        status = self._reap(state, worker)
        if reply is None:
            code = os.waitstatus_to_exitcode(status)
            reply = Reply("crash", step, f"the worker ended with {code}")
            if code == -signal.SIGALRM:
                reply = Reply("timeout", step, f"over {timeout:g} s")
        return reply, False

    def _fork(self, state: _State) -> _Worker:
        ours, theirs = socket.socketpair()
        try:
            with state.control_lock:
                control = state.control or self._start(state)
                try:
                    socket.send_fds(control, [REQUEST.pack(b"F", 0)], [theirs.fileno()])
                    answer = receive(control, ANSWER.size)
                except OSError:
                    answer = None
                if answer is None:
                    self._end(state)
                    raise ConnectionError("the helper process of the workers died")
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Worker(ANSWER.unpack(answer)[0], ours)

    def _reap(self, state: _State, worker: _Worker) -> int:
        """Kill a worker and return its wait status; 0 when the helper is gone as well."""
        worker.sock.close()
        with state.control_lock:
            if state.control is None:
                return 0
            try:
                state.control.sendall(REQUEST.pack(b"K", worker.pid))
                answer = receive(state.control, ANSWER.size)
            except OSError:
                answer = None
            if answer is None:
                self._end(state)
                return 0
        return int(ANSWER.unpack(answer)[0])

    def _start(self, state: _State) -> socket.socket:
        """Start the helper; the control lock is held."""
        ours, theirs = socket.socketpair()
        arguments = [str(theirs.fileno()), str(self.memory_mb << 20), self.target]
        state.helper = subprocess.Popen(
            [sys.executable, "-c", _BOOT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},  # the same verdict in each run
        )
        theirs.close()
        ours.settimeout(START_S)
        state.control = ours
        try:
            head = receive(ours, LENGTH.size)
            size = LENGTH.unpack(head)[0] if head else 0
            text = receive(ours, size) if size else b""
        except OSError as error:
            self._end(state)
            raise ConnectionError(f"the workers' helper did not start: {error}") from error
        if head is None or size:
            self._end(state)
            said = (text or b"").decode(errors="replace") or "it died"
            raise ConnectionError(f"the workers' helper did not start: {said}")
        ours.settimeout(CONTROL_S)
        return ours

    @staticmethod
    def _end(state: _State) -> None:
        """End the helper and, with its process group, all its workers."""
        if state.control is not None:
            state.control.close()
            state.control = None
        if state.helper is not None:
            if state.helper.poll() is None:
                os.killpg(state.helper.pid, signal.SIGKILL)
            state.helper.wait()
            state.helper = None
        with state.changed:
            for worker in state.idle:
                worker.sock.close()
            state.idle.clear()
