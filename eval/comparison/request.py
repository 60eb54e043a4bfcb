"""What `eval.compare` was asked: its words, checked.

In: paths and `key=value` words. Out: a `Request`, or a `ConfigError` that names the nearest key.
It opens no records.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError

USAGE: Final = "python -m eval.compare BASE TUNED [MORE…] [key=value …] [--debug]"
KEYS: Final = {
    "out": "folder for the files; default: `comparison` beside the last model's records",
    "control": "the control arm, trained with control=random_reward (its run folder says so)",
    "trained": "[task,…] that training was for; the others are looked at for forgetting",
    "contamination": "findings.jsonl of the data's preparation, or its folder",
    "pairs": "base: each model against the first; all: also against each other (default base)",
    "seed": "of resampling (default 1)",
    "resamples": "of each bootstrap (default 10000)",
}
HELP: Final = "\n".join(
    [
        f"usage: {USAGE}",
        "BASE, TUNED: an evaluation folder, a records file or a run folder (alone: its two models)",
        "",
        *(f"  {key + '=':<16}{text}" for key, text in KEYS.items()),
    ]
)


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison as asked; `KEYS` says what each field means."""

    paths: tuple[Path, ...]
    out: Path
    control: Path | None = None
    trained: tuple[str, ...] | None = None
    contamination: Path | None = None
    pairs: str = "base"
    seed: int = 1
    resamples: int = 10_000


def parse(words: Sequence[str]) -> Request:
    """Read the words; one that names a file or folder is a path, whatever it looks like.

    Raises:
        ConfigError: an unknown key, a value of another type, or no path.
    """
    values: dict[str, str] = {}
    paths: list[Path] = []
    for word in words:
        key, found, text = word.partition("=")
        if not found or Path(word).exists():
            paths.append(Path(word))
        elif key in KEYS:
            values[key] = text
        else:
            close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.5)
            fix = f"did you mean {close[0]}=…?" if close else "python -m eval.compare --help"
            raise ConfigError(f"unknown key {key!r}", fix)
    if not paths:
        raise ConfigError("no model to compare", USAGE)
    pairs = values.get("pairs", "base")
    if pairs not in ("base", "all"):
        raise ConfigError(f"pairs={pairs!r}: need base or all", "pairs=all")
    return Request(
        paths=tuple(paths),
        out=Path(values["out"]) if values.get("out") else _beside(paths[-1]),
        control=Path(values["control"]) if values.get("control") else None,
        trained=_names(values["trained"]) if "trained" in values else None,
        contamination=Path(values["contamination"]) if values.get("contamination") else None,
        pairs=pairs,
        seed=_number(values, "seed", 1, 0),
        resamples=_number(values, "resamples", 10_000, 100),
    )


def _beside(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    return (folder / "eval" if (folder / "eval").is_dir() else folder) / "comparison"


def _names(text: str) -> tuple[str, ...]:
    """`[a,b]` or `a,b`; `[]` is none."""
    inner = text.strip().removeprefix("[").removesuffix("]")
    return tuple(name.strip(" \"'") for name in inner.split(",") if name.strip())


def _number(values: dict[str, str], key: str, default: int, least: int) -> int:
    if key not in values:
        return default
    try:
        number: Any = json.loads(values[key])
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise ConfigError(
            f"{key}={values[key]}: need a whole number >= {least}", f"{key}={default}"
        )
    return number
