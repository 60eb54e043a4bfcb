"""One exception type for each boundary that is crossed, and the one place that reports them.

In: whatever escapes an entry point. Out: one line on stderr (what was got, what is needed, the way
out) and a documented exit code. Inside a package plain Python errors are fine; what crosses into
another package or reaches the user is a `TemperError`. Nothing here logs or retries.
"""

from __future__ import annotations

import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_UNREAD = 141  # 128 + SIGPIPE
EXIT_TERMINATED = 143  # 128 + SIGTERM


class TemperError(Exception):
    """Root of all errors that a user may see.

    Args:
        message: what was got and what is needed, one line.
        fix: the way out, one line, usually a command-line override. Empty when there is none.
    """

    exit_code = 1

    def __init__(self, message: str, fix: str = "") -> None:
        """Keep both parts as `args`, so that the error survives pickling by Ray."""
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        """One line: the message, then the way out."""
        return f"{self.message} → {self.fix}" if self.fix else self.message


class ConfigError(TemperError):
    """The configuration cannot be composed, or names something that does not exist."""

    exit_code = 2


class DataError(TemperError):
    """A data file or row cannot be used."""

    exit_code = 3


class RewardError(TemperError):
    """A reward function cannot be loaded or broke its contract."""

    exit_code = 4


class SandboxError(RewardError):
    """The sandbox failed, not the program in it: no isolation, a dead server, a silent back end."""


class PreflightError(TemperError):
    """A check before submission failed."""

    exit_code = 5


class RunFolderError(TemperError):
    """The run folder belongs to another configuration, is busy, or cannot be written."""

    exit_code = 6


class PlatformError(TemperError):
    """The machine, the GPU stack or the CPU plugin is not what the run needs."""

    exit_code = 7


class ClusterError(TemperError):
    """A Ray cluster does not answer, or refuses the job."""

    exit_code = 8


class TrainingError(TemperError):
    """Training started and failed; the attempt's log says more."""

    exit_code = 9


class GuardError(TrainingError):
    """Rollout and training log-probs disagree past the configured bound."""

    exit_code = 10


class EvaluationError(TemperError):
    """A model could not be evaluated."""

    exit_code = 11


@contextmanager
def boundary(*, debug: bool = False) -> Iterator[None]:
    """Turn what escapes an entry point into one line and an exit code.

    Args:
        debug: print the traceback too (the entry points' `--debug`).

    Raises:
        SystemExit: with the error's `exit_code`, 130 after Ctrl-C, 141 where nobody reads what is
            printed any more (`… | head`), 1 for what nobody attributed.
    """
    try:
        yield
        sys.stdout.flush()  # what nobody reads is found here, not while the interpreter ends
    except TemperError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _unread():
            raise SystemExit(EXIT_UNREAD) from None
        traceback.print_exc()
        print(
            f"error: unexpected {type(error).__name__}: {error} → this is a defect of temper; "
            "please report it with the traceback above",
            file=sys.stderr,
        )
        raise SystemExit(1) from error


def _unread() -> bool:
    """Whether the reader of standard output is gone; what waits to be printed is given up then."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # no file: a test's, or closed
        return False
    asked = select.poll()
    asked.register(output, 0)
    if not any(event & select.POLLERR for _, event in asked.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # for what is flushed at exit
    return True
