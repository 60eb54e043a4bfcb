"""The warden ends a run's processes, whatever their session, title or parent, and no other's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.processes import Process, all_processes, read_process
from launch.warden import COOKIE, GRACE_S, LIMIT_S, LOOK_S, Warden, is_marked

LIMIT = GRACE_S + LIMIT_S + 20  # on a busy machine
SLEEP = "import time; time.sleep(300)"
HIDDEN = f"{SLEEP}  # of test {os.getpid()}"
# A worker, and below it: a daemon in a session of its own, and one with no environment.
WORKER = f"""
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(300)
    os._exit(0)
subprocess.Popen([sys.executable, "-c", {HIDDEN!r}], env={{}}, start_new_session=True)
time.sleep(300)
"""
POST = """
import sys, time
from launch.warden import start
start(sys.argv[1])
print("started", flush=True)
time.sleep(300)
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def marked(cookie: str) -> list[Process]:
    return [process for process in all_processes() if is_marked(process, cookie)]


def cleared(mark: str) -> list[Process]:
    """Processes with an empty environment and a mark in their command."""
    found = []
    for process in all_processes():
        folder = Path(f"/proc/{process.pid}")
        try:
            empty = (folder / "environ").read_bytes().strip(b"\0") == b""
            if empty and mark.encode() in (folder / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found


def until(condition: object, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_the_run_outlives_its_post(
    started: list[subprocess.Popen[bytes]], repo: Path, how: signal.Signals
) -> None:
    cookie = f"{os.getpid()}-{how}"
    environment = {**os.environ, COOKIE: cookie, "PYTHONPATH": str(repo)}
    started.append(subprocess.Popen([sys.executable, "-c", WORKER], env=environment))
    assert until(lambda: len(marked(cookie)) == 2 and len(cleared(HIDDEN)) == 1, 60)
    (hidden,) = cleared(HIDDEN)
    stranger = subprocess.Popen([sys.executable, "-c", SLEEP], env={**os.environ, COOKIE: "other"})
    started.append(stranger)
    post = subprocess.Popen([sys.executable, "-c", POST, cookie], cwd=repo, stdout=subprocess.PIPE)
    started.append(post)
    assert post.stdout is not None and post.stdout.readline() == b"started\n"
    (warden,) = cleared(cookie)  # what forked it has ended
    time.sleep(3 * LOOK_S)  # it has seen the hidden one below its parent
    started[0].kill()  # Ray ends the worker; its children are orphans now
    started[0].wait()
    post.send_signal(how)
    post.wait()
    assert until(lambda: not marked(cookie) and read_process(hidden.pid) != hidden, LIMIT)
    assert until(lambda: read_process(warden.pid) != warden, LIMIT)
    assert stranger.poll() is None


def test_while_the_post_stands_nothing_ends(
    started: list[subprocess.Popen[bytes]], repo: Path
) -> None:
    cookie = f"{os.getpid()}-standing"
    environment = {**os.environ, COOKIE: cookie}
    started.append(subprocess.Popen([sys.executable, "-c", SLEEP], env=environment))
    started.append(subprocess.Popen([sys.executable, "-c", POST, cookie], cwd=repo))
    time.sleep(3)
    assert started[0].poll() is None


def test_a_reused_id_is_a_stranger(started: list[subprocess.Popen[bytes]]) -> None:
    started.append(subprocess.Popen([sys.executable, "-c", SLEEP]))
    real = read_process(started[0].pid)
    assert real is not None
    warden = Warden("nobody's", watched=real)
    warden.known = {Process(real.pid, real.start - 1, parent=0, session=0)}
    assert warden.find() == []
