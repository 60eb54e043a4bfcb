"""The trainer process of one attempt: `python -m launch.bridge ATTEMPT_FOLDER`.

In: ATTEMPT_FOLDER/config.yaml. Out: exit code 0, or that of the error; failure.json in the folder
then says what it was, so that the launcher need not read logs.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import TemperError
from launch.bridge import environment, ray_session, rl, sft, sft_torchrun
from launch.cpu_platform.device_check import missing_platform
from launch.redact import Redactor


def run(attempt: Path) -> None:
    """Train as the attempt's config.yaml says."""
    config = OmegaConf.load(attempt / "config.yaml")
    assert isinstance(config, DictConfig)
    values = environment.variables(config, attempt)
    if config.job != "sft":
        values |= rl.determinism(config)
    environment.adopt(values)
    if config.job == "sft" and config.hardware.launcher != "ray":
        sft_torchrun.replace_process(config, attempt)
    ray_session.start(config, values)
    (sft if config.job == "sft" else rl).train(config)


def unwrapped(error: BaseException) -> BaseException:
    """The exception itself, out of what Ray wraps around it for each worker it passed.

    Ray's wrapper passes for an instance of what it wraps, but its type has another name.
    """
    while isinstance(inner := getattr(error, "cause", None), BaseException):
        error = inner
    return error


def cause_of(error: BaseException) -> TemperError | None:
    """The `TemperError` among an exception's causes."""
    seen: BaseException | None = error
    while seen is not None:
        seen = unwrapped(seen)
        if isinstance(seen, TemperError):
            return seen
        seen = seen.__cause__
    return None


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[-1]


def leave_failure(attempt: Path, work: Callable[[Path], None]) -> int:
    """Do the work; leave its failure behind as a file, unless another rank already has.

    Returns:
        The exit code: 0, or the error's.
    """
    try:
        work(attempt)
    except Exception as error:
        traceback.print_exc()
        plain = unwrapped(error)
        known = cause_of(error) or missing_platform(error)
        clean = Redactor(os.environ).text  # this file goes past the log, where the rest is redacted
        code = known.exit_code if known else 1
        failure = {
            "type": type(known or plain).__name__,
            "message": clean(known.message if known else _last_line(plain)),
            "fix": clean(known.fix) if known else "",
            "exit_code": code,
        }
        with suppress(FileExistsError), (attempt / "failure.json").open("x") as file:
            json.dump(failure, file, indent=1)
        return code
    return 0


def main() -> int:
    """Train the attempt named on the command line."""
    return leave_failure(Path(sys.argv[1]), run)


if __name__ == "__main__":
    sys.exit(main())
