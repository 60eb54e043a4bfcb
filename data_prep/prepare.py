"""`python -m data_prep.prepare source=NAME out=DIR seed=1 …`: a source becomes training files.

In: a specification, as `key=value` words, `--spec FILE.json`, or both (the words win). Out: a
folder with `train.parquet` and `test.parquet` (RL), `sft_train.parquet` and `sft_test.parquet`
where the source has answers, `manifest.json`, and one line on stdout. The work is in
`data_prep.build`; here is only the command line. `prepare(spec)` is the same as a function.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, boundary
from data_prep.build import FILES, prepare
from data_prep.sources.registry import SOURCES

__all__ = ["main", "prepare"]

USAGE: Final = f"""\
usage: python -m data_prep.prepare [--spec FILE.json] source=NAME out=DIR [key=value …]
sources: {", ".join(sorted(SOURCES))}, or path/to/file.py:function"""


def _parse(arguments: list[str]) -> dict[str, Any]:
    """The specification that the command line spells."""
    spec: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if word == "--spec":
            path = Path(next(words, ""))
            try:
                loaded = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ConfigError(f"--spec {path}: {error}", fix="--spec FILE.json") from error
            if not isinstance(loaded, dict):
                raise ConfigError(f"--spec {path}: need a JSON object")
            spec = {**loaded, **spec}
            continue
        key, found, text = word.partition("=")
        if not found:
            raise ConfigError(f"got {word!r}, need key=value", fix=USAGE.splitlines()[0])
        try:
            spec[key] = json.loads(text)
        except json.JSONDecodeError:
            spec[key] = text
    return spec


def main(arguments: list[str] | None = None) -> None:
    """Parse, prepare, say what was done."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [word for word in arguments if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(USAGE)
            raise SystemExit(0 if words else 2)
        spec = _parse(words)
        manifest, written = prepare(spec)
        counts = ", ".join(
            f"{name.removesuffix('.parquet')} {manifest.files[name].rows}"
            for name in FILES.values()
            if name in manifest.files
        )
        lost = ", ".join(f"{reason} {n}" for reason, n in sorted(manifest.dropped.items()))
        print(
            f"{manifest.source}: {counts}{f'; dropped {lost}' if lost else ''} → {spec['out']}"
            f"{'' if written else ' (already there)'}"
        )


if __name__ == "__main__":
    main()
