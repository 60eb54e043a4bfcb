"""The doctor's side of the pipe to `rewards.clinic.worker`: ask, wait no longer than allowed, kill.

In: a reward spec with options, then cases. Out: their verdicts, or None for what did not come
within its deadline; a child that hung or died is replaced. Judges nothing.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from conf.errors import RewardError

LOAD_SECONDS: Final = 60.0
Answer = dict[str, Any]


class Child:
    """One reward in one process.

    Args:
        reward: the spec.
        options: its options.
        hash_seed: PYTHONHASHSEED of the child; another one shows what leans on the order of sets.
    """

    def __init__(self, reward: str, options: Mapping[str, Any], hash_seed: int = 0) -> None:
        """Start it, and let it load the reward.

        Raises:
            RewardError: the reward does not load.
        """
        self.setup = {"reward": reward, "options": dict(options)}
        self.hash_seed = hash_seed
        self.process: subprocess.Popen[bytes] | None = None
        self.buffer = b""
        self.where = ""
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def ask(
        self, cases: Sequence[Mapping[str, Any]], seconds: float, threads: int = 0
    ) -> list[Answer] | None:
        """The verdicts on some cases; None when they did not all come in time.

        Args:
            cases: `response`, `gold` and `row` of each.
            seconds: how long they may take together.
            threads: judge in as many threads; 0: on the main thread.
        """
        if self.process is None:
            self._start()
        request = {"cases": list(cases), "threads": threads}
        answers: list[Answer] | None = self._request(request, seconds)
        return answers

    def ask_each(
        self, cases: Sequence[Mapping[str, Any]], seconds: float, *, patient: bool = True
    ) -> list[Answer | None]:
        """Each case's verdict; a case that hangs costs `seconds` and the child, not the others.

        Args:
            cases: see `ask`.
            seconds: how long each may take.
            patient: go on after a case that hung; else the rest are not asked.
        """
        answers: list[Answer | None] = []
        for case in cases:
            said = None
            if patient or None not in answers:
                said = self.ask([case], seconds)
            answers.append(None if said is None else said[0])
        return answers

    def kill(self) -> None:
        """End the child and what it started."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()
        self.process = None
        self.buffer = b""

    def _start(self) -> None:
        # From the same places as this process, the folder of the command included.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rewards.clinic.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(self.hash_seed)},
            start_new_session=True,
        )
        said = self._request(self.setup, LOAD_SECONDS)
        if said is None:
            raise RewardError(
                f"reward {self.setup['reward']!r} ends or hangs while it loads",
                fix=f"python -m rewards.check {self.setup['reward']!r}",
            )
        if "error" in said:
            raise RewardError(said["error"], said["fix"])
        self.where = said["where"]

    def _request(self, request: Mapping[str, Any], seconds: float) -> Any:
        """One line there, one line back; None, and no child, when it does not come."""
        assert self.process is not None and self.process.stdin is not None
        deadline = time.monotonic() + seconds
        try:
            self.process.stdin.write(json.dumps(request, default=str).encode() + b"\n")
            self.process.stdin.flush()
            line = self._line(deadline)
        except BrokenPipeError:
            line = None
        if line is None:
            self.kill()
            return None
        return json.loads(line)

    def _line(self, deadline: float) -> bytes | None:
        assert self.process is not None and self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                part = os.read(descriptor, 1 << 16)
                if not part:
                    return None
                self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line
