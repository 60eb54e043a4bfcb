"""Landlock: which files a process may open, whatever its uid may.

In: folders to read, folders to write. Out: the calling process bound for good; with a new enough
kernel also no TCP, no abstract sockets and no signals to others. Metadata (names, sizes) stays
visible: Landlock does not govern it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import Final

from . import syscalls

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
READ: Final = _READ_FILE | _READ_DIR
# Write, remove, make folders and files, truncate; no devices, sockets, pipes or links.
WRITE: Final = READ | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14
_FILE_ONLY: Final = _READ_FILE | 1 << 1 | 1 << 14


def _handled(abi: int) -> int:
    bits = 13 + (abi >= 2) + (abi >= 3) + (abi >= 5)
    return (1 << bits) - 1


def restrict(abi: int, readable: Sequence[str], writable: Sequence[str]) -> None:
    """Bind this process.

    Args:
        abi: the kernel's version, at least 1.
        readable: folders and files to read.
        writable: folders in which files may be made, files that may be written.
    """
    handled = _handled(abi)
    network = 3 if abi >= 4 else 0  # bind and connect
    scoped = 3 if abi >= 6 else 0  # abstract sockets, signals
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = syscalls.landlock_ruleset(struct.pack("QQQ", handled, network, scoped)[:size])
    try:
        rules = [(path, READ) for path in readable] + [(path, WRITE) for path in writable]
        for path, rights in rules:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not there, so nothing to allow
            try:
                only = rights if os.path.isdir(path) else rights & _FILE_ONLY
                syscalls.landlock_allow(ruleset, only & handled, beneath)
            finally:
                os.close(beneath)
        syscalls.landlock_enforce(ruleset)
    finally:
        os.close(ruleset)
