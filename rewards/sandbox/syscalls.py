"""The Linux calls that Python does not wrap: namespaces, mounts, prctl, capabilities, Landlock.

In: plain integers and paths. Out: nothing, or an `OSError` with the kernel's errno. Works on
x86_64 and aarch64; elsewhere `ARCH` is None and no tier is available. No policy here.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from typing import Final

_MACHINE = platform.machine()
ARCH: Final = {"x86_64": "x86_64", "aarch64": "aarch64"}.get(_MACHINE)
if not sys.platform.startswith("linux"):
    ARCH = None  # type: ignore[misc]
_NR: Final = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "unshare": (272, 97),
    "capset": (126, 91),
    "seccomp": (317, 277),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "close_range": (436, 436),
}

NEWNS, NEWUTS, NEWIPC = 0x00020000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH: Final = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP = 1, 4, 38, 21

# Null off Linux: nothing here is then called, since ARCH is None.
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    number = _NR[name][0 if ARCH == "x86_64" else 1]
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int = 0) -> int:
    """`prctl(option, value, 0, 0, 0)`."""
    zero = ctypes.c_ulong(0)
    result = int(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by the flags for new ones."""
    _call("unshare", flags)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """`mount(2)`."""
    _call(
        "mount",
        source.encode(),
        target.encode(),
        None if kind is None else kind.encode(),
        flags,
        None if data is None else data.encode(),
    )


def unmount(target: str) -> None:
    """Detach a mount, now for new look-ups, for good when the last user has gone."""
    _call("umount2", target.encode(), MNT_DETACH)


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root; the old one lies at `old`."""
    _call("pivot_root", new.encode(), old.encode())


def make_read_only(target: str) -> None:
    """Make a mount and all mounts below it read-only, without set-uid files and devices.

    Kernels before 5.12 lack mount_setattr: there the topmost mount alone is remounted.
    """
    wanted = struct.pack("QQQQ", MS_RDONLY | MS_NOSUID | MS_NODEV, 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    try:
        _call("mount_setattr", at_fdcwd, target.encode(), at_recursive, wanted, len(wanted))
    except OSError:
        kept = os.statvfs(target).f_flag & (MS_NOEXEC | 1024 | 2048)  # locked in a user namespace
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept
        mount("none", target, None, flags)


def drop_capabilities() -> None:
    """Give up every capability of this process; without exec none can come back."""
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    _call("capset", header, bytes(24))


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close the file descriptors from `first` to `last`."""
    if first > last:
        return
    try:
        _call("close_range", first, last, 0)
    except OSError:
        os.closerange(first, min(last, 4095) + 1)  # kernels before 5.9


def seccomp_filter(program: bytes) -> None:
    """Install a BPF program (packed sock_filter's); needs no_new_privs."""
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    _call("seccomp", 1, 0, fprog)  # SECCOMP_SET_MODE_FILTER


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    try:
        return _call("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def landlock_ruleset(attributes: bytes) -> int:
    """A new ruleset's file descriptor."""
    return _call("landlock_create_ruleset", attributes, len(attributes), 0)


def landlock_allow(ruleset: int, rights: int, beneath: int) -> None:
    """Allow rights beneath an open path."""
    _call("landlock_add_rule", ruleset, 1, struct.pack("=Qi", rights, beneath), 0)


def landlock_enforce(ruleset: int) -> None:
    """Bind this thread and its future children."""
    _call("landlock_restrict_self", ruleset, 0)
