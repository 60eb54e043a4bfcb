"""Several replicas of a model under Ray, each an engine of `engine` in a process of its own.

In: a `Plan` with `replicas` and the requests. Out: their generations as they are finished, from all
replicas. Requests are dealt out in turn, so that long tasks spread evenly; each replica batches its
share by itself. Joins the cluster there is, else starts Ray on this machine and stops it at the
end. A replica that dies ends the evaluation: what was finished is recorded, and the same command
goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError
from eval.generation.backend import EngineOptions, Generation, Plan, Request
from eval.generation.engine import open_vllm

ROOT = Path(__file__).resolve().parents[2]


class Replica:
    """One engine; an actor's class."""

    def __init__(
        self,
        folder: Path,
        options: EngineOptions,
        first: Sequence[Request],
        template_options: Mapping[str, Any],
    ) -> None:
        self._context = open_vllm(folder, options, first, template_options)
        self._engine = self._context.__enter__()

    def ready(self) -> bool:
        """Answers once the engine runs."""
        return True

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        """The generations of this replica's share."""
        yield from self._engine.generate(requests)

    def close(self) -> None:
        """Stop the engine."""
        self._context.__exit__(None, None, None)


@contextmanager
def open_replicas(plan: Plan, first: Sequence[Request]) -> Iterator[Replicas]:
    """Start the replicas, and stop them at the end.

    Args:
        plan: model, engine and number of replicas.
        first: requests that are to come; they decide how long a text may grow.

    Raises:
        EvaluationError: Ray has not the resources, or an engine does not start.
    """
    import ray
    from ray.exceptions import RayError

    started = not ray.is_initialized()
    if started:
        here = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        ray.init(
            address=plan.ray_address,
            runtime_env={"env_vars": {"PYTHONPATH": here}},
            log_to_driver=False,
            include_dashboard=False if plan.ray_address is None else None,
        )
    actors: list[Any] = []
    try:
        each = _share(ray.cluster_resources(), plan)
        make = ray.remote(Replica).options(**each)
        arguments = (plan.folder, plan.engine, list(first), dict(plan.template_options))
        actors = [make.remote(*arguments) for _ in range(plan.replicas)]
        try:
            ray.get([actor.ready.remote() for actor in actors])
        except RayError as error:
            raise EvaluationError(
                f"a replica does not start: {_reason(error)}",
                "try it alone: replicas=1; or fewer replicas",
            ) from error
        yield Replicas(actors)
        ray.get([actor.close.remote() for actor in actors], timeout=60)
    finally:
        for actor in actors:
            ray.kill(actor)
        if started:
            ray.shutdown()


def _share(there: Mapping[str, float], plan: Plan) -> dict[str, float]:
    """What of the cluster each replica takes.

    Raises:
        EvaluationError: the cluster is too small.
    """
    gpus = plan.engine.tensor_parallel
    if plan.engine.device == "cpu" or not there.get("GPU"):
        cpus = max(int(there.get("CPU", 0)) // plan.replicas, 0)
        if cpus < 1:
            raise EvaluationError(
                f"{plan.replicas} replicas need as many CPU cores, Ray has {there.get('CPU', 0):g}",
                f"replicas={int(there.get('CPU', 1))}",
            )
        return {"num_cpus": cpus}
    if there["GPU"] < plan.replicas * gpus:
        raise EvaluationError(
            f"{plan.replicas} replicas of {gpus} GPUs need {plan.replicas * gpus}, Ray has "
            f"{there['GPU']:g}",
            f"replicas={max(int(there['GPU'] // gpus), 1)}",
        )
    return {"num_gpus": gpus}


class Replicas:
    """Running replicas, to the outside one back end."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        """The generations of all replicas, as they come; seconds are of the whole, not summed.

        Raises:
            EvaluationError: a replica died.
        """
        import ray
        from ray.exceptions import RayError

        count = len(self._actors)
        streams: dict[Any, int] = {}
        for number, actor in enumerate(self._actors):
            share = list(requests[number::count])
            if share:
                method = actor.generate.options(num_returns="streaming")
                streams[method.remote(share)] = number
        try:
            while streams:
                ready, _ = ray.wait(list(streams), num_returns=1)
                for stream in ready:
                    try:
                        one: Generation = ray.get(next(stream))
                    except StopIteration:
                        del streams[stream]
                        continue
                    number = streams[stream]
                    yield replace(
                        one,
                        position=number + one.position * count,
                        seconds=one.seconds / count,
                    )
        except RayError as error:
            raise EvaluationError(
                f"a replica failed while generating: {_reason(error)}",
                "what was finished is recorded; the same command goes on from there",
            ) from error


def _reason(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return " ".join(str(cause).split())[-300:]
