"""Processes by ancestry: who descends from whom, and ending all of them for certain.

In: process ids. Out: what /proc says about them, and signals sent to exactly those processes: a
process is its id *and* its start time, so a reused id is never hit. Linux only, standard library
only (the guard runs without site-packages). Nothing here looks at a process's name.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_LIBC = ctypes.CDLL(None, use_errno=True)
_POLL_S = 0.02
_FREEZE_SWEEPS = 50  # enough for any tree that is not forking faster than /proc can be read


@dataclass(frozen=True)
class Process:
    """One process as /proc showed it. `start` is in clock ticks since boot."""

    pid: int
    start: int
    parent: int = field(compare=False)
    session: int = field(compare=False)


@dataclass
class Ended:
    """What a clean-up did: how many processes ended, how many had to be killed, who is left."""

    count: int = 0
    killed: int = 0
    survivors: list[int] = field(default_factory=list)
    seconds: float = 0.0


def read_process(pid: int) -> Process | None:
    """The process, or None when it does not exist or is a zombie (dead, not yet reaped)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name is in parentheses and may itself hold any character: cut after the last one.
            fields = file.read().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X") and len(os.listdir(f"/proc/{pid}/task")) <= 1:
            return None
    except (OSError, IndexError):
        return None
    return Process(pid, start=int(fields[19]), parent=int(fields[1]), session=int(fields[3]))


def all_processes() -> list[Process]:
    """Every living process that /proc shows."""
    found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def is_alive(process: Process) -> bool:
    """Whether this very process (id and start time) still runs."""
    return read_process(process.pid) == process


def descendants(
    roots: Iterable[int], *, without: Iterable[Process] = (), table: list[Process] | None = None
) -> list[Process]:
    """All living descendants of `roots`, the roots themselves excluded.

    Args:
        roots: process ids.
        without: processes to leave out together with everything below them.
        table: a table of processes to search; None reads /proc now.
    """
    children: dict[int, list[Process]] = {}
    for process in all_processes() if table is None else table:
        children.setdefault(process.parent, []).append(process)
    left_out = set(without)
    found: list[Process] = []
    todo = list(roots)
    seen = set(todo)
    while todo:
        for child in children.get(todo.pop(), ()):
            if child.pid not in seen and child not in left_out:
                seen.add(child.pid)
                found.append(child)
                todo.append(child.pid)
    return found


def send(process: Process, number: int) -> bool:
    """Signal exactly this process. False when it is gone or belongs to another user."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        # The descriptor pins the process; only now is the start time's answer final.
        if read_process(process.pid) != process:
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def end_all(
    find: Callable[[], list[Process]],
    *,
    polite_s: float,
    limit_s: float,
    reap: Callable[[], None] = lambda: None,
    hurry: Callable[[], bool] = lambda: False,
) -> Ended:
    """End every process that `find` returns, those that appear meanwhile included.

    SIGTERM first. Who is left after `polite_s` is stopped (so that nothing forks on), then killed,
    again and again until `find` returns nothing or `limit_s` is over.

    Args:
        find: the living processes to end.
        polite_s: seconds between SIGTERM and SIGKILL; 0 kills at once.
        limit_s: seconds for the whole; more can only be needed by a process that the kernel holds.
        reap: collects dead children of the calling process.
        hurry: asked while waiting; True ends the polite part.
    """
    begun = time.monotonic()
    seen: set[Process] = set()
    killed: set[Process] = set()
    result = Ended()
    while polite_s > 0:
        reap()
        left = find()
        for process in left:
            if process not in seen:
                seen.add(process)
                send(process, signal.SIGTERM)
        if not left or hurry() or time.monotonic() - begun > polite_s:
            break
        time.sleep(_POLL_S)
    while True:
        reap()
        frozen: set[Process] = set()
        for _ in range(_FREEZE_SWEEPS):
            new = [process for process in find() if process not in frozen]
            if not new:
                break
            for process in new:
                send(process, signal.SIGSTOP)
            frozen.update(new)
        for process in frozen:
            send(process, signal.SIGKILL)
        seen |= frozen
        killed |= frozen
        reap()
        # A chain of processes that each fork and end can hide from one look, not from three.
        left = find() or find() or find()
        if not left or time.monotonic() - begun > limit_s:
            break
        time.sleep(_POLL_S)
    reap()  # who ended between the last look and now still owes its exit status
    result.count = len(seen) - len(left)
    result.killed = len(killed) - len(left)
    result.survivors = [process.pid for process in left]
    result.seconds = round(time.monotonic() - begun, 3)
    return result


def set_subreaper(on: bool) -> bool:
    """Make orphaned descendants become children of this process; returns the former setting.

    Raises:
        OSError: the kernel refuses.
    """
    before = ctypes.c_int()
    for arguments in (
        (_PR_GET_CHILD_SUBREAPER, ctypes.byref(before)),
        (_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(int(on))),
    ):
        if _LIBC.prctl(*arguments, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "prctl")
    return bool(before.value)


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies; for `preexec_fn`."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def machine_identity() -> dict[str, str]:
    """What a process id is valid within: this boot of this machine, this pid namespace."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    return {"boot": boot, "pid_namespace": os.readlink("/proc/self/ns/pid")}
