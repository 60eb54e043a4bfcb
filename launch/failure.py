"""From how an attempt ended to the error that the user sees.

In: an `AttemptExit` and the attempt's folder. Out: the exception to raise. The trainer leaves
failure.json where it knows the cause; else the log's last error line has to do.
"""

from __future__ import annotations

import json
from typing import NoReturn

import conf.errors
from conf.errors import EXIT_TERMINATED, TemperError, TrainingError
from conf.runs import Attempt
from launch.supervise import AttemptExit

FAILURE_FILE = "failure.json"


def raise_for(outcome: AttemptExit, attempt: Attempt) -> NoReturn:
    """Raise what the outcome means.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C.
        SystemExit: somebody sent SIGTERM.
        TemperError: the type that the trainer named, else `TrainingError`.
    """
    if outcome.reason == "interrupted":
        raise KeyboardInterrupt
    if outcome.reason == "terminated":
        raise SystemExit(EXIT_TERMINATED)
    raise _known(attempt) or TrainingError(
        f"the trainer failed: {outcome.summary()}", f"read {attempt.stdout_log}"
    )


def _known(attempt: Attempt) -> TemperError | None:
    """The error that the trainer itself named, if it is one of ours."""
    try:
        record = json.loads((attempt.path / FAILURE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kind = getattr(conf.errors, str(record.get("type")), None)
    if isinstance(kind, type) and issubclass(kind, TemperError):
        return kind(record["message"], record["fix"])
    return TrainingError(
        f"the trainer failed: {record.get('type')}: {record.get('message')}",
        f"read {attempt.stdout_log}",
    )
