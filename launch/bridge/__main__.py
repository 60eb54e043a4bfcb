"""The trainer process of one attempt: `python -m launch.bridge ATTEMPT_FOLDER`.

In: ATTEMPT_FOLDER/config.yaml. Out: exit code 0, or that of the error; failure.json in the folder
then says what it was, so that the launcher need not read logs.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import TemperError
from launch.bridge import environment, ray_session, rl, sft
from launch.redact import Redactor


def run(attempt: Path) -> None:
    """Train as the attempt's config.yaml says."""
    config = OmegaConf.load(attempt / "config.yaml")
    assert isinstance(config, DictConfig)
    values = environment.variables(config, attempt)
    if config.job != "sft":
        values |= rl.determinism(config)
    environment.adopt(values)
    ray_session.start(config, values)
    (sft if config.job == "sft" else rl).train(config)


def cause_of(error: BaseException) -> TemperError | None:
    """The `TemperError` at the root of what Ray wraps around a worker's exception."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TemperError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    return None


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[-1]


def main() -> int:
    """Run, and leave the failure behind as a file."""
    attempt = Path(sys.argv[1])
    try:
        run(attempt)
    except Exception as error:
        traceback.print_exc()
        known = cause_of(error)
        clean = Redactor(os.environ).text  # this file goes past the log, where the rest is redacted
        code = known.exit_code if known else 1
        failure = {
            "type": type(known or error).__name__,
            "message": clean(known.message if known else _last_line(error)),
            "fix": clean(known.fix) if known else "",
            "exit_code": code,
        }
        (attempt / "failure.json").write_text(json.dumps(failure, indent=1), encoding="utf-8")
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
