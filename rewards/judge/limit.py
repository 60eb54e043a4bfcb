"""A rate limit that all workers of a host share, kept in one small file.

In: a file and a rate. Out: the time at which this request may go. The generic cell rate algorithm:
the file holds one number, the time at which the bucket will be empty again; a request under a file
lock moves it on by one interval and then waits, without the lock, until its turn. Time is the
host's monotonic clock, the same in all its processes. Limits one host, not a cluster.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_AHEAD_S: Final = 3600.0  # a later time in the file is of before a reboot


class NoTurn(TimeoutError):
    """The turn would come after the deadline."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit by name.

    Attributes:
        path: the file; its folder exists.
        per_minute: requests a minute, in the long run.
        burst: how many may go at once after a pause.
    """

    path: Path
    per_minute: float
    burst: int = 1

    def __post_init__(self) -> None:
        """Refuse a limit that nothing can pass."""
        if not self.per_minute > 0 or self.burst < 1:
            raise ValueError(f"needs per_minute > 0 and burst ≥ 1, got {self!r}")

    def _moved(self, seconds: float, *, latest: float) -> float:
        """Move the file's time on by `seconds` from now or from itself; the wait that results.

        Args:
            seconds: by how much.
            latest: do not move, and raise `NoTurn`, if the wait would end after this time.
        """
        slack = (self.burst - 1) * 60.0 / self.per_minute
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for microseconds; freed with the process
            now = time.monotonic()
            empty = now
            with contextlib.suppress(ValueError):  # a new file, or one cut short
                empty = float(os.pread(descriptor, 64, 0) or b"0")
            if not now < empty < now + MAX_AHEAD_S:
                empty = now
            wait = max(0.0, empty - slack - now)
            if now + wait > latest:
                raise NoTurn(f"the rate limit's next turn is in {wait:.1f} s")
            text = f"{empty + seconds:.6f}".encode().ljust(32)
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))
            return wait
        finally:
            os.close(descriptor)

    def wait(self, deadline: float) -> None:
        """Sleep until this request's turn.

        Args:
            deadline: `time.monotonic()` after which the turn is no use.

        Raises:
            NoTurn: the turn would come later; none is taken.
        """
        time.sleep(self._moved(60.0 / self.per_minute, latest=deadline))

    def pause(self, seconds: float) -> None:
        """Hold everybody back, because the server asked for it."""
        self._moved(min(max(seconds, 0.0), 600.0), latest=float("inf"))
