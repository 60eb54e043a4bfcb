"""What generating is, whoever does it: requests in, responses out as they are finished.

In: a `Plan` (which model, by which of the back ends, with what of the engine's options) and the
requests that are to come first. Out: a `Backend`. vLLM in this process is in `engine`,
replicas under Ray in `replicas`, any OpenAI-compatible server in `server`; each is
imported when it is used and no sooner. Nothing is graded or written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Chat = list[dict[str, str]]
Prompt = Chat | str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a response is drawn; part of its identity.

    Attributes:
        temperature: 0 is greedy.
        max_tokens: most tokens.
        top_p: nucleus.
        top_k: most tokens to draw from; -1: all.
        stop: texts that end a response and are left out of it.
        seed: of this response; None for a greedy one.
    """

    temperature: float
    max_tokens: int
    top_p: float = 1.0
    top_k: int = -1
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One response that is wanted.

    Attributes:
        prompt: a chat up to the model's turn, or plain text to go on with.
        sampling: how.
        room: tokens that a later request of the same conversation may add to prompt and response.
    """

    prompt: Prompt
    sampling: Sampling
    room: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """One finished response.

    Attributes:
        position: place of its request in the input.
        response: the text, special tokens removed.
        tokens: generated tokens, the end token included.
        prompt_tokens: tokens of the rendered prompt.
        finish_reason: `stop`, or `length` when it was cut at `max_tokens`.
        seconds: its share of the wall time: the time since the last responses were finished,
            divided among those that finished together. The shares add up to the whole.
        latency: seconds from handing the request over to its end, waits in a queue included.
    """

    position: int
    response: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    seconds: float
    latency: float


class Backend(Protocol):
    """Answers requests, in the order of finishing."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        """The responses.

        Raises:
            EvaluationError: the engine or server failed; what it yielded before holds.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How vLLM runs; meanings and defaults are those of `eval.spec.EngineSpec`."""

    device: str
    dtype: str
    max_num_seqs: int
    kv_cache_gb: float | None
    gpu_memory_utilization: float
    enforce_eager: bool
    threads: int | None
    tensor_parallel: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Which model answers, and by what.

    Attributes:
        folder: the model's folder; None: only its server knows it.
        engine: vLLM's options.
        replicas: 1: an engine here; more: as many under Ray.
        ray_address: of the cluster; None: the one there is, else a new one on this machine.
        endpoint: a server's description (see `server.Endpoint`); None: vLLM here.
        template_options: handed to the chat template (`enable_thinking: false`).
    """

    folder: Path | None
    engine: EngineOptions
    replicas: int = 1
    ray_address: str | None = None
    endpoint: Mapping[str, Any] | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)


def open_backend(plan: Plan, first: Sequence[Request]) -> AbstractContextManager[Backend]:
    """The back end that a plan asks for.

    Args:
        plan: what is asked for.
        first: requests that are to come; the longest of them says how long a text may grow.

    Raises:
        EvaluationError: it does not start, or a prompt is too long for the model.
    """
    if plan.endpoint is not None:
        from eval.generation.server import open_endpoint

        return open_endpoint(plan)
    assert plan.folder is not None, "without a server, a model is a folder"
    if plan.replicas > 1:
        from eval.generation.replicas import open_replicas

        return open_replicas(plan, first)
    from eval.generation.engine import open_vllm

    return open_vllm(plan.folder, plan.engine, first, plan.template_options)
