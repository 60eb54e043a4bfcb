"""Hold a command line and a recipe against the keys there are, before and after Hydra.

In: a job's arguments, ready for Hydra. Out: nothing, or a `ConfigError` that names the nearest real
key. The checking itself is in `launch.keys`; here is what it is held against.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from conf.errors import ConfigError
from launch import compose, dead_keys, keys
from launch.recipes import builtin_root, stored_recipe

GROUPS = {"rl": ("hardware", "policy", "control"), "sft": ("hardware", "policy")}
_UNCHECKED = ("--help", "-h", "--hydra-help", "--version", "--info", "-i")


def check_command_line(job: str, arguments: Sequence[str]) -> None:
    """Refuse what Hydra would take: dead keys, added keys that nothing reads, a recipe's slips.

    What Hydra itself refuses is left to it and to `explain`, since the whole check composes the
    tree once more (0.4 s), and `--cfg job` should answer at once.

    Args:
        job: grpo, ppo or sft.
        arguments: as `compose.prepare` returns them.

    Raises:
        ConfigError: with the nearest real key or option.
    """
    if any(argument in _UNCHECKED for argument in arguments):
        return
    overrides = [keys.parse(a) for a in arguments if not a.startswith("-") and "=" in a]
    dead = dead_keys.for_job(job).dead
    suspicious = any(
        o.key in dead or (o.sign.startswith("+") and o.key != "recipe") for o in overrides
    )
    foreign = any(
        o.key == "recipe" and stored_recipe(str(o.value)).folder.parent != builtin_root()
        for o in overrides
    )
    if suspicious or foreign:
        check_everything(job, arguments)


def check_everything(job: str, arguments: Sequence[str]) -> None:
    """Hold every key of the command line and of the recipe against the composed tree.

    Raises:
        ConfigError: as `check_command_line`.
    """
    overrides = [a for a in arguments if not a.startswith("-") and "=" in a]
    groups = _groups(job)
    choices = [o for o in overrides if o.split("=")[0] in groups]
    keys.check_overrides(choices, keys.Known.of({}, keys.NO_TABLE, groups))
    known = _known(job, choices, groups)
    for text in overrides:
        if text.startswith("+recipe="):
            recipe = stored_recipe(text.split("=", 1)[1])
            policy = next((c.split("=")[1] for c in choices if c.startswith("policy=")), None)
            leaves = recipe.leaves_of(job, policy)
            keys.check_tree(leaves, known, str(recipe.folder / "recipe.yaml"))
            # From here on the recipe's own keys are in the tree: an override needs no `+`.
            known = replace(known, leaves=known.leaves | dict.fromkeys(keys.flatten(leaves)))
        else:
            keys.check_overrides([text], known)


def explain(job: str, arguments: Sequence[str], error: Exception) -> ConfigError:
    """Hydra's or OmegaConf's exception as one line of ours, with the nearest key if it was a key.

    Args:
        job: grpo, ppo or sft.
        arguments: as given to Hydra.
        error: what Hydra raised.
    """
    try:
        check_everything(job, arguments)
    except ConfigError as better:
        return better
    missing = re.search(r"[Mm]andatory value: ([\w.]+)", str(error))
    if missing:
        return ConfigError(f"{missing.group(1)} has no value", f"{missing.group(1)}=…")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return ConfigError(text, f"python -m launch.{job} --help; --debug shows more")


def _groups(job: str) -> dict[str, list[str]]:
    root = compose.conf_dir() / compose.ROOTS[job]
    groups = {
        group: sorted(path.stem for path in (root / group).glob("*.yaml"))
        for group in GROUPS[compose.ROOTS[job]]
    }
    return groups | {"recipe": []}


def _known(job: str, choices: Sequence[str], groups: dict[str, list[str]]) -> keys.Known:
    """The keys of the job's tree with the chosen groups and nothing else."""
    tree: Any = OmegaConf.to_container(compose.base_tree(job, choices), resolve=False)
    known = keys.Known.of(tree, dead_keys.for_job(job), groups)
    # Each data source has keys of its own, which data_prep checks.
    return replace(known, open=known.open | {"data_prep"})
