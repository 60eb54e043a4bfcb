"""A private root: an own mount namespace that holds the standard library and nothing else.

In: the folders to show. Out: this process (the server) with a read-only root in which these
folders lie at their usual paths, beside an empty /tmp and five devices. No /proc, no home, no
configuration of the host. Works as root and, through a user namespace, as anybody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from . import syscalls

DEVICES: Final = ("null", "zero", "full", "random", "urandom")
LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo")


def shown(prefix: str, stdlib: str, more: Sequence[str] = ()) -> list[str]:
    """The folders that Python needs, without those inside another.

    Args:
        prefix: the interpreter's base prefix.
        stdlib: its standard library.
        more: further folders, such as one of packages.
    """
    wanted = [*LIBRARIES, stdlib, *more]
    if prefix not in ("/", "/usr"):
        wanted += [f"{prefix}/lib"]  # a build of its own brings its shared libraries along
    there = sorted({os.path.normpath(path) for path in wanted if os.path.isdir(path)}, key=len)
    kept: list[str] = []
    for path in there:
        if not any(path.startswith(f"{other}/") for other in kept):
            kept.append(path)
    return kept


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _enter_namespaces(uids: range) -> None:
    """New user, mount, network, IPC and UTS namespaces for this process.

    Args:
        uids: as root, the uids that sessions will run under; they are mapped onto themselves,
            beside root, which takes a helper with rights in the old namespace. Empty otherwise.
    """
    user, group, pid = os.geteuid(), os.getegid(), os.getpid()
    flags = syscalls.NEWUSER | syscalls.NEWNS | syscalls.NEWNET | syscalls.NEWIPC | syscalls.NEWUTS
    if not uids:
        syscalls.unshare(flags)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
        return
    ready_out, ready_in = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(ready_in)
            os.read(ready_out, 1)
            span = f"{uids.start} {uids.start} {len(uids)}"
            for name, own in (("uid_map", user), ("gid_map", group)):
                _write(f"/proc/{pid}/{name}", f"{own} {own} 1\n{span}\n")
            os._exit(0)
        finally:
            os._exit(1)
    os.close(ready_out)
    try:
        syscalls.unshare(flags)
    finally:
        os.close(ready_in)  # wakes the helper, after a failure too
        _, status = os.waitpid(helper, 0)
    if status:
        raise OSError(1, "cannot map user ids")


def _place(base: str, path: str, source: int) -> None:
    """Bind what `source` is open on to `base` + `path`."""
    target = base + path
    handle = f"/proc/self/fd/{source}"
    if os.path.isdir(handle):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    syscalls.mount(handle, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    if path.startswith("/dev/"):
        return  # a remount could not keep the device usable
    syscalls.make_read_only(target)


def enter(folders: Sequence[str], hidden: Sequence[str], uids: range) -> int:
    """Build the root and move into it.

    Args:
        folders: see `shown`.
        hidden: folders inside these that shall look empty.
        uids: see `_enter_namespaces`.

    Returns:
        A descriptor of the old /proc, by which sessions write their own uid maps; the caller
        keeps it out of the hands of confined processes.

    Raises:
        OSError: the kernel or the container forbids a step.
    """
    _enter_namespaces(uids)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    base = "/tmp"  # the tmpfs hides the host's /tmp from here on; sources are open before
    links = {path: os.readlink(path) for path in folders if os.path.islink(path)}
    paths = [path for path in folders if path not in links] + [f"/dev/{name}" for name in DEVICES]
    sources = {path: os.open(path, os.O_PATH) for path in paths}
    syscalls.mount("tmpfs", base, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755")
    os.umask(0o022)
    for path, source in sources.items():
        _place(base, path, source)
        os.close(source)
    for path, target in links.items():
        os.makedirs(os.path.dirname(base + path), exist_ok=True)
        if not os.path.lexists(base + path):
            os.symlink(target, base + path)
    for path in hidden:
        if os.path.isdir(base + path):
            syscalls.mount("tmpfs", base + path, "tmpfs", syscalls.MS_RDONLY, "size=4k,mode=0755")
    os.mkdir(f"{base}/tmp")
    os.chdir(base)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".")
    os.chdir("/")
    again = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
    syscalls.mount("none", "/", None, again | syscalls.MS_NOSUID | syscalls.MS_NODEV)
    return proc


def session_tmp(size: int, files: int) -> None:
    """A fresh, empty, bounded /tmp in the calling session's own mount namespace."""
    options = f"size={size},nr_inodes={files},mode=0700"
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("tmpfs", "/tmp", "tmpfs", flags, options)


def enter_session(proc: int) -> None:
    """New user, PID and mount namespaces; the next child is PID 1 of the new one.

    Args:
        proc: what `enter` returned.
    """
    user, group = os.geteuid(), os.getegid()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)  # after a change of uid, else /proc refuses
    syscalls.unshare(syscalls.NEWUSER | syscalls.NEWPID | syscalls.NEWNS)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        fd = os.open(f"self/{name}", os.O_WRONLY, dir_fd=proc)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
