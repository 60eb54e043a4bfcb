"""What makes two configurations the same run, and how to say where they differ.

In: two plain configuration trees (dicts of dicts, as read from YAML). Out: the differing leaves,
and the overrides that bring the old values back. It reads and writes no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

NOT_A_DIFFERENCE = (
    # Where files lie, not what is trained: a moved runs folder is the same run.
    "run.root",
    "trainer.default_local_dir",
    "trainer.rollout_data_dir",
    "trainer.validation_data_dir",
    # Who is told about it.
    "logging",
    "logging.*",
    "trainer.logger",
    "trainer.log_val_generations",
    "trainer.project_name",
    "trainer.experiment_name",
    # How often it is saved, tested and resumed: none of these changes a gradient.
    "trainer.save_freq",
    "trainer.test_freq",
    "trainer.val_before_train",
    "trainer.max_actor_ckpt_to_keep",
    "trainer.max_critic_ckpt_to_keep",
    "trainer.max_ckpt_to_keep",
    "trainer.resume_mode",
    "trainer.resume_from_path",
    # Which Ray carries it, and the checks around it.
    "hardware.ray_cpus",
    "hardware.ray_address",
    "ray_kwargs.*",
    "preflight.*",
    "supervise.*",
    "guard.*",
    # When it ends and which checkpoint counts.
    "early_stopping.*",
    "selection.*",
    "evaluation.*",
)
"""Keys (shell patterns over dotted names) whose change leaves a run the same run."""

MAY_GROW = ("trainer.total_training_steps", "trainer.total_epochs")
"""Keys that may grow: a larger number extends the run. A smaller one, or null, is a difference."""

_MISSING = "(not set)"
_REDACTED = "***"
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./@+-]+")


@dataclass(frozen=True)
class Difference:
    """One leaf that differs; `old` or `new` is None and its `*_set` False where it is absent."""

    key: str
    old: Any
    new: Any
    old_set: bool = True
    new_set: bool = True

    def __str__(self) -> str:
        """`key old → new`, as a message shows it."""
        old = _show(self.old) if self.old_set else _MISSING
        new = _show(self.new) if self.new_set else _MISSING
        return f"{self.key} {old} → {new}"

    def override(self) -> str:
        """The Hydra override that brings the old value back; empty for a redacted one."""
        if not self.old_set:
            return f"~{self.key}"
        if self.old == _REDACTED:
            return ""
        return f"{'' if self.new_set else '+'}{self.key}={_hydra_value(self.old)}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """The leaves in which `new` is another run than `old`, sorted by key.

    Args:
        old: the configuration on disk.
        new: the configuration asked for.
    """
    before, after = _leaves(old), _leaves(new)
    found = []
    for key in sorted(before.keys() | after.keys()):
        if any(fnmatchcase(key, pattern) for pattern in NOT_A_DIFFERENCE):
            continue
        if key not in before:
            found.append(Difference(key, None, after[key], old_set=False))
        elif key not in after:
            found.append(Difference(key, before[key], None, new_set=False))
        elif before[key] != after[key] and not _grows(key, before[key], after[key]):
            found.append(Difference(key, before[key], after[key]))
    return _without_followers(found)


POLICY = "policy.path"


def _without_followers(found: list[Difference]) -> list[Difference]:
    """Without the keys that only repeat the starting model's path, wherever verl reads it from."""
    policy = next((one for one in found if one.key == POLICY), None)
    if policy is None:
        return found
    pair = (policy.old, policy.new)
    return [one for one in found if one is policy or (one.old, one.new) != pair]


def way_back(found: Sequence[Difference], start: str | None = None) -> list[str]:
    """The overrides that bring the old configuration back, those of redacted values left out.

    Args:
        found: what differs.
        start: the model that the run's warm start started from, where it had one: what the
            configuration on disk calls `policy.path` is then the warm start's own checkpoint.
    """
    words = []
    for one in found:
        if one.key == POLICY and start is not None:
            one = replace(one, old=start)
        words.append(one.override())
    return [word for word in words if word]


def _grows(key: str, old: Any, new: Any) -> bool:
    return key in MAY_GROW and isinstance(old, int) and isinstance(new, int) and new > old


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names to leaves; lists and empty mappings are leaves."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(_leaves(value, f"{name}."))
        else:
            found[name] = value
    return found


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _hydra_value(value: Any) -> str:
    """The value in Hydra's override grammar, quoted for a POSIX shell where needed."""
    if isinstance(value, str):
        if _PLAIN_VALUE.fullmatch(value) and not _reads_as_other_type(value):
            return value
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return "'\"" + escaped.replace("'", "'\\''") + "\"'"
    text = _grammar(value)
    return text if _PLAIN_VALUE.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def _grammar(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_grammar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_grammar(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _reads_as_other_type(text: str) -> bool:
    """Whether Hydra would read the bare word as null, a truth value or a number."""
    if text.lower() in {"null", "true", "false"}:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
