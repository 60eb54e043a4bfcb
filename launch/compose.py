"""Compose a job's configuration: verl's own tree, ours beside it, a recipe, the command line.

In: a job (grpo, ppo, sft) and Hydra overrides. Out: one resolved `DictConfig`. Composition imports
neither torch nor verl: verl's YAML is found through its import spec and named to Hydra as a folder.
It does not check values against the machine (`launch.preflight`) nor start anything.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import conf
from conf.errors import ConfigError, PlatformError
from launch import hardware
from launch.recipes import find_recipe, no_recipe, recipe_names, store_recipe

ROOTS = {"grpo": "rl", "ppo": "rl", "sft": "sft"}
GROUPS = ("policy", "control")  # option groups that our roots choose from by default


def conf_dir() -> Path:
    """The folder of our Hydra roots."""
    return Path(next(iter(conf.__path__)))


def verl_config_dir() -> Path:
    """verl's folder of Hydra configurations, found without importing verl.

    Raises:
        PlatformError: verl is not installed.
    """
    spec = importlib.util.find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        raise PlatformError("verl is not installed", "pip install 'temper[cpu]' or 'temper[gpu]'")
    return Path(spec.submodule_search_locations[0]) / "trainer" / "config"


def prepare(job: str, arguments: Sequence[str]) -> list[str]:
    """Make recipes and search paths known to Hydra and settle `hardware=auto`.

    Args:
        job: grpo, ppo or sft.
        arguments: the command line after the program's name, flags included.

    Returns:
        The same arguments for Hydra: a recipe given by path becomes its name, `hardware=auto` (or
        none) becomes the option that fits this machine.

    Raises:
        ConfigError: the recipe does not exist or cannot be read.
    """
    _name_search_paths()
    chosen = {key: value for key, value in map(_split, arguments)}
    flags = [a for a in arguments if _is_flag(a)]
    # +control=random_reward, as one writes +recipe=NAME, chooses the option too.
    rewritten = [
        a.lstrip("+") if _split(a)[0] in GROUPS else a
        for a in arguments
        if not _is_flag(a) and _split(a)[0] not in ("recipe", "hardware")
    ]
    fixed_by_recipe = False
    if "recipe" in chosen:
        recipe = find_recipe(chosen["recipe"])
        store_recipe(recipe, job, chosen.get("policy"))
        rewritten.insert(0, f"+recipe={recipe.name}")
        fixed_by_recipe = "hardware" in (recipe.content.get("choose") or {})
    if chosen.get("hardware", "auto") != "auto":
        rewritten.append(f"hardware={chosen['hardware']}")
    elif not fixed_by_recipe:
        rewritten += hardware.detect(chosen.get("hardware.ray_address")).overrides(chosen)
    # argparse, in Hydra, wants the overrides together.
    return rewritten + flags


def compose(job: str, overrides: Sequence[str]) -> DictConfig:
    """Compose a job's tree, unresolved, as the command line would.

    Args:
        job: grpo, ppo or sft.
        overrides: Hydra overrides, `+recipe=NAME` among them.
    """
    return _compose(job, prepare(job, overrides))


def base_tree(job: str, choices: Sequence[str]) -> DictConfig:
    """The job's tree with the given group options, without recipe or other overrides."""
    return _compose(job, choices)


def _name_search_paths() -> None:
    """What our roots' `hydra.searchpath` and help refer to, `pkg://` being too heavy for verl."""
    os.environ["VERL_CONFIG_DIR"] = str(verl_config_dir())
    os.environ["TEMPER_CONF_DIR"] = str(conf_dir())
    os.environ["TEMPER_RECIPE_NAMES"] = ", ".join(recipe_names())


def _compose(job: str, arguments: Sequence[str]) -> DictConfig:
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    _name_search_paths()
    root = str(conf_dir() / ROOTS[job])
    # Also from within @hydra.main, which holds the only other instance and no longer needs it.
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(config_dir=root, version_base="1.3"):
        return hydra.compose(config_name=job, overrides=list(arguments))


def resolve(config: DictConfig) -> DictConfig:
    """Resolve interpolations and make the paths absolute that workers elsewhere must find.

    Raises:
        ConfigError: no recipe was named, a mandatory value is missing, an interpolation leads
            nowhere, or a value breaks its contract.
    """
    try:
        return _resolve(config)
    except OmegaConfBaseException as error:
        # A node that others refer to was taken out, or its place taken by a value.
        where = getattr(error, "full_key", None)
        raise ConfigError(
            f"{f'{where}: ' if where else ''}{str(error).splitlines()[0]}",
            "leave out the ~key or key=null that took it away; --cfg job shows the tree",
        ) from error


def _resolve(config: DictConfig) -> DictConfig:
    run = config.get("run")
    if isinstance(run, DictConfig) and OmegaConf.is_missing(run, "recipe"):
        raise no_recipe()
    paths = ("run.root", "data_prep.out", "data_prep.local", "data_prep.eval_sets", "policy.path")
    for key in paths:
        value = OmegaConf.select(config, key)
        if value is not None and _is_local(str(value), key):
            OmegaConf.update(config, key, str(Path(str(value)).expanduser().resolve()))
    missing = OmegaConf.missing_keys(config) - _missing_by_design(config)
    if missing:
        name = min(missing, key=len)
        raise ConfigError(f"{name} has no value", f"{name}=… (or +recipe=NAME, which sets it)")
    from conf.contract import check_nodes  # pydantic: `--cfg job` answers without it

    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    check_nodes({str(key): value for key, value in plain.items()})
    resolved = OmegaConf.create(plain)
    assert isinstance(resolved, DictConfig)
    return resolved


def _split(argument: str) -> tuple[str, str]:
    """(key without `+`, value) of an override; ("", argument) for a flag."""
    if argument.startswith("-") or "=" not in argument:
        return "", argument
    key, value = argument.split("=", 1)
    return key.lstrip("+"), value


def _is_flag(argument: str) -> bool:
    """Whether an argument is Hydra's own (`--cfg`, `job`) rather than an override."""
    return argument.startswith("-") or ("=" not in argument and not argument.startswith("~"))


def _is_local(value: str, key: str) -> bool:
    """Whether a value is a path here rather than a hub id (`org/name` that is no folder)."""
    if key != "policy.path":
        return True
    looks_like_id = value.count("/") == 1 and not value.startswith(
        (".", "/", "~", "data/", "runs/")
    )
    return not looks_like_id or Path(value).exists()


def _missing_by_design(config: DictConfig) -> set[str]:
    """Keys that verl's own tree leaves at ??? without reading them for this job."""
    return {"reward.reward_model.rollout.name"} if "reward" in config else set()
