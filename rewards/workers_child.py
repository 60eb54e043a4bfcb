"""The process behind a worker pool: imports the target once, then forks a worker on request.

In: the target, and what its module does once before the forks, in a function `warm` where it has
one; a control socket, over which the parent passes one socket for each worker it wants. Out: on
each of those, one JSON answer to each JSON request. Runs as a program of its own, so that nothing
of the parent (no verl, no torch, no `__main__`) is in it. Knows nothing of what the target does.

A worker cannot outlive its purpose: the kernel's own timer ends it shortly after a deadline even
while C code holds the interpreter; this process ends, and its whole process group with it, when
the parent does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

LENGTH: Final = struct.Struct("!I")
REQUEST: Final = struct.Struct("!cI")  # b"F" fork, b"K" kill and reap; a pid
ANSWER: Final = struct.Struct("!i")  # a pid, or a wait status
MAX_MESSAGE: Final = 1 << 20
GRACE_S: Final = 0.5  # the parent kills at the deadline; the kernel's timer is for when it cannot
LOOK_S: Final = 1.0  # how often an idle process looks whether its parent still lives


def receive(sock: socket.socket, size: int) -> bytes | None:
    """Exactly `size` bytes, or None at the end of the stream."""
    parts: list[bytes] = []
    while size:
        part = sock.recv(min(size, 1 << 16))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _wait(sock: socket.socket, parent: int) -> bool:
    """Wait for something to read; False when the parent is gone."""
    while not select.select([sock], [], [], LOOK_S)[0]:
        if os.getppid() != parent:
            return False
    return True


def _send(sock: socket.socket, message: dict[str, Any]) -> None:
    text = json.dumps(message).encode()
    sock.sendall(LENGTH.pack(len(text)) + text)


def _answer(sock: socket.socket, target: Callable[[Any], Any], payload: Any) -> dict[str, Any]:
    """The target's answer; of a generator the last value, and each as it comes."""
    try:
        value = target(payload)
        if isinstance(value, Iterator):
            steps, value = value, None
            for value in steps:
                _send(sock, {"kind": "step", "value": value})
        return {"kind": "ok", "value": value}
    except MemoryError:
        return {"kind": "memory", "detail": "out of memory"}
    except Exception as error:  # reported to the caller, who decides what it means
        return {"kind": "error", "detail": f"{type(error).__name__}: {str(error)[:200]}"}


def _work(sock: socket.socket, target: Callable[[Any], Any], memory_bytes: int) -> None:
    """Answer requests until the socket closes or the parent is gone."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    while _wait(sock, parent):
        head = receive(sock, LENGTH.size)
        body = receive(sock, LENGTH.unpack(head)[0]) if head else None
        if body is None:
            return
        message = json.loads(body)
        signal.setitimer(signal.ITIMER_REAL, message["timeout"] + GRACE_S)
        reply = _answer(sock, target, message["payload"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(sock, reply)


def _serve(control: socket.socket, target: Callable[[Any], Any], memory_bytes: int) -> None:
    """Fork and reap on request. A pid is reaped only on request, so that none is ever reused."""
    parent = os.getppid()
    while _wait(control, parent):
        request, fds, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if len(request) < REQUEST.size:
            return
        what, pid = REQUEST.unpack(request)
        if what == b"K":
            os.kill(pid, signal.SIGKILL)
            control.sendall(ANSWER.pack(os.waitpid(pid, 0)[1]))
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            code = 1
            try:
                _work(socket.socket(fileno=fds[0]), target, memory_bytes)
                code = 0
            finally:
                os._exit(code)
        os.close(fds[0])
        control.sendall(ANSWER.pack(pid))


def main() -> None:
    """`python -c … CONTROL_FD MEMORY_BYTES MODULE:FUNCTION`."""
    control = socket.socket(fileno=int(sys.argv[1]))
    where, _, name = sys.argv[3].partition(":")
    try:
        module = importlib.import_module(where)
        target = getattr(module, name)
        if hasattr(module, "warm"):
            module.warm()
    except Exception as error:  # the parent reports it: this process has no one else to tell
        text = f"{type(error).__name__}: {error}".encode()[:2000]
        control.sendall(LENGTH.pack(len(text)) + text)
        return
    gc.collect()
    gc.freeze()  # pages shared with the workers stay shared
    control.sendall(LENGTH.pack(0))
    try:
        _serve(control, target, int(sys.argv[2]))
    finally:
        os.killpg(0, signal.SIGKILL)
