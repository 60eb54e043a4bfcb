"""From a command line here to one that holds on a cluster.

In: a job, Hydra overrides as given here, whether the cluster is this host. Out: a `JobPlan`: the
same overrides with absolute folders, the recipe by name, files named by path renamed to where they
lie in the upload. A key or value that is a secret is refused: overrides stand in the job's
metadata for everyone to read. Nothing is uploaded or submitted here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from conf.errors import ConfigError
from launch import compose
from launch.hardware import Choice
from launch.jobs.files import Files
from launch.key_check import check_command_line, explain
from launch.keys import parse
from launch.recipes import find_recipe, no_recipe
from launch.redact import Redactor, is_secret_name

FOLDERS = ("run.root", "data_prep.out", "policy.path")
"""What a run writes or builds; a job's own folder is gone when the job is."""
LOCAL = ("data_prep.local", "data_prep.eval_sets")
"""Folders of rows that are there already."""
_PLAIN = re.compile(r"[A-Za-z0-9_./@:+-]+")


@dataclass
class JobPlan:
    """A job as the cluster will get it.

    Attributes:
        job: grpo, ppo or sft.
        arguments_here: overrides as given here.
        this_host: whether the cluster shares this host's file system.
        config: composed and resolved here, as the overrides here say.
        overrides: for the command line on the cluster.
        recipe: the recipe's folder here.
        working_dir: what `--working-dir` uploads.
        files: path in the upload → file here.
        notes: what the user should know, one line each.
    """

    job: str
    arguments_here: list[str]
    this_host: bool
    config: DictConfig
    overrides: list[str]
    recipe: Path
    working_dir: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> list[str]:
        """What follows `python -m launch.JOB` on the cluster."""
        return [*self.overrides, "hardware.ray_address=auto"]

    @property
    def run_dir(self) -> Path:
        """The run's folder, as the nodes see it."""
        run = self.config.run
        return Path(str(run.root)) / str(run.recipe) / str(run.name)

    @property
    def entrypoint(self) -> str:
        """The job's shell command. exec: the job's signals and exit code are the launcher's."""
        return f"exec python -m launch.{self.job} {shlex.join(self.arguments)}"


def plan(
    job: str, arguments: Sequence[str], *, this_host: bool, working_dir: Path | None = None
) -> JobPlan:
    """Check a command line and make it hold on the cluster.

    Args:
        job: grpo, ppo or sft.
        arguments: Hydra overrides, `+recipe=` among them.
        this_host: the cluster shares this host's file system.
        working_dir: what `--working-dir` uploads.

    Raises:
        ConfigError: whatever the entry point would refuse; a secret; a relative folder; a file
            that cannot travel.
    """
    refuse_secrets(arguments)
    given = {parse(text).key: text for text in arguments if _is_override(text)}
    if "recipe" not in given:
        raise no_recipe()
    address = parse(given["hardware.ray_address"]).value if "hardware.ray_address" in given else ""
    if address not in ("", "auto", "null"):
        raise ConfigError(
            f"hardware.ray_address={address}, but a job joins the cluster that runs it",
            "leave it out; --address names the dashboard of the cluster",
        )
    unresolved = _composed(job, arguments)
    config = compose.resolve(unresolved.copy())
    recipe = find_recipe(str(parse(given["recipe"]).value))
    dropped = {"recipe", "hardware.ray_address"}
    kept = [text for text in arguments if parse(text).key not in dropped]
    overrides = [f"+recipe={recipe.name}", *kept]
    result = JobPlan(job, list(arguments), this_host, config, overrides, recipe.folder, working_dir)
    _place_folders(result, unresolved, this_host)
    _place_files(result, unresolved)
    return result


def with_hardware(result: JobPlan, gpus: int) -> JobPlan:
    """The plan with the cluster's hardware where the command line left it open.

    Args:
        result: as `plan` made it, where an open choice was this host's.
        gpus: real GPUs of a node of the cluster; 0 means CPUs.

    Returns:
        The same plan where user or recipe chose, else a new one.
    """
    chosen = {parse(a).key: parse(a).value or "" for a in result.arguments_here}
    fixed = find_recipe(str(result.recipe)).content.get("choose") or {}
    if chosen.get("hardware", "auto") != "auto" or "hardware" in fixed:
        return result
    kept = [a for a in result.arguments_here if parse(a).key != "hardware"]
    choice = Choice(gpus, "").overrides(chosen)
    settled = plan(
        result.job, [*kept, *choice], this_host=result.this_host, working_dir=result.working_dir
    )
    settled.notes.append(f"{' '.join(choice)}: what the cluster's nodes have")
    return settled


def refuse_secrets(arguments: Sequence[str]) -> None:
    """Refuse overrides that are secrets by their name, their shape or this environment's values.

    Raises:
        ConfigError: names the key, never the value.
    """
    redactor = Redactor(os.environ)
    for text in arguments:
        key, _, value = text.partition("=")
        name = key.lstrip("+~")
        if (value and is_secret_name(name)) or redactor.text(text) != text:
            raise ConfigError(
                f"{name} holds a secret, and a job's command is metadata that all can read",
                "set it in the environment of the cluster's nodes (WANDB_API_KEY, HF_TOKEN, …)",
            )


def quoted(key: str, value: str) -> str:
    """An override that Hydra reads back as this very text."""
    if _PLAIN.fullmatch(value):
        return f"{key}={value}"
    # Within quotes a backslash means itself, but for those right before a quote.
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"{key}='{escaped}'"


def _is_override(text: str) -> bool:
    if text.startswith("-") or ("=" not in text and not text.startswith("~")):
        raise ConfigError(
            f"{text!r} is no override; expected key=value", "python -m launch.submit --help"
        )
    return True


def _composed(job: str, arguments: Sequence[str]) -> DictConfig:
    """Compose as the entry point does, with its checks and its messages."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    rewritten = compose.prepare(job, arguments)
    check_command_line(job, rewritten)
    try:
        return compose.compose(job, arguments)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(job, rewritten, error) from error


def _place_folders(result: JobPlan, unresolved: DictConfig, this_host: bool) -> None:
    """Make the folders absolute: here on this host's own cluster, else below run.root's parent."""
    root = Path(str(unresolved.run.root))
    if not this_host and not root.is_absolute():
        raise ConfigError(
            f"run.root={root} is relative, and a job's own folder is gone when the job ends",
            "run.root=/folder/that/all/nodes/share/runs",
        )
    base = Path.cwd() if this_host else root.parent
    for key in (*FOLDERS, *LOCAL):
        value = OmegaConf.select(unresolved, key)
        here = OmegaConf.select(result.config, key)
        # compose.resolve left a hub id as it was, and made everything that is a path absolute.
        if value is None or str(value) == str(here):
            continue
        if key in LOCAL and not this_host:
            raise ConfigError(
                f"{key}={value} is a path of this host",
                f"{key}=/path/that/all/nodes/share, or null for the hub",
            )
        absolute = os.path.abspath(base / Path(str(value)).expanduser())
        _override(result, key, absolute)
        if not this_host:
            result.notes.append(f"{key}={absolute}: beside run.root, which all nodes share")


def _place_files(result: JobPlan, unresolved: DictConfig) -> None:
    """Name the user's files by where they lie in the upload."""
    written = OmegaConf.to_container(unresolved, resolve=False)
    resolved = OmegaConf.to_container(result.config)
    assert isinstance(written, dict) and isinstance(resolved, dict)
    found = Files(result.recipe, result.this_host, result.working_dir)
    found.place(
        {str(key): value for key, value in written.items()},
        {str(key): value for key, value in resolved.items()},
    )
    result.files = found.uploads
    for key, value in found.values.items():
        _override(result, key, value)


def _override(result: JobPlan, key: str, value: str) -> None:
    others = [text for text in result.overrides if parse(text).key != key]
    replaced = [text for text in result.overrides if parse(text).key == key]
    # A function's options are no keys of the tree: to set one is to add it.
    added = "options." in key or any(parse(text).sign for text in replaced)
    result.overrides = [*others, ("++" if added else "") + quoted(key, value)]
