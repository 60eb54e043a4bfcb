"""Recipes as Hydra options: find a recipe folder, read its YAML, store it for composition.

In: a recipe's name or the path of a user's own folder. Out: a node of group `recipe` in Hydra's
ConfigStore, so that `+recipe=NAME` works from any folder. It reads files and imports nothing heavy;
whether the keys exist is checked in `launch.keys`.

A recipe.yaml holds only what differs, in sections:

    summary   one line for people
    base      the name of a recipe beside it, or of one that temper ships: what it holds, holds
              here too, where this one says nothing else
    choose    group options: hardware, policy, control
    shared    our nodes, for every job
    rl        verl's PPO tree, for grpo and ppo alike
    grpo, ppo, sft
              what holds for one job alone
    tiny      the sections above once more, applied last under policy=tiny
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

import conf
from conf.errors import ConfigError

SECTIONS = ("summary", "base", "choose", "shared", "rl", "grpo", "ppo", "sft", "tiny")
RECIPE_DIR = "${run.recipe_dir}"
JOB_SECTIONS = {"grpo": ("rl", "grpo"), "ppo": ("rl", "ppo"), "sft": ("sft",)}


@dataclass(frozen=True)
class Recipe:
    """One recipe folder, read.

    Attributes:
        name: the folder's name; names the run folder too.
        folder: where it is.
        content: recipe.yaml as nested dicts, over its base's.
        base: the recipe that it is based on.
    """

    name: str
    folder: Path
    content: dict[str, Any]
    base: Recipe | None = None

    @property
    def folders(self) -> list[Path]:
        """Its folder and those of its bases, the last one first."""
        return [*(self.base.folders if self.base else ()), self.folder]

    def leaves_of(self, job: str, policy: str | None) -> dict[str, Any]:
        """The nested overrides that this recipe makes to a job's tree.

        Args:
            job: grpo, ppo or sft.
            policy: the chosen option of group policy, or None for the recipe's own.
        """
        own = (self.content.get("choose") or {}).get("policy")
        chosen = policy or own
        merged: dict[str, Any] = {}
        for layer in (self.content, self.content.get("tiny", {}) if chosen == "tiny" else {}):
            for section in ("shared", *JOB_SECTIONS[job]):
                merged = _merge(merged, layer.get(section) or {})
        if chosen != own and "policy" in merged:
            # The recipe's path names its own choice of model, not the one that replaces it.
            merged["policy"] = {k: v for k, v in merged["policy"].items() if k != "path"}
        return merged


_stored: dict[str, Recipe] = {}


def builtin_root() -> Path:
    """The folder of the recipes that temper ships."""
    return Path(next(iter(conf.__path__))).parent / "recipes"


def stored_recipe(name: str) -> Recipe:
    """The recipe that `store_recipe` put under this name; else the one that the name finds."""
    return _stored[name] if name in _stored else find_recipe(name)


def recipe_names() -> list[str]:
    """Names of the shipped recipes and of those in ./recipes."""
    roots = {builtin_root(), Path("recipes").resolve()}
    return sorted({p.parent.name for root in roots for p in root.glob("*/recipe.yaml")})


def no_recipe() -> ConfigError:
    """The error of a command line without `+recipe=`."""
    return ConfigError(
        f"no recipe was named; there are {', '.join(recipe_names())}", "+recipe=arithmetic"
    )


def find_recipe(reference: str) -> Recipe:
    """Read the recipe that `+recipe=` names.

    Args:
        reference: a name, or a folder's path (it holds a `/` or is an existing folder).

    Raises:
        ConfigError: no such recipe (nearest names), unreadable YAML, or unknown section.
    """
    candidates = [Path(reference), Path("recipes") / reference, builtin_root() / reference]
    for folder in candidates:
        if (folder / "recipe.yaml").is_file():
            return _read(folder.resolve())
    near = get_close_matches(reference, recipe_names(), n=1, cutoff=0.4)
    raise ConfigError(
        f"no recipe {reference!r}; there are {', '.join(recipe_names())}",
        f"+recipe={near[0] if near else './folder/with/recipe.yaml'}",
    )


def _read(folder: Path, above: tuple[str, ...] = ()) -> Recipe:
    path = folder / "recipe.yaml"
    try:
        # OmegaConf's loader, not yaml's: it reads 1e-6 as a number, as Hydra does.
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read recipe {path}: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of sections, got {type(content).__name__}")
    unknown = [key for key in content if key not in SECTIONS]
    if unknown:
        near = get_close_matches(str(unknown[0]), SECTIONS, n=1, cutoff=0.3)
        raise ConfigError(
            f"{path}: unknown section {unknown[0]!r}; a recipe has {', '.join(SECTIONS)}",
            f"rename it to {near[0]}" if near else "put verl's keys below rl or sft",
        )
    own = {str(key): value for key, value in content.items()}
    if "base" not in own:
        return Recipe(folder.name, folder, own)
    base = _base(str(own.pop("base")), path, (*above, folder.name))
    return Recipe(folder.name, folder, _merge(_placed(base.content, base.folder), own), base)


def _base(name: str, path: Path, above: tuple[str, ...]) -> Recipe:
    if name in above:
        raise ConfigError(f"{path}: base {name} goes in a circle ({' → '.join(above)} → {name})")
    for root in (path.parent.parent, builtin_root()):
        if "/" not in name and (root / name / "recipe.yaml").is_file():
            return _read((root / name).resolve(), above)
    beside = {found.parent.name for found in path.parent.parent.glob("*/recipe.yaml")}
    near = get_close_matches(name, {*beside, *recipe_names()} - set(above), n=1, cutoff=0.4)
    raise ConfigError(
        f"{path}: base {name!r} is no recipe beside this one, and none that temper ships",
        f"base: {near[0]}" if near else "base: the name of a folder beside this one",
    )


def _placed(content: Any, folder: Path) -> Any:
    """A base's content, its own files named where they are."""
    if isinstance(content, dict):
        return {key: _placed(value, folder) for key, value in content.items()}
    if isinstance(content, list):
        return [_placed(value, folder) for value in content]
    return content.replace(RECIPE_DIR, str(folder)) if isinstance(content, str) else content


def store_recipe(recipe: Recipe, job: str, policy: str | None) -> None:
    """Put the recipe into Hydra's ConfigStore as option `recipe=<name>` of the job's tree.

    A file of the recipe's own folder is written `${run.recipe_dir}/file.py`.
    """
    from hydra.core.config_store import ConfigStore

    choices = [{f"override /{group}": option} for group, option in _choices(recipe, job)]
    node = recipe.leaves_of(job, policy)
    node = _merge(node, {"run": {"recipe": recipe.name, "recipe_dir": str(recipe.folder)}})
    node["defaults"] = [*choices, "_self_"]
    _stored[recipe.name] = recipe
    ConfigStore.instance().store(group="recipe", name=recipe.name, node=node, package="_global_")


def _choices(recipe: Recipe, job: str) -> list[tuple[str, str]]:
    chosen = recipe.content.get("choose") or {}
    known = ("hardware", "policy") if job == "sft" else ("hardware", "policy", "control")
    return [(group, str(option)) for group, option in chosen.items() if group in known]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts merged, `over` winning at the leaves."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
