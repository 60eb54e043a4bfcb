"""The table of dead keys, as shipped: loads `conf/dead_keys.json`.

In: the name of one of verl's root configs. Out: a `KeyTable`. `launch.derive_dead_keys` writes the
file from the wheel; nothing is derived here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import conf
from conf.errors import ConfigError

TABLE = Path(next(iter(conf.__path__))) / "dead_keys.json"
ROOTS = {"grpo": "ppo_trainer", "ppo": "ppo_trainer", "sft": "sft_trainer_engine"}


@dataclass(frozen=True)
class DeadKey:
    """A key that composes but that nothing reads.

    Attributes:
        reason: what was found in verl's source.
        use: the key to use instead, "" when none is known.
    """

    reason: str
    use: str


@dataclass(frozen=True)
class KeyTable:
    """What verl reads of one root, where that differs from its tree.

    Attributes:
        version: verl's version that the table holds for.
        dead: dotted key → why it is refused.
        open: nodes below which any key may be added with `+`.
        by_name: keys that verl reads though its tree lacks them.
    """

    version: str
    dead: dict[str, DeadKey]
    open: frozenset[str]
    by_name: frozenset[str]


@cache
def load(root: str) -> KeyTable:
    """The table of `ppo_trainer` or `sft_trainer_engine`.

    Raises:
        ConfigError: the file is missing, broken, or has no such root.
    """
    try:
        table = json.loads(TABLE.read_text(encoding="utf-8"))
        part = table["roots"][root]
        dead = {key: DeadKey(**entry) for key, entry in part["dead"].items()}
        return KeyTable(table["verl"], dead, frozenset(part["open"]), frozenset(part["by_name"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"cannot use conf/{TABLE.name} for {root}: {error!r}",
            "python -m launch.derive_dead_keys --write",
        ) from error


def for_job(job: str) -> KeyTable:
    """The table of a job's root: grpo, ppo or sft."""
    return load(ROOTS[job])
