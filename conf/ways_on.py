"""What a user can do whose run folder is there already, made by another configuration.

In: the folder, where the two configurations differ, the one on disk. Out: the error with the ways
on. It reads the configuration of a warm start where the run had one, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from conf.errors import RunFolderError
from conf.run_identity import Difference, way_back

SHOWN = 3  # differing keys named in a message; the rest is counted


def another_configuration(
    folder: Path, found: Sequence[Difference], old: Mapping[str, Any]
) -> RunFolderError:
    """The error with the first differing keys and the three ways on.

    Args:
        folder: the run's.
        found: what differs, at least one key.
        old: the run's configuration.
    """
    shown = ", ".join(str(one) for one in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    overrides = way_back(found[: 2 * SHOWN], _warm_start_model(old))
    if len(found) > 2 * SHOWN:
        overrides.append(f"(and as in {folder / 'config.yaml'})")
    back = " ".join(overrides) or f"the values of {folder / 'config.yaml'}"
    return RunFolderError(
        f"{folder} belongs to another configuration: {shown}{more}",
        f"(1) a folder of its own: run.name={free_name(folder)}; "
        f"(2) the old configuration, which resumes that run: {back}; "
        f"(3) start over: rm -r {folder}",
    )


def free_name(folder: Path) -> str:
    """A name beside the folder's that no folder has."""
    number = 2
    while (folder.parent / f"{folder.name}-{number}").exists():
        number += 1
    return f"{folder.name}-{number}"


def _warm_start_model(config: Mapping[str, Any]) -> str | None:
    """The model that the run's warm start started from; None without one, or if it is gone."""
    policy = config.get("policy")
    if not isinstance(policy, Mapping) or not policy.get("warm_start"):
        return None
    try:  # policy.path is then RUN/checkpoints/global_step_N/huggingface
        run = Path(str(policy["path"])).parents[2]
        return str(OmegaConf.select(OmegaConf.load(run / "config.yaml"), "policy.path"))
    except Exception:  # YAML's own errors have no common root with OmegaConf's
        return None
