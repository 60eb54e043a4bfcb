"""Batch functions on Ray Data.

In: a function, its inputs, and a folder that every node sees. Out: results in the order of the
inputs. A cluster is joined where `RAY_ADDRESS` names one or this process is connected already; else
Ray starts on this machine and stops at the end. Ray Data schedules, retries after a lost node, and
limits what is in flight; nothing distributed is done here.
"""

from __future__ import annotations

import functools
import logging
import pickle
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from conf.errors import DataError, TemperError

Input = TypeVar("Input")
Result = TypeVar("Result")
PACKAGES = ("conf", "rewards", "data_prep")


def _apply(row: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    """One input as Ray Data carries it: pickled, since a result may be any object.

    An error of ours is a result too: Ray would wrap it several times over.
    """
    try:
        return {"result": pickle.dumps(function(pickle.loads(row["input"]))), "failed": False}
    except TemperError as error:
        return {"result": pickle.dumps(error), "failed": True}


def _sees(token: str) -> bool:
    return Path(token).is_file()


class RayEngine:
    """Ray Data with the order preserved."""

    def __init__(self, shared: Path) -> None:
        """Connect, and look whether every node sees the folder.

        Raises:
            DataError: one does not.
        """
        self._started = not ray.is_initialized()
        if self._started:
            root = Path(__file__).resolve().parents[2]
            packages = [str(root / name) for name in PACKAGES]
            ray.init(runtime_env={"py_modules": packages}, log_to_driver=False, logging_level=40)
        try:
            self._check(shared)
        except BaseException:
            self.close()
            raise
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of each stage at length
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False

    def _check(self, shared: Path) -> None:
        token = shared / f".seen-{uuid.uuid4().hex}"
        token.touch()
        try:
            looked = {}
            for node in (node for node in ray.nodes() if node["Alive"]):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = ray.remote(_sees).options(num_cpus=0, scheduling_strategy=there)
                looked[node["NodeManagerAddress"]] = task.remote(str(token))
            blind = [address for address, seen in looked.items() if not ray.get(seen)]
        finally:
            token.unlink()
        if blind:
            raise DataError(
                f"engine=ray: node {blind[0]} does not see {shared}",
                fix="out=FOLDER on a file system that all nodes share, or engine=local",
            )

    def run(self, function: Callable[[Input], Result], inputs: Sequence[Input]) -> Iterator[Result]:
        """Map the function over the inputs, one task each.

        Raises:
            TemperError: the function's own.
        """
        if not inputs:
            return
        items = [{"input": pickle.dumps(one)} for one in inputs]
        rows = ray.data.from_items(items, override_num_blocks=len(items))
        rows = rows.map(functools.partial(_apply, function=function))
        for row in rows.iter_rows():
            result = pickle.loads(row["result"])
            if row["failed"]:
                raise result
            yield result

    def close(self) -> None:
        """Stop Ray if it was started here."""
        if self._started:
            ray.shutdown()
