"""Lock the calling process down, for good, before it runs code that nobody vouches for.

In: the tier and the limits. Out: a process without capabilities, with rlimits, no_new_privs,
Landlock and seccomp on, that holds no file descriptor but those named. What the tier lacks is
left out; which parts are there was probed when the server started.
"""

from __future__ import annotations

import math
import os
import resource
import signal
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from . import landlock, seccomp, syscalls

CHANNEL: Final = 3  # the descriptor by which a confined process talks to its session
# The standard library's folder, where a session's user may not walk to it (a private home).
LIBRARY: Final = 9


class Tier(NamedTuple):
    """What the server found that it can do.

    Attributes:
        name: `namespaces`, `bubblewrap`, `landlock` or `unsafe`.
        private_root: the process sees a root of its own.
        own_tmp: each program gets a bounded /tmp that vanishes with it.
        landlock: the kernel's Landlock version, 0 for none.
        seccomp: a system call filter is set.
        readable: folders that Landlock lets be read.
    """

    name: str
    private_root: bool
    own_tmp: bool
    landlock: int
    seccomp: bool
    readable: tuple[str, ...]


def _limits(limits: dict[str, Any], tasks: int) -> None:
    """Rlimits that hold for this process and cannot be raised again."""
    seconds = max(1, math.ceil(limits["cpu_s"]))
    file_bytes = limits["file_bytes"]
    for what, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_NPROC, tasks, tasks),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, 64, 64),
        (resource.RLIMIT_STACK, 8 << 20, 8 << 20),
    ):
        _, most = resource.getrlimit(what)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(what, (soft, hard))


def place_descriptors(wanted: Sequence[int], library: int = -1) -> None:
    """Put descriptors at 0, 1, 2 … and close every other one but the library at its own."""
    high = [os.dup(fd) if fd < len(wanted) else fd for fd in wanted]
    for target, fd in enumerate(high):
        os.dup2(fd, target, inheritable=True)
    if library >= 0:  # it lies at its place since the server's start
        syscalls.close_range(len(wanted), LIBRARY - 1)
        syscalls.close_range(LIBRARY + 1)
    else:
        syscalls.close_range(len(wanted))


def lock_down(tier: Tier, limits: dict[str, Any], tasks: int) -> None:
    """Confine this process.

    Args:
        tier: what is available.
        limits: `cpu_s`, `memory_bytes`, `file_bytes`, `open_files`.
        tasks: most threads of this user id, wherever the kernel counts them.
    """
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir("/tmp" if tier.own_tmp else "/")
    _limits(limits, tasks)
    if tier.private_root:
        syscalls.drop_capabilities()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if tier.landlock:
        writable = ["/dev/null", *(["/tmp"] if tier.own_tmp else [])]
        landlock.restrict(tier.landlock, tier.readable, writable)
    if tier.seccomp:
        syscalls.seccomp_filter(seccomp.program(tier.own_tmp))
