"""What our own nodes of a configuration may hold, and those of verl's keys that we read ourselves.

In: a resolved configuration as nested dicts. Out: nothing, or a `ConfigError` that names the key,
what was got and what is needed. Defaults live in the YAML and nowhere else; verl's other keys are
verl's to judge, and what depends on the machine or the files is `launch.preflight`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from conf.errors import ConfigError

Name = Field(min_length=1)
Count = Field(ge=1)


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _VerlNode(BaseModel):
    """A node of verl's: keys that are not named here are none of ours."""

    model_config = ConfigDict(extra="ignore", strict=True)


def _files(value: Any) -> Any:
    """One file, or a list of at least one."""
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(file, str) and file for file in listed):
        raise ValueError("a file's path or a list of them is needed")
    return value


def _frequency(value: Any) -> Any:
    """Steps, as verl's trainers count them (-1: never), or the SFT trainer's word."""
    if value != "after_each_epoch" and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError("a whole number of steps is needed, -1 for never")
    return value


Files = Annotated[Any, AfterValidator(_files)]
Frequency = Annotated[Any, AfterValidator(_frequency)]


class VerlData(_VerlNode):
    """Node `data`."""

    train_files: Files
    val_files: Annotated[Any, AfterValidator(lambda value: _files(value) if value else value)]
    train_batch_size: int = Count
    train_max_samples: int
    val_max_samples: int


class VerlTrainer(_VerlNode):
    """Node `trainer`."""

    total_epochs: int = Count
    total_training_steps: int | None = Field(ge=1)
    save_freq: Frequency
    test_freq: Frequency
    nnodes: int = Count
    n_gpus_per_node: int = Count


class Run(_Node):
    """Node `run`."""

    root: str = Name
    recipe: str = Name
    recipe_dir: str = Name
    name: str = Name
    dir: str = Name
    seed: int = Field(ge=0)


class Hardware(_Node):
    """Node `hardware`; `attention` and `remove_padding` only on GPUs, `launcher` only for SFT."""

    name: str = Name
    # verl's name for it; the hardware options say which.
    device: str = Name
    ranks: int = Count
    nodes: int = Count
    ray_cpus: int | None = Field(ge=1)
    ray_address: str | None
    attention: str | None = None
    remove_padding: bool | None = None
    launcher: Literal["ray", "torchrun"] | None = None


class Policy(_Node):
    """Node `policy`."""

    name: str = Name
    path: str = Name
    build: Literal["tiny"] | None
    warm_start: Literal["sft"] | None


class Breaker(_Node):
    """Node `reward_fn.breaker`."""

    share: float = Field(gt=0, lt=1)
    window: int = Count


class GroupReward(_Node):
    """Node `reward_fn.group`."""

    name: str | None
    options: dict[str, Any]


class RewardFunction(_Node):
    """Node `reward_fn`."""

    name: str = Name
    options: dict[str, Any]
    group: GroupReward
    control: Literal["constant", "random", "shuffled_gold"] | None
    on_error: Literal["drop", "stop"]
    breaker: Breaker
    deadline: float | None = Field(gt=0, strict=False)


class Evaluation(_Node):
    """Node `evaluation`."""

    enable: bool
    n: int = Count
    max_tokens: int = Count


class Selection(_Node):
    """Node `selection`."""

    checkpoint: Literal["last", "best"]
    metric: str | None


class EarlyStopping(_Node):
    """Node `early_stopping`, of SFT."""

    patience: int | None = Field(ge=1)
    min_delta: float = Field(ge=0, strict=False)


class Preflight(_Node):
    """Node `preflight`."""

    enable: bool
    min_free_gb: float = Field(ge=0, strict=False)


class Guard(_Node):
    """Node `guard`, of the RL jobs."""

    k3_kl_max: float = Field(gt=0, strict=False)
    probs_diff_max: float = Field(gt=0, strict=False)
    action: Literal["stop", "warn"]


NODES: dict[str, type[BaseModel]] = {
    "run": Run,
    "hardware": Hardware,
    "policy": Policy,
    "reward_fn": RewardFunction,
    "selection": Selection,
    "early_stopping": EarlyStopping,
    "evaluation": Evaluation,
    "preflight": Preflight,
    "guard": Guard,
    "data": VerlData,
    "trainer": VerlTrainer,
}
OF_SOME_JOBS = ("guard", "early_stopping")


def check_nodes(config: Mapping[str, Any]) -> None:
    """Hold each of these nodes against its contract.

    Args:
        config: the resolved configuration; nodes of some jobs may be absent, the others not.

    Raises:
        ConfigError: the first value that does not fit, or is not there.
    """
    for name, model in NODES.items():
        if name not in config:
            if name in OF_SOME_JOBS:
                continue
            raise _absent(name)
        try:
            model.model_validate(config[name])
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join([name, *map(str, first["loc"])])
            if first["type"] == "missing":
                raise _absent(key) from error
            if not first["loc"]:
                raise ConfigError(
                    f"{key} is {first['input']!r}; it is a node, whose keys are needed",
                    f"leave {key}=… out",
                ) from error
            need = first["msg"].removeprefix("Value error, ")
            raise ConfigError(
                f"{key} is {first['input']!r}; {need[0].lower()}{need[1:]}",
                f"{key}=…",
            ) from error


def _absent(key: str) -> ConfigError:
    return ConfigError(
        f"{key} was taken out, and is needed", f"leave out the ~ that took {key} away"
    )
