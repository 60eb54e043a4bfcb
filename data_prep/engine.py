"""Where batch functions run: in this process, or on a Ray cluster.

In: a function and its inputs, both picklable. Out: the results, in the order of the inputs. A
function sees one input at a time and the same one under every engine, so the engine cannot change
a result. It reads and writes files of a folder that all nodes share; rows do not travel.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

from conf.errors import ConfigError

Input = TypeVar("Input")
Result = TypeVar("Result")
EngineName = Literal["local", "ray"]
ENGINES: Final = ("local", "ray")


class Engine(Protocol):
    """What runs batch functions."""

    def run(self, function: Callable[[Input], Result], inputs: Sequence[Input]) -> Iterator[Result]:
        """Results in the order of the inputs, each as soon as it and all before it are there."""
        ...

    def close(self) -> None:
        """Give back what was taken."""
        ...


class LocalEngine:
    """One after the other, in this process."""

    def run(self, function: Callable[[Input], Result], inputs: Sequence[Input]) -> Iterator[Result]:
        """Call the function on each input in turn."""
        return map(function, inputs)

    def close(self) -> None:
        """Nothing was taken."""


def load_engine(name: EngineName, shared: Path) -> Engine:
    """The engine of that name.

    Args:
        name: `local` or `ray`.
        shared: the folder that the functions read and write.

    Raises:
        ConfigError: no such engine, or Ray is not installed.
        DataError: a node of the cluster does not see `shared`.
    """
    if name == "local":
        return LocalEngine()
    if name != "ray":
        raise ConfigError(f"no engine {name!r}", fix=f"engine={' or engine='.join(ENGINES)}")
    try:
        backend = importlib.import_module("data_prep.backends.engine_ray")
        engine: Engine = backend.RayEngine(shared)
    except ImportError as error:
        raise ConfigError(
            f"engine=ray needs Ray Data: {error}", fix='pip install "ray[data]", or engine=local'
        ) from error
    return engine
