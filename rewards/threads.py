"""Threads that outlive the calls they run, and of which one that hangs costs no other its place.

In: plain functions. Out: their results, to a coroutine. A pool of `concurrent.futures` never gets
a hung thread's place back, and waits for it when the process ends; a new thread for each call would
take with it what a grader started there (Linux kills a child that asked for it when the *thread*
that started it ends). Here a thread is idle or busy, and a new one starts only when none is idle.
How many run at a time is the caller's to bound.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Job = Callable[[], Callable[[], None]]  # does the work; what it returns tells the result


class Threads:
    """Daemon threads that take one call at a time."""

    def __init__(self) -> None:
        """Start none."""
        self._idle: list[queue.SimpleQueue[Job]] = []  # of each idle thread, where its job comes
        self.started = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """Run `work` in one of the threads.

        A caller that stops waiting leaves the thread to its work; it is idle when that ends.

        Raises:
            Exception: what `work` raised; `SystemExit` and `StopIteration`, which a coroutine
                cannot hand on, as a `RuntimeError` of that name.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: Exception | None) -> None:
            if done.done():  # nobody waits any more
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def job() -> Callable[[], None]:
            result: Any = None
            raised: Exception | None = None
            try:
                result = work()
            except (SystemExit, StopIteration) as error:
                raised = RuntimeError(f"{type(error).__name__}({error})")
            except Exception as error:  # handed on, whatever it is
                raised = error

            def tell() -> None:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(settle, result, raised)

            return tell

        try:
            jobs = self._idle.pop()
        except IndexError:
            jobs = self._start()
        jobs.put(job)
        return await done

    def _start(self) -> queue.SimpleQueue[Job]:
        jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

        def serve() -> None:
            while True:
                tell = jobs.get()()
                self._idle.append(jobs)  # first: whoever is told may ask again at once
                tell()

        self.started += 1
        threading.Thread(target=serve, daemon=True, name=f"verdict-{self.started}").start()
        return jobs
