"""How far a preparation is: rate and time left, on stderr.

In: counts as they grow. Out: one live line on a terminal, at most five times a second; elsewhere (a
log file, a job) a plain line twice a minute. Nothing is said of work that ends before. A total may
be an estimate (`estimated_rows`), shown with `~`. Says nothing of what was done: that is the
manifest's part.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

LIVE_EVERY: Final = 0.2  # seconds
LOG_EVERY: Final = 30.0
SAMPLE_BYTES: Final = 1 << 16


class Progress:
    """The line of one stage."""

    def __init__(
        self,
        label: str,
        total: int | None = None,
        *,
        unit: str = "rows",
        estimate: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        """Start the clock.

        Args:
            label: what is being done.
            total: how many there will be; None: unknown.
            unit: of what.
            estimate: the total is a guess.
            stream: where to write; default stderr.
        """
        self._label, self._total, self._unit, self._guess = label, total, unit, estimate
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._start = self._shown = time.monotonic()
        self._wrote = False

    def line(self, done: int, seconds: float) -> str:
        """What the line says after so many seconds."""
        rate = done / seconds if seconds > 0 else 0.0
        said = f"{self._label}: {done:,}"
        if self._total:
            said += f" of {'~' if self._guess else ''}{self._total:,}"
        said += f" {self._unit}, {rate:,.0f}/s"
        if self._total and rate and done < self._total:
            said += f", {_clock((self._total - done) / rate)} left"
        return said

    def show(self, done: int) -> None:
        """Say how many there are, if it is time to."""
        now = time.monotonic()
        if now - self._shown < (LIVE_EVERY if self._live else LOG_EVERY):
            return
        self._shown, self._wrote = now, True
        said = self.line(done, now - self._start)
        print(f"\r{said}\x1b[K" if self._live else said, end="" if self._live else "\n",
              file=self._stream, flush=True)  # fmt: skip

    def end(self) -> None:
        """Clear the live line."""
        if self._live and self._wrote:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def _clock(seconds: float) -> str:
    """90 → `1:30`, 3700 → `1:01:40`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def estimated_rows(paths: Sequence[Path]) -> int | None:
    """About how many rows the files hold, without reading them; None if that cannot be told.

    Parquet says it itself. JSONL and CSV: bytes by the average line of the first 64 KiB; of a
    gzipped file the trailer states the bytes (modulo 2^32).
    """
    total = 0
    for path in paths:
        rows = _rows_of(path)
        if rows is None:
            return None
        total += rows
    return total or None


def _rows_of(path: Path) -> int | None:
    name = path.name
    try:
        if name.endswith(".parquet"):
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        size = path.stat().st_size
        if name.endswith(".gz"):
            import gzip

            with path.open("rb") as raw:
                raw.seek(-4, 2)
                size = max(size, int.from_bytes(raw.read(4), "little"))
            with gzip.open(path, "rb") as lines:
                head = lines.read(SAMPLE_BYTES)
        elif name.endswith((".jsonl", ".csv")):
            with path.open("rb") as lines:
                head = lines.read(SAMPLE_BYTES)
        else:
            return None
    except (OSError, EOFError, ValueError):  # the reader will say what is wrong with the file
        return None
    return round(size * head.count(b"\n") / len(head)) if head.count(b"\n") else None
