"""One session: a trusted process that runs, feeds, watches and ends confined ones.

In: frames of the client on the job socket: load a program, run it on an input, start it for calls,
ask it something, check it with a test. Out: frames with what came back, never a judgement. The
session holds no expected value but inside the tests that `check` hands to their own process. It
is PID 1 of its namespaces where there are any: when it goes, all that it started has gone. Wall
time is measured here; whoever passes it is killed.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, NoReturn

from . import candidate, checker, confine, plain, root, syscalls, wire

CODE_CAP: Final = 256 * 2**20  # of a frame from the client, which is trusted
_STDERR_KEPT: Final = 2000


class Place(NamedTuple):
    """Where a session runs.

    Attributes:
        tier: what confinement there is.
        proc: descriptor of the host's /proc, -1 when no namespaces are to be made.
        library: see `confine.LIBRARY`; -1 where it is not needed.
        uid: user id to change to; 0 keeps the present one.
        tasks: value of RLIMIT_NPROC.
    """

    tier: confine.Tier
    proc: int
    library: int
    uid: int
    tasks: int


class _Child(NamedTuple):
    pid: int
    pidfd: int


def _end(child: _Child) -> tuple[int, float]:
    """Kill a child, whatever it does; its wait status and CPU seconds."""
    for kill in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):  # gone, or never led a group
            kill(child.pid, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    os.close(child.pidfd)
    return status, usage.ru_utime + usage.ru_stime


class Session:
    """The trusted process's state: the program, and its process when it serves calls."""

    def __init__(self, place: Place, job: socket.socket) -> None:
        """Serve `job` with what `place` offers."""
        self.place = place
        self.job = job.fileno()
        self.source = ""
        self.calls: _Child | None = None
        self.line: socket.socket | None = None
        self.tested = False

    def spawn(self, limits: dict[str, Any], fds: list[int], body: Callable[[], object]) -> _Child:
        """Fork a confined child that runs `body`, with `fds` placed from 0 on."""
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                confine.place_descriptors(fds, self.place.library)
                confine.lock_down(self.place.tier, limits, self.place.tasks)
                candidate.prepare()
                body()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)
        return _Child(pid, os.pidfd_open(pid))

    def fresh_tmp(self, limits: dict[str, Any], again: bool) -> None:
        """An empty /tmp, where there is one."""
        if self.place.tier.own_tmp:
            if again:
                syscalls.unmount("/tmp")
            root.session_tmp(limits["tmp_bytes"], limits["tmp_files"])

    def run(self, head: dict[str, Any], stdin: bytes) -> None:
        """Run the loaded program on one input."""
        limits = head["limits"]
        given = os.memfd_create("stdin")
        _fill(given, stdin)
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        started = time.monotonic()
        fds = [given, out_end, err_end]
        child = self.spawn(limits, fds, lambda: candidate.run_program(self.source))
        for fd in fds:
            os.close(fd)
        deadline = started + head["wall_s"]
        flood = _Drain(out, limits["output_bytes"], err)
        late = flood.until_exit(child.pidfd, deadline)
        status, cpu = _end(child)
        flood.rest()
        os.close(out)
        os.close(err)
        late = late or _ran_out(status, cpu, limits)
        reply = {
            "nonce": head["nonce"],
            "kind": "timeout" if late else "overflow" if flood.over else "exit",
            "status": os.waitstatus_to_exitcode(status),
            "cpu_s": round(cpu, 4),
            "wall_s": round(time.monotonic() - started, 4),
            "error": bytes(flood.errors).decode(errors="replace"),
        }
        wire.write(self.job, reply, bytes(flood.output))

    def start(self, head: dict[str, Any]) -> None:
        """Start the loaded program for calls.

        Never after a test was here: a fork would carry the test's text in its memory.
        """
        self.stop()
        if self.tested:
            raise PermissionError("a session that has run a test starts no program")
        ours, theirs = socket.socketpair()
        null = os.open("/dev/null", os.O_RDWR)
        fds = [null, null, null, theirs.fileno()]
        nonce = head["nonce"]
        self.calls = self.spawn(
            head["limits"], fds, lambda: candidate.serve_calls(self.source, nonce)
        )
        os.close(null)
        theirs.close()
        self.line = ours
        self._relay(head)

    def stop(self) -> tuple[int, float]:
        """End the program that serves calls."""
        ended = (0, 0.0)
        if self.calls is not None:
            ended = _end(self.calls)
            self.calls = None
        if self.line is not None:
            self.line.close()
            self.line = None
        return ended

    def _relay(self, head: dict[str, Any]) -> None:
        """Wait for the program's next frame and pass it on unread."""
        assert self.line is not None
        limits, reply = head["limits"], {"nonce": head["nonce"], "kind": "reply", "status": 0}
        deadline = time.monotonic() + head["wall_s"]
        blob = b""
        try:
            blob, _ = wire.read_raw(self.line.fileno(), limits["output_bytes"], deadline)
        except wire.Late:
            reply["kind"] = "timeout"
        except wire.BadFrame:
            reply["kind"] = "overflow"
        except wire.Closed:
            reply["kind"] = "died"
        if reply["kind"] != "reply":
            status, cpu = self.stop()
            reply["status"] = os.waitstatus_to_exitcode(status)
            if reply["kind"] == "died" and _ran_out(status, cpu, limits):
                reply["kind"] = "timeout"
        wire.write(self.job, reply, blob)

    def ask(self, head: dict[str, Any]) -> None:
        """Send a request to the program that serves calls."""
        if self.line is None:
            wire.write(self.job, {"nonce": head["nonce"], "kind": "died", "status": 0})
            return
        request = wire.pack({**head["request"], "nonce": head["nonce"]})
        with suppress(wire.Late, wire.Closed):  # the wait for the reply then says what happened
            wire.write_all(self.line.fileno(), request, time.monotonic() + head["wall_s"])
        self._relay(head)

    def check(self, head: dict[str, Any]) -> None:
        """Run a test, in a process of its own, against the program that serves calls."""
        if self.line is None:
            wire.write(self.job, {"nonce": head["nonce"], "kind": "died", "status": 0})
            return
        ours, theirs = socket.socketpair()
        null = os.open("/dev/null", os.O_RDWR)
        fds = [null, null, null, theirs.fileno(), self.line.fileno()]
        token = os.urandom(16).hex()  # after the program's process was made: it cannot know it

        def body() -> None:
            verdict = checker.check(head["trusted"], head["remote"], head["test"])
            wire.write(confine.CHANNEL, {**verdict, "token": token})
            os._exit(0)

        tester = self.spawn(head["limits"], fds, body)
        os.close(null)
        theirs.close()
        reply: dict[str, Any] = {"nonce": head["nonce"], "kind": "died", "status": 0}
        deadline = time.monotonic() + head["wall_s"]
        gone = False
        try:
            said = wire.read(ours.fileno(), 1 << 20, deadline).head
            if said.get("token") == token:
                reply.update(kind="checked", passed=said["passed"], error=said["error"])
                reply["fault"] = said.get("fault", "")
                gone = said.get("gone") is True
        except wire.Late:
            reply["kind"] = "timeout"
        except (wire.Closed, wire.BadFrame):
            reply["error"] = "the test's process ended without a verdict"
        status, cpu = _end(tester)
        ours.close()
        late = reply["kind"] == "timeout" or _ran_out(status, cpu, head["limits"])
        if gone or reply["kind"] != "checked":
            status, cpu = self.stop()  # between a request and its reply: of no further use
            late = late or _ran_out(status, cpu, head["limits"])
            reply["kind"] = "timeout" if late else reply["kind"]
        wire.write(self.job, reply)

    def serve(self) -> None:
        """Answer the client until it closes the socket."""
        mounted = False
        while True:
            try:
                head, blob = wire.read(self.job, CODE_CAP)
            except wire.Closed:
                self.stop()
                return
            do = head["do"]
            self.tested = self.tested or do == "check"  # its frame is in this memory from now on
            if do == "load":
                self.source = blob.decode(errors="replace")
                continue
            try:
                if do in ("run", "start"):
                    self.fresh_tmp(head["limits"], mounted)
                    mounted = True
                if do == "run":
                    self.run(head, blob)
                else:
                    {"start": self.start, "ask": self.ask, "check": self.check}[do](head)
            except (OSError, plain.NotPlain) as error:
                fault = f"{type(error).__name__}: {error}"
                wire.write(self.job, {"nonce": head["nonce"], "kind": "failed", "error": fault})


def _fill(fd: int, data: bytes) -> None:
    view, at = memoryview(data), 0
    while at < len(view):
        at += os.pwrite(fd, view[at : at + (1 << 20)], at)


def _ran_out(status: int, cpu: float, limits: dict[str, Any]) -> bool:
    """Whether the kernel ended a process for its CPU time, or it used all of it."""
    code = os.waitstatus_to_exitcode(status)
    return code == -signal.SIGXCPU or cpu >= limits["cpu_s"]


class _Drain:
    """Reads a program's output while it runs, up to a cap."""

    def __init__(self, out: int, cap: int, err: int) -> None:
        self.output, self.errors = bytearray(), bytearray()
        self.out, self.err, self.cap = out, err, cap
        self.over = False
        self.poller = select.poll()
        self.waiting = {out, err}
        for fd in self.waiting:
            os.set_blocking(fd, False)
            self.poller.register(fd, select.POLLIN)

    def _take(self, fd: int) -> bool:
        """Read once; False when there is nothing now or nothing more."""
        try:
            part = os.read(fd, 1 << 18)
        except BlockingIOError:
            return False
        if not part:
            self.waiting.discard(fd)
            self.poller.unregister(fd)
            return False
        if fd == self.out:
            self.output += part
            if len(self.output) > self.cap:
                self.over = True
                del self.output[self.cap :]
        else:
            self.errors += part
            del self.errors[:-_STDERR_KEPT]
        return True

    def until_exit(self, pidfd: int, deadline: float) -> bool:
        """Drain until the process ends, floods or is late; True when late."""
        self.poller.register(pidfd, select.POLLIN)
        while not self.over:
            left = deadline - time.monotonic()
            if left <= 0:
                return True
            ready = [fd for fd, _ in self.poller.poll(left * 1000)]
            for fd in ready:
                if fd != pidfd:
                    self._take(fd)
            if pidfd in ready:
                break
        self.poller.unregister(pidfd)
        return False

    def rest(self) -> None:
        """What the process left in its pipes."""
        for fd in list(self.waiting):
            while not (fd == self.out and self.over) and self._take(fd):
                pass


def run(place: Place, job: socket.socket, server: int, keep: int) -> NoReturn:
    """Be a session; called in a fresh child of the server.

    Args:
        place: see `Place`.
        job: the client's socket.
        server: the server's process id.
        keep: descriptor whose closing tells the client that all processes have gone.
    """
    try:
        if place.uid:
            os.setgroups([])
            os.setresgid(place.uid, place.uid, place.uid)
            os.setresuid(place.uid, place.uid, place.uid)
        if place.proc >= 0:
            root.enter_session(place.proc)
        elif place.library >= 0:
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of uid clears it
        if os.getppid() != server:
            os._exit(0)
        if place.proc >= 0:
            first = os.fork()
            if first:
                confine.place_descriptors([keep])
                os.waitpid(first, 0)
                os._exit(0)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.close(place.proc)
            os.close(keep)
        Session(place, job).serve()
    except (wire.Closed, wire.BadFrame):
        pass  # the client has gone
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)
