"""The fork server: a slim process that forks a session for each one the client asks for.

In: a configuration as JSON in argv, then datagrams on the control socket, each `open` with a job
socket, or `kill`. Out: sessions; `ready` or the reason why this tier cannot be had. Ends, with all
its sessions, as soon as the client's process does. Imports the standard library alone, so that a
fork costs a millisecond; holds no data of any row.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Final, NoReturn

from . import candidate, confine, root, seccomp, session, syscalls

# What solutions import most. Loaded once here, they are there in every child at no cost.
_PRELOADED: Final = """
abc array bisect calendar cmath collections contextlib copy dataclasses datetime decimal enum
fractions functools heapq io itertools json math numbers operator queue random re statistics
string textwrap threading time traceback types typing _strptime
""".split()  # noqa: SIM905 - a list of sixty lines reads no better


def _self_test(tier: confine.Tier) -> None:
    """Confine a child as a program would be; raises when a part of the tier does not hold."""
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            limits = {"cpu_s": 1, "memory_bytes": 1 << 30, "file_bytes": 0, "open_files": 32}
            confine.lock_down(tier._replace(own_tmp=False), limits, 1 << 16)
            failed = 0
            if tier.seccomp:
                failed |= _allowed(lambda: os.fork() or os._exit(0))
                failed |= _allowed(lambda: socket.socket(socket.AF_UNIX))
                failed |= _allowed(lambda: os.kill(os.getppid(), 0))
            if tier.landlock or tier.private_root:
                failed |= _allowed(lambda: os.listdir("/etc"))
        finally:
            os._exit(failed)
    _, status = os.waitpid(child, 0)
    if status:
        raise OSError(1, "confinement does not hold")


def _allowed(act: Any) -> int:
    try:
        act()
    except OSError:
        return 0
    return 1


def _tasks(limit: int, alone: bool) -> int:
    """RLIMIT_NPROC: the limit, plus what the user runs already where the kernel counts it in."""
    if alone:
        return limit + 4
    own, running = os.getuid(), 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == own:
                running += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue  # it ended meanwhile, or shows nothing
    return running + limit


class _Server:
    def __init__(self, setting: dict[str, Any]) -> None:
        self.control = socket.socket(fileno=setting["control"])
        self.client = int(setting["client"])
        self.setting = setting
        self.children: dict[int, tuple[int, int]] = {}  # session id → pid, pidfd
        self.proc = self.library = -1
        self.tasks = (0.0, 0)
        self.tier = self._enter(setting["tier"])
        _self_test(self.tier)

    def _uids(self) -> range:
        return range(*self.setting["uids"])

    def _enter(self, name: str) -> confine.Tier:
        """Take the server-wide steps of a tier."""
        where = self.setting
        folders = root.shown(where["prefix"], where["stdlib"], where["packages"])
        abi = syscalls.landlock_abi()
        if not syscalls.ARCH and name != "unsafe":
            raise OSError(38, "neither x86_64 nor aarch64 Linux")
        if name == "landlock" and not abi:
            raise OSError(95, "the kernel has no Landlock, or it is switched off")
        if name == "namespaces":
            hidden = [f"{where['stdlib']}/site-packages"]
            hidden = [path for path in hidden if path not in where["packages"]]
            self.proc = root.enter(folders, hidden, self._uids())
        private = name in ("namespaces", "bubblewrap")
        if not private and self._uids() and not where["library_open"]:
            found = os.open(where["stdlib"], os.O_PATH | os.O_DIRECTORY)
            os.dup2(found, confine.LIBRARY)
            self.library = confine.LIBRARY
        filtered = bool(syscalls.ARCH)
        if filtered:
            seccomp.program(True)
            seccomp.program(False)
        readable = ["/"] if private else [*folders, *(f"/dev/{name}" for name in root.DEVICES)]
        if self.library >= 0:
            readable.append(f"/proc/self/fd/{self.library}")
        abi = abi if name != "unsafe" else 0
        return confine.Tier(name, private, name == "namespaces", abi, filtered, tuple(readable))

    def import_path(self) -> list[str]:
        """Import path of confined processes."""
        stdlib = self.setting["stdlib"]
        base = stdlib if self.library < 0 else f"/proc/self/fd/{self.library}"
        return [base, f"{base}/lib-dynload", *self.setting["packages"]]

    def _limit_of_tasks(self, limit: int) -> int:
        alone = bool(self._uids()) or self.tier.private_root
        if alone:
            return _tasks(limit, True)
        at, known = self.tasks
        if time.monotonic() - at > 10:
            known = _tasks(0, False)
            self.tasks = (time.monotonic(), known)
        return known + limit

    def _open(self, request: dict[str, Any], job: int, keep: int) -> None:
        uids = self._uids()
        uid = uids[request["slot"] % len(uids)] if uids else 0
        tasks = self._limit_of_tasks(request["threads"])
        here = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_session(
                session.Place(self.tier, self.proc, self.library, uid, tasks), job, here, keep
            )
        os.close(job)
        os.close(keep)
        self.children[request["id"]] = (pid, os.pidfd_open(pid))

    def _be_session(self, place: session.Place, job: int, server: int, keep: int) -> NoReturn:
        self.control.close()
        os.close(self.client)
        for _, pidfd in self.children.values():
            os.close(pidfd)
        session.run(place, socket.socket(fileno=job), server, keep)

    def _kill(self, number: int) -> None:
        if number in self.children:
            os.kill(self.children[number][0], signal.SIGKILL)

    def serve(self) -> None:
        """Until the client goes."""
        while True:
            poller = select.poll()
            for fd in (self.control.fileno(), self.client):
                poller.register(fd, select.POLLIN)
            by_fd = {pidfd: number for number, (_, pidfd) in self.children.items()}
            for fd in by_fd:
                poller.register(fd, select.POLLIN)
            for fd, _ in poller.poll():
                if fd == self.client:
                    return
                if fd in by_fd:
                    pid, _ = self.children.pop(by_fd[fd])
                    os.waitpid(pid, 0)
                    os.close(fd)
                elif fd == self.control.fileno():
                    text, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 2)
                    if not text:
                        return
                    request = json.loads(text)
                    if request["do"] == "open":
                        self._open(request, *fds)
                    else:
                        self._kill(request["id"])

    def end(self) -> None:
        """Kill what still runs."""
        for number in list(self.children):
            self._kill(number)
        for pid, _ in self.children.values():
            os.waitpid(pid, 0)


def main(argument: str) -> None:
    """Set up, report, serve."""
    setting = json.loads(argument)
    for name in ("control", "client"):  # out of the way of the descriptors with fixed numbers
        given = setting[name]
        setting[name] = fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, confine.LIBRARY + 10)
        os.close(given)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a Ctrl-C is the client's to handle
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.path[:] = [path for path in sys.path if path != setting["own_path"]]
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    gc.disable()
    control = socket.socket(fileno=fcntl.fcntl(setting["control"], fcntl.F_DUPFD_CLOEXEC, 32))
    try:
        server = _Server(setting)
        candidate.preset(server.import_path())
    except OSError as error:
        control.send(json.dumps({"error": str(error)}).encode())
        return
    control.send(json.dumps({"ready": True, "landlock": server.tier.landlock}).encode())
    control.close()
    try:
        server.serve()
    finally:
        server.end()
