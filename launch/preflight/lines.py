"""What a check says: one `Line` each, and the `Report` that holds them.

In: the findings of the checks. Out: JSON for `preflight.json`, a terminal table, or one
`PreflightError` that names the first failure, its way out, and how many more there are. Nothing
here looks at the machine or at the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conf.errors import PreflightError
from launch.preflight.table import render_table


class Status(StrEnum):
    """How a check ended. Only `failure` stops a run."""

    PASS = "pass"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Line:
    """One finding.

    Attributes:
        status: pass, warning or failure.
        name: what was checked, two or three words, stable over versions (`preflight.json` keys).
        got: what was found, with its value.
        need: the rule that `got` is held against. Empty for a plain pass.
        fixes: ways out, each complete in itself: an override `key=value`, or a command.
    """

    status: Status
    name: str
    got: str
    need: str = ""
    fixes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The line as JSON-able values."""
        return {
            "status": str(self.status),
            "name": self.name,
            "got": self.got,
            "need": self.need,
            "fixes": list(self.fixes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Line:
        """The line that `to_json` wrote, as when a cluster's node reports to the submitter.

        Raises:
            KeyError: a field is missing.
            ValueError: the status is unknown.
        """
        return cls(
            status=Status(data["status"]),
            name=data["name"],
            got=data["got"],
            need=data["need"],
            fixes=tuple(data["fixes"]),
        )


def passed(name: str, got: str, need: str = "") -> Line:
    """A line that is in order."""
    return Line(Status.PASS, name, got, need)


def warned(name: str, got: str, need: str, *fixes: str) -> Line:
    """A line that does not stop the run."""
    return Line(Status.WARNING, name, got, need, fixes)


def failed(name: str, got: str, need: str, *fixes: str) -> Line:
    """A line that stops the run."""
    return Line(Status.FAILURE, name, got, need, fixes)


@dataclass(frozen=True)
class Report:
    """All findings of one preflight.

    Attributes:
        lines: in the order of the checks, passes included.
        seconds: how long the checks took together.
        timings: seconds of each check, by its name; they ran side by side.
    """

    lines: tuple[Line, ...]
    seconds: float = 0.0
    timings: Mapping[str, float] | None = None

    @property
    def failures(self) -> tuple[Line, ...]:
        """The lines that stop the run."""
        return tuple(line for line in self.lines if line.status is Status.FAILURE)

    @property
    def warnings(self) -> tuple[Line, ...]:
        """The lines that the user should read."""
        return tuple(line for line in self.lines if line.status is Status.WARNING)

    @property
    def ok(self) -> bool:
        """True when nothing stops the run."""
        return not self.failures

    def extended(self, lines: Iterable[Line]) -> Report:
        """This report with more lines, such as those of a cluster's nodes."""
        return Report((*self.lines, *lines), self.seconds, self.timings)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-able values, for `preflight.json`."""
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "timings": {name: round(took, 3) for name, took in (self.timings or {}).items()},
            "counts": {
                str(status): sum(line.status is status for line in self.lines) for status in Status
            },
            "lines": [line.to_json() for line in self.lines],
        }

    def render(self, width: int = 80, color: bool = False) -> str:
        """A table for a terminal.

        Args:
            width: columns of the terminal; nothing is wider, below 40 counts as 40.
            color: use ANSI colours.
        """
        rows = [
            (str(line.status), line.name, line.got, line.need, line.fixes) for line in self.lines
        ]
        return render_table(rows, width=width, color=color)

    def raise_for_failures(self) -> None:
        """Stop the run if anything failed.

        Raises:
            PreflightError: names the first failure, its first way out, and how many more there are.
        """
        if self.ok:
            return
        first, *rest = self.failures
        message = f"{first.name}: {first.got}"
        if first.need:
            message += f"; needed: {first.need}"
        if rest:
            message += f" (and {len(rest)} more: {', '.join(_distinct(rest))})"
        raise PreflightError(message, " or ".join(first.fixes))


def _distinct(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(line.name for line in lines))
