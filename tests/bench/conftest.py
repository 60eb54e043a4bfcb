"""Aims: what a bench measures, what it should be, and whether it is; all in one table at the end.

In: the numbers of each bench, through the fixture `aims`. Out: a `BENCH` line each with value, aim
and met or missed, and after the last bench a table of the missed ones. A ratio of two things that
were measured in one run says something of temper and fails the bench when it misses its aim by more
than `NOISE`; seconds say as much of the machine, and are only reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

NOISE: Final = 0.1  # of the aim: medians of such ratios differ by up to 9% from run to run
SIGNS: Final = {True: "≥", False: "≤"}


@dataclass(frozen=True)
class Line:
    """One number held against its aim.

    Attributes:
        what: what was measured.
        value: what came.
        aim: what should come.
        more: the aim is a least value; else a greatest.
        unit: of both.
        slack: share of the aim by which it may be missed before the bench fails; None: any.
    """

    what: str
    value: float
    aim: float
    more: bool
    unit: str
    slack: float | None

    def within(self, slack: float = 0.0) -> bool:
        """Whether the value is as it should be, give or take a share of the aim."""
        bound = self.aim * (1 - slack if self.more else 1 + slack)
        return self.value >= bound if self.more else self.value <= bound

    def __str__(self) -> str:
        """For people: what, value, aim."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.what}: {self.value:.4g}{unit}, aim {SIGNS[self.more]} {self.aim:g}{unit}"

    def fields(self) -> dict[str, Any]:
        """For the `BENCH` line."""
        aim = f"{SIGNS[self.more]} {self.aim:g} {self.unit}".rstrip()
        return {
            "what": self.what,
            "value": round(self.value, 4),
            "aim": aim,
            "met": self.within(),
            "held": self.slack is not None,
        }


@dataclass
class Aims:
    """What the benches of this run measured."""

    lines: list[Line] = field(default_factory=list)

    def ratio(
        self, what: str, value: float, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Hold a ratio of two measurements of this run against its aim.

        Raises:
            AssertionError: it misses its aim by more than `NOISE`.
        """
        self._add(what, value, least, most, "", NOISE)

    def report(
        self,
        what: str,
        value: float,
        *,
        least: float | None = None,
        most: float | None = None,
        unit: str = "",
    ) -> None:
        """Say whether a number meets its aim; a slow machine fails nothing."""
        self._add(what, value, least, most, unit, None)

    def _add(
        self,
        what: str,
        value: float,
        least: float | None,
        most: float | None,
        unit: str,
        slack: float | None,
    ) -> None:
        if (least is None) == (most is None):
            raise ValueError(f"{what}: got least={least}, most={most}, need one of them")
        aim = most if least is None else least
        assert aim is not None
        line = Line(what, value, aim, least is not None, unit, slack)
        self.lines.append(line)
        print("\nBENCH " + json.dumps(line.fields(), ensure_ascii=False))
        assert slack is None or line.within(slack), f"{line} (noise {slack:.0%})"

    def table(self) -> list[str]:
        """How many aims were met, then each that was not."""
        missed = [line for line in self.lines if not line.within()]
        head = f"{len(self.lines) - len(missed)} of {len(self.lines)} aims met"
        return [head, *(f"missed  {line}" for line in missed)]


ALL: Final = pytest.StashKey[Aims]()


def pytest_configure(config: pytest.Config) -> None:
    """One collection for the run."""
    config.stash[ALL] = Aims()


@pytest.fixture
def aims(request: pytest.FixtureRequest) -> Iterator[Aims]:
    """Where a bench says what it measured and what it should be."""
    yield request.config.stash[ALL]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The table, after everything."""
    found = config.stash[ALL]
    if found.lines:
        terminalreporter.section("aims")
        for line in found.table():
            terminalreporter.write_line(line)
