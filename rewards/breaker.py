"""Counts verdicts, and says when the verifier is too broken to train on.

In: each verdict, as `Ledger.record` gets it in the process that judged. Out: what a `Ledger` hands
over when it is drained, and the `Breaker`'s word on all workers' verdicts together. An exception in
a reward only drops a sample in verl; without a breaker a run whose verifier died goes on, on ever
fewer samples. Nothing here stops a run: the trainer asks, and stops.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from rewards.verdict import BROKEN, Verdict

KEPT_SAMPLES: Final = 8  # of broken verdicts, for each worker and drain
KEPT_EVENTS: Final = 65_536  # where nobody drains, memory stays flat
SHOWN_CHARS: Final = 400  # of a response's end, in a sample


class Event(NamedTuple):
    """One verdict, for the counts.

    Attributes:
        at: seconds since the epoch when it was given; orders the events of several workers.
        status: see `rewards.verdict.STATUSES`.
        seconds: how long it took, a second try included.
        retried: whether the first try was broken.
    """

    at: float
    status: str
    seconds: float
    retried: bool


class Ledger:
    """The verdicts of one process since the last drain; any thread may record."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._samples: list[dict[str, Any]] = []
        self._facts: set[str] = set()

    def state(self, fact: str) -> None:
        """Note what the run's metrics should show as a 1, such as the sandbox's tier."""
        self._facts.add(fact)

    def record(
        self, verdict: Verdict, seconds: float, *, retried: bool, sample: Mapping[str, Any]
    ) -> None:
        """Count one verdict; of a broken one keep the sample.

        Args:
            verdict: what was said, after the second try where there was one.
            seconds: how long it took.
            retried: whether there was a second try.
            sample: `id`, `data_source`, `gold` and `response`, kept (shortened) when it is broken.
        """
        event = Event(time.time(), verdict.status, seconds, retried)
        with self._lock:
            self._events.append(event)
            if verdict.broken and len(self._samples) < KEPT_SAMPLES:
                self._samples.append(
                    {
                        "status": verdict.status,
                        "detail": verdict.detail,
                        "id": str(sample.get("id")),
                        "data_source": str(sample.get("data_source")),
                        "gold": str(sample.get("gold"))[:SHOWN_CHARS],
                        "response": str(sample.get("response"))[-SHOWN_CHARS:],
                    }
                )

    def drain(self) -> dict[str, list[Any]]:
        """Hand over `events` (as plain tuples) and `samples`, and start anew; `facts` stay."""
        with self._lock:
            out: dict[str, list[Any]] = {
                "events": [tuple(event) for event in self._events],
                "samples": self._samples,
                "facts": sorted(self._facts),
            }
            self._events.clear()
            self._samples = []
        return out


LEDGER: Final = Ledger()  # of this process


class Breaker:
    """Judges the verdicts of all workers in the order in which they were given.

    It trips when, among the last `window` verdicts, more than `share` of a full window are broken;
    a window that is not full yet is held against the same number, so a verifier that is dead from
    the start is caught early and one bad verdict among the first ten is not.

    Args:
        share: bound on the broken share, in (0, 1).
        window: verdicts in a window.
        on_error: `drop` lives with broken verdicts within the bound, `stop` with none.

    Raises:
        ValueError: an argument that makes no sense.
    """

    def __init__(self, share: float = 0.02, window: int = 512, on_error: str = "drop") -> None:
        """Keep the bounds."""
        if not 0.0 < share < 1.0 or window < 1 or on_error not in ("drop", "stop"):
            raise ValueError(f"share={share!r}, window={window!r}, on_error={on_error!r}")
        self.share, self.window, self.on_error = share, window, on_error
        self.total = self.broken = 0
        self._recent: deque[bool] = deque(maxlen=window)
        self._recent_broken = 0
        self._why: Counter[str] = Counter()
        self._fault: str | None = None

    def add(
        self, events: Iterable[tuple[Any, ...]], samples: Iterable[Mapping[str, Any]] = ()
    ) -> str | None:
        """Count more verdicts.

        Args:
            events: those of any number of workers, as `Ledger.drain` gives them.
            samples: of broken verdicts; their details are counted for the message.

        Returns:
            What is wrong, once the breaker has tripped; None before.
        """
        self._why.update(f"{one['status']}: {one['detail']}" for one in samples)
        for event in sorted(events):
            self._count(Event(*event).status in BROKEN)
        if self._fault:
            return f"{self._fault}{self._reasons()}"
        return None

    def _count(self, broken: bool) -> None:
        if len(self._recent) == self.window:
            self._recent_broken -= self._recent[0]
        self._recent.append(broken)
        self._recent_broken += broken
        self.total += 1
        self.broken += broken
        if self._fault:
            return
        if self.on_error == "stop" and broken:
            self._fault = "a verdict is broken, and reward_fn.on_error is stop"
        elif self._recent_broken > self.share * self.window:
            self._fault = (
                f"{self._recent_broken} of the last {len(self._recent)} verdicts are broken, more "
                f"than {self.share:.2g} of {self.window}"
            )

    def failed_step(self) -> str:
        """What to say when a step ended without any verdict to train on."""
        return f"{self.broken} of {self.total} verdicts are broken{self._reasons()}"

    def _reasons(self) -> str:
        why = "; ".join(f"{text[:240]} (×{n})" for text, n in self._why.most_common(3))
        return f": {why}" if why else ""
