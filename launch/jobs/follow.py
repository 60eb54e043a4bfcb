"""Follow a job: its log as it grows, its end as our exit code.

In: a `Jobs` and a job's id. Out: the log on stdout, redacted, and the job's last state. Ctrl-C
leaves the job alone and says how to stop it. A connection that breaks is taken up again where the
log was left.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress

from conf.errors import ClusterError
from launch.jobs.client import Jobs, JobState
from launch.progress import say
from launch.redact import Redactor, StreamRedactor

RETRY_S = 60.0
"""Seconds without any answer of the server before a follower gives up; the job goes on."""


class Follower:
    """Prints a job's log once, whatever the connection does."""

    def __init__(self, jobs: Jobs, job_id: str, redactor: Redactor) -> None:
        """Nothing is read before `run`."""
        self._jobs, self._id = jobs, job_id
        self._printed = 0  # characters of the log that have been taken
        self._stream: StreamRedactor = redactor.stream()

    def run(self) -> JobState:
        """Print until the job is over.

        Returns:
            Its last state.

        Raises:
            KeyboardInterrupt: the user pressed Ctrl-C; the job goes on.
            ClusterError: the server has not answered for a minute; the job may go on.
        """
        try:
            return self._follow()
        except KeyboardInterrupt:
            say("submit", f"{self._id} goes on; to stop it: {self.command('stop')}")
            raise
        finally:
            sys.stdout.write(self._stream.flush())
            sys.stdout.flush()

    def command(self, what: str) -> str:
        """The command line that does something with this job."""
        return f"python -m launch.submit {what} {self._id} --address {self._jobs.address}"

    def _follow(self) -> JobState:
        heard = time.monotonic()
        while True:
            before = self._printed
            try:
                state = self._jobs.state(self._id)
                if state.over:
                    with suppress(ClusterError):  # a job that never started has no log
                        self._take(self._jobs.logs(self._id), 0)  # what the tail had not shown
                    return state
                asyncio.run(self._tail())
                heard = time.monotonic()
            except (ClusterError, OSError, RuntimeError) as error:
                if self._printed > before:
                    heard = time.monotonic()
                if time.monotonic() - heard > RETRY_S:
                    raise ClusterError(
                        f"lost the connection to {self._jobs.address}; {self._id} may go on",
                        self.command("logs") + " --follow",
                    ) from error
            time.sleep(0.5)

    async def _tail(self) -> None:
        from aiohttp import ClientError

        at = 0
        try:
            async for piece in self._jobs.client.tail_job_logs(self._id):
                self._take(piece, at)
                at += len(piece)
        except ClientError as error:
            raise ConnectionError(str(error)) from error

    def _take(self, piece: str, at: int) -> None:
        """Print what of a piece of the log, which begins at character `at`, is new."""
        new = piece[max(self._printed - at, 0) :]
        if new:
            self._printed = at + len(piece)
            sys.stdout.write(self._stream.feed(new.encode("utf-8", "replace")))
            sys.stdout.flush()
