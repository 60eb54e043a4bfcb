"""The terminal's view of a stage: one live line, from the metrics that the trainer writes.

In: an attempt's metrics.jsonl as it grows. Out: on a terminal one line rewritten in place, else a
line every few steps. Everything else the trainer prints goes to its log.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from conf.duration import duration

REFRESH_S = 0.5
QUIET_S = 15.0
"""Seconds between lines where the output is no terminal."""
# metric → label, in this order, where present.
SHOWN = {
    "train/loss": "loss",
    "val/loss": "val loss",
    "critic/score/mean": "reward",
    "response_length/mean": "tokens",
    "rollout_corr/k3_kl": "k3",
}
WIDTH = 8


def say(stage: str, text: str) -> None:
    """One line of a stage on stderr, its name in front."""
    print(f"{stage:<{WIDTH}} {text}", file=sys.stderr, flush=True)


class Progress:
    """Context manager that shows a training stage while it runs.

    Args:
        stage: its name, the line's first word.
        metrics: the attempt's metrics.jsonl; need not exist yet.
        steps: the planned step.
        first: the step it starts from.
    """

    def __init__(self, stage: str, metrics: Path, steps: int, first: int = 0) -> None:
        """Nothing is read before `with`."""
        self._stage, self._metrics, self._steps, self._first = stage, metrics, steps, first
        self._latest: dict[str, Any] = {}
        self._step = first
        self._offset = 0
        self._begun = self._first_step_at = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        """Start following."""
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Show the last state and end the line."""
        self._done.set()
        self._thread.join()
        self._read()
        self._show(last=True)

    def _follow(self) -> None:
        shown_at, shown_step = time.monotonic(), -1
        while not self._done.wait(REFRESH_S):
            self._read()
            quiet = time.monotonic() - shown_at < QUIET_S
            if self._terminal or (not quiet and self._step != shown_step):
                self._show(last=False)
                shown_at, shown_step = time.monotonic(), self._step

    def _read(self) -> None:
        """Take the complete lines that have come since."""
        try:
            with self._metrics.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            data = record.get("data")
            if "step" not in record or not isinstance(data, dict):
                continue
            self._latest.update(data)
            if int(record["step"]) > self._step:
                self._step = int(record["step"])
                self._first_step_at = self._first_step_at or time.monotonic()

    def _line(self) -> str:
        elapsed = time.monotonic() - self._begun
        parts = [f"step {self._step}/{self._steps}"]
        for name, label in SHOWN.items():
            if name in self._latest:
                parts.append(f"{label} {self._latest[name]:.3g}")
        for name, value in self._latest.items():
            if name.startswith("val-core/") and "/acc/" in name:
                parts.append(f"held-out {value:.1%}")
                break
        parts.append(duration(elapsed))
        done = self._step - self._first
        if done > 1 and self._step < self._steps:
            rate = (time.monotonic() - self._first_step_at) / (done - 1)
            parts.append(f"{duration(rate * (self._steps - self._step))} left")
        elif done == 0:
            parts.append("starting")
        return "  ".join(parts)

    def _show(self, *, last: bool) -> None:
        text = f"{self._stage:<{WIDTH}} {self._line()}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{text}" + ("\n" if last else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()
