"""The warden: ends what a run's Ray workers leave behind on one node of a cluster that we joined.

In: a cookie, that each of the run's workers has in its environment as `TEMPER_RUN` and that its
children inherit, and the process to watch (an actor of the run, which Ray ends with the run,
however it ends). Out: nothing of the run is left on this node a few seconds after that. A cluster
of somebody else's cannot be ended with the run as our own Ray is, and Ray ends its workers but not
for certain what they started: vLLM's EngineCore and Worker processes.

A process is the run's when the cookie is in its environment or in that of an ancestor, now or when
last looked at; its name means nothing. Standard library only; it starts in 30 ms and holds 10 MB.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from launch.processes import Process, all_processes, descendants, end_all, is_alive, read_process

COOKIE = "TEMPER_RUN"
LOOK_S = 1.0
"""Seconds between two looks at the processes, so that who hides its environment is known."""
GRACE_S = 2.0
"""Seconds that Ray has for ending the run's workers itself."""
POLITE_S = 2.0
LIMIT_S = 6.0


def start(cookie: str) -> None:
    """Start a warden that watches the calling process, as no child of it: Ray ends those."""
    me = read_process(os.getpid())
    if me is None:
        raise OSError("this process is not in /proc")
    root = str(Path(__file__).resolve().parents[1])
    spec = json.dumps({"cookie": cookie, "pid": me.pid, "start": me.start})
    code = f"import sys; sys.path.append({root!r}); from launch.warden import main; main()"
    # The shim forks in `main` and ends; -I -S and an empty environment, so that it is not marked.
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, spec],
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
        cwd="/",
    )


def is_marked(process: Process, cookie: str) -> bool:
    """Whether the process was started with the cookie in its environment."""
    try:
        with open(f"/proc/{process.pid}/environ", "rb") as file:
            return f"{COOKIE}={cookie}".encode() in file.read().split(b"\0")
    except OSError:
        return False


class Warden:
    """Knows the run's processes of this node."""

    def __init__(self, cookie: str, watched: Process) -> None:
        """Nothing is looked at yet."""
        self.cookie, self.watched = cookie, watched
        self.known: set[Process] = set()

    def find(self) -> list[Process]:
        """The run's living processes, and from now on known as such."""
        table = [process for process in all_processes() if process.pid != os.getpid()]
        alive = self.known & set(table)
        alive |= {process for process in table if is_marked(process, self.cookie)}
        alive |= set(descendants([process.pid for process in alive], table=table))
        self.known = alive
        return list(alive)

    def run(self) -> None:
        """Wait for the watched process to end, then end the rest."""
        handle = -1
        with suppress(ProcessLookupError):  # it has ended already
            handle = os.pidfd_open(self.watched.pid)
        while handle >= 0 and is_alive(self.watched):
            self.find()
            select.select([handle], [], [], LOOK_S)
        deadline = time.monotonic() + GRACE_S
        while self.find() and time.monotonic() < deadline:
            time.sleep(0.1)
        end_all(self.find, polite_s=POLITE_S, limit_s=LIMIT_S)


def main() -> None:
    """Leave the caller's tree, then watch as the JSON in the first argument says."""
    if os.fork():
        os._exit(0)
    spec = json.loads(sys.argv[1])
    watched = Process(spec["pid"], spec["start"], parent=0, session=0)
    Warden(spec["cookie"], watched).run()


if __name__ == "__main__":
    main()
