"""A composed configuration as plain values, and the few numbers that several checks derive.

In: the `DictConfig` of a job (grpo, ppo or sft), resolved once, so that the checks can read it side
by side from threads. Out: `Settings`. A key that must be there and is not raises `ConfigError`; a
key that only some trees have is asked for with `optional`. Nothing here judges a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.errors import ConfigError

MISSING = "???"
ACTOR = "actor_rollout_ref.actor"
ROLLOUT = "actor_rollout_ref.rollout"
FSDP = ("fsdp", "fsdp2")


class Settings:
    """Read-only view of a composed configuration by dotted key."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        """Keep the resolved tree.

        Args:
            tree: nested plain containers, as `OmegaConf.to_container(resolve=True)` gives them.
        """
        self._tree = tree

    @classmethod
    def of(cls, config: DictConfig) -> Settings:
        """Resolve a configuration once.

        Raises:
            ConfigError: an interpolation names nothing.
        """
        try:
            tree = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
        except OmegaConfBaseException as error:
            first = str(error).splitlines()[0]
            raise ConfigError(f"the configuration does not resolve: {first}") from error
        if not isinstance(tree, dict):
            raise ConfigError(f"got a {type(tree).__name__}, need a composed configuration")
        return cls({str(key): value for key, value in tree.items()})

    def optional(self, key: str) -> Any:
        """The value, or None where the tree has no such key or leaves it at `???`."""
        node: Any = self._tree
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return None
            node = node[part]
        return None if node == MISSING else node

    def __getitem__(self, key: str) -> Any:
        """The value of a key that every tree of this job has; None only where the tree says so.

        Raises:
            ConfigError: the key is not there or has no value.
        """
        node: Any = self._tree
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise ConfigError(f"the composed configuration has no key {key}")
            node = node[part]
        if node == MISSING:
            raise ConfigError(f"{key} has no value", f"{key}=…")
        return node

    def joining(self, environment: Mapping[str, str]) -> Settings:
        """These settings with the Ray that the run will join, as `launch.bridge` finds it.

        Args:
            environment: its RAY_ADDRESS counts where `hardware.ray_address` is null; Ray sets it
                for a job's own processes.
        """
        address = environment.get("RAY_ADDRESS")
        if self["hardware.ray_address"] is not None or not address:
            return self
        hardware = {**self._tree["hardware"], "ray_address": address}
        return Settings({**self._tree, "hardware": hardware})

    def whole(self, key: str) -> int:
        """A key that holds a whole number.

        Raises:
            ConfigError: it holds something else.
        """
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{key}={value!r}, a whole number is needed", f"{key}=1")
        return value

    def positive(self, key: str) -> int:
        """A key that holds a whole number of at least 1.

        Raises:
            ConfigError: it holds something else.
        """
        value = self.whole(key)
        if value < 1:
            raise ConfigError(f"{key}={value}, at least 1 is needed", f"{key}=1")
        return value

    def optional_whole(self, key: str) -> int | None:
        """A key that may be absent or null, else a whole number of at least 1.

        Raises:
            ConfigError: it holds something else.
        """
        return None if self.optional(key) is None else self.positive(key)

    @property
    def job(self) -> str:
        """Which trainer: grpo, ppo or sft."""
        return str(self["job"])

    @property
    def is_sft(self) -> bool:
        """Whether the tree is verl's SFT tree rather than its RL tree."""
        return self.job == "sft"

    @property
    def device(self) -> str:
        """The device by verl's name: cpu or cuda."""
        return str(self["hardware.device"])

    @property
    def world(self) -> int:
        """Training ranks over all nodes, as verl counts them."""
        return self.positive("trainer.n_gpus_per_node") * self.positive("trainer.nnodes")

    @property
    def model_key(self) -> str:
        """Where this job's tree keeps the model: `model` or `actor_rollout_ref.model`."""
        return "model" if self.is_sft else "actor_rollout_ref.model"

    @property
    def uses_critic(self) -> bool:
        """By verl's rule (`need_critic`): `critic.enable` where set, else whether GAE is used."""
        if self.is_sft:
            return False
        enable = self.optional("critic.enable")
        return bool(enable) if enable is not None else self["algorithm.adv_estimator"] == "gae"

    @property
    def uses_reference(self) -> bool:
        """By verl's rule (`need_reference_policy`): a KL term in the reward or in the loss."""
        if self.is_sft:
            return False
        return bool(self["algorithm.use_kl_in_reward"]) or bool(self[f"{ACTOR}.use_kl_loss"])

    @property
    def run_dir(self) -> Path:
        """The folder of this run."""
        return Path(str(self["run.dir"])).expanduser()


@dataclass(frozen=True)
class Pool:
    """One resource pool of verl: a placement group bundle for each rank.

    Attributes:
        name: verl's name of it.
        ranks: bundles, one GPU (or logical slot) each.
        cpus: logical CPUs that one bundle reserves for as long as the run lasts.
        nodes: how many nodes it spreads over.
    """

    name: str
    ranks: int
    cpus: int
    nodes: int


# verl/single_controller/ray/base.py: `ResourcePoolManager.max_colocate_count` (RL) and the default
# of `RayResourcePool`, which `sft_trainer_ray` uses; workers/rollout/replica.py for standalone.
RL_BUNDLE_CPUS = 3
SFT_BUNDLE_CPUS = 10
STANDALONE_BUNDLE_CPUS = 2


def pools(settings: Settings) -> tuple[Pool, ...]:
    """The resource pools that verl will ask Ray for, the training ranks first."""
    nodes = settings.positive("trainer.nnodes")
    if settings.is_sft:
        return (Pool("training", settings.world, SFT_BUNDLE_CPUS, nodes),)
    found = [Pool("training", settings.world, RL_BUNDLE_CPUS, nodes)]
    if settings.optional("trainer.v1.trainer_mode") == "separate_async":
        count = settings.whole(f"{ROLLOUT}.nnodes")
        ranks = count * settings.whole(f"{ROLLOUT}.n_gpus_per_node")
        found.append(Pool("rollout", ranks, STANDALONE_BUNDLE_CPUS, count))
    for name, key, on in (
        ("reward model", "reward.reward_model", "enable_resource_pool"),
        ("teacher", "distillation", "enabled"),
    ):
        if settings.optional(f"{key}.{on}"):
            count = settings.whole(f"{key}.nnodes")
            ranks = count * settings.whole(f"{key}.n_gpus_per_node")
            found.append(Pool(name, ranks, RL_BUNDLE_CPUS, count))
    return tuple(found)
