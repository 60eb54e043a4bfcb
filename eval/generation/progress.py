"""A progress line while responses are generated: done, rate, time left.

In: counts as they grow. Out: on a terminal one line that is rewritten, else a line every few
seconds, both on stderr. It measures for the reader's eye only; results come from the records.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 5.0


class Progress:
    """Progress of one model.

    Args:
        label: the model's label.
        total: items in all.
        done: items that an earlier attempt left.
        stream: where to write.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        label: str,
        total: int,
        done: int,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label, self.total, self.done = label, total, done
        self._stream, self._clock = stream, clock
        self._terminal = stream.isatty()
        self._before = done
        self._shown: float | None = None  # the first wait counts from the first item on
        self._tokens, self._seconds = 0, 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """One more item: its generated tokens, and its share of the time."""
        self.done += 1
        self._tokens += tokens
        self._seconds += seconds
        now = self._clock()
        if self._shown is None:
            self._shown = now
        if now - self._shown >= (TERMINAL_SECONDS if self._terminal else LOG_SECONDS):
            self._shown = now
            self._write(self.line(), last=False)

    def line(self) -> str:
        """The state as text; rates are over generation, without the engine's start."""
        text = f"{self.label}: {self.done}/{self.total} items"
        if self._seconds > 0:
            text += f", {self._tokens / self._seconds:,.0f} tok/s"
            left = (self.total - self.done) * self._seconds / (self.done - self._before)
            text += f", {left:.0f} s left" if self.done < self.total else ""
        return text

    def say(self, text: str) -> None:
        """A line of its own, such as what is being waited for."""
        self._write(f"{self.label}: {text}", last=not self._terminal)

    def close(self) -> None:
        """The last state, and the end of the line."""
        self._write(self.line(), last=True)

    def _write(self, text: str, *, last: bool) -> None:
        if self._terminal:
            self._stream.write(f"\r\033[K{text}" + ("\n" if last else ""))
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
