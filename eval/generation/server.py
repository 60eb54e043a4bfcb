"""Responses by any OpenAI-compatible server.

In: an `Endpoint` and requests, many under way at a time. Out: generations as they come. Where the
model's folder is at hand, prompts are rendered here through its own chat template and sent as
tokens, so that the server answers exactly what training saw; else the server renders the chat.
Deadlines and retries are those of `rewards.judge.client`. A request that fails for good ends the
evaluation: a missing answer is no wrong answer, and what was finished is recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from conf.errors import ConfigError, EvaluationError
from eval.generation.backend import Generation, Plan, Request
from rewards.judge.client import Call, ServerError, post

CARD: Final = ("root", "parent")  # of a model's card: the same after a restart, others with others
CARD_S: Final = 30.0  # seconds for the list of models, which no engine has to work for


class Endpoint(BaseModel):
    """A server and how to use it.

    Attributes:
        base_url: up to and with `/v1`.
        model: as the server names it.
        key_variable: environment variable that holds the key; None: no key is sent.
        parallel: requests under way at a time; a kill loses at most these.
        timeout_s: seconds for one answer, waits and retries included.
        attempt_s: seconds for one request.
        retries: requests after the first.
        revision: which weights the name stands for, where their files are not at hand; None: what
            the server's list of models says of them.
        render: `here`: send tokens, rendered by the model's own folder; `server`: send the chat;
            `auto`: here where the model is a folder.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), coerce_numbers_to_str=True
    )  # `revision=2` and `model=7` are texts

    base_url: str = Field(pattern=r"^https?://")
    model: str = Field(min_length=1)
    key_variable: str | None = None
    parallel: int = Field(default=32, ge=1, le=1024)
    timeout_s: float = Field(default=1800.0, gt=0)
    attempt_s: float = Field(default=900.0, gt=0)
    retries: int = Field(default=5, ge=0)
    revision: str | None = Field(default=None, min_length=1)
    render: Literal["auto", "here", "server"] = "auto"

    def key(self) -> str:
        """The API key.

        Raises:
            ConfigError: the variable is not set.
        """
        if self.key_variable is None:
            return ""
        found = os.environ.get(self.key_variable, "")
        if not found:
            raise ConfigError(
                f"the endpoint's key variable {self.key_variable} is not set",
                fix=f"export {self.key_variable}=…",
            )
        return found

    def fingerprint(self) -> str:
        """What stands for the model's hash where its files are not at hand.

        Server, name, and the revision; without one `root` and `parent` of the model's card in
        `/v1/models`, in which vLLM says the path that it loaded. Not `created`, which there is the
        time of the asking, nor `max_model_len`: a restarted server would be another model.

        Raises:
            EvaluationError: the server does not answer.
        """
        told = self._card() if self.revision is None else {"revision": self.revision}
        named = ["endpoint", self.base_url.rstrip("/"), self.model, *([told] if told else [])]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    def _card(self) -> dict[str, str]:
        """What the server says that it loaded under the model's name; {} where it says nothing."""
        url = f"{self.base_url.rstrip('/')}/models"
        call = Call(url, None, self.key(), min(self.attempt_s, CARD_S), self.retries)
        try:
            reply = post(call, time.monotonic() + min(self.timeout_s, 4 * CARD_S))
        except ServerError as error:
            if not error.again:
                return {}  # it answers, and has no such list
            raise EvaluationError(
                f"{url} gave no answer: {error}",
                "check endpoint.base_url, or say which model it is: endpoint.revision=NAME",
            ) from error
        cards = reply.get("data")
        for card in cards if isinstance(cards, list) else ():
            if isinstance(card, dict) and card.get("id") == self.model:
                return {key: card[key] for key in CARD if isinstance(card.get(key), str)}
        return {}


def endpoint(values: Mapping[str, Any], model: str) -> Endpoint:
    """The endpoint that a specification describes; its model is the evaluation's unless named.

    Raises:
        ConfigError: a key is unknown, missing or out of range.
    """
    try:
        return Endpoint.model_validate({"model": model, **values})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(Endpoint.model_fields)
        raise ConfigError(
            f"endpoint.{key}: {first['msg']}, got {first['input']!r:.60}", fix=f"it takes {known}"
        ) from error


@contextmanager
def open_endpoint(plan: Plan) -> Iterator[Served]:
    """A back end that asks the plan's endpoint."""
    assert plan.endpoint is not None
    one = Endpoint.model_validate(plan.endpoint)
    renderer = None
    if one.render == "here" and plan.folder is None:
        raise ConfigError(
            "endpoint.render=here needs the model's folder", fix="model=FOLDER endpoint.model=NAME"
        )
    if one.render != "server" and plan.folder is not None:
        from eval.generation.render import Renderer

        renderer = Renderer(plan.folder, plan.template_options)
    yield Served(one, renderer, plan.template_options)


class Served:
    """A server that answers."""

    def __init__(self, one: Endpoint, renderer: Any, template_options: Mapping[str, Any]) -> None:
        self._endpoint, self._renderer = one, renderer
        self._template_options = dict(template_options)
        self._key = one.key()

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        """The answers as they come, `parallel` requests under way.

        Raises:
            EvaluationError: the server refused or failed a request for good.
        """
        since = time.perf_counter()
        todo = iter(enumerate(requests))
        waiting: set[Future[Generation]] = set()
        failed: EvaluationError | None = None
        with ThreadPoolExecutor(self._endpoint.parallel) as pool:
            try:
                while True:
                    while failed is None and len(waiting) < self._endpoint.parallel:
                        following = next(todo, None)
                        if following is None:
                            break
                        waiting.add(pool.submit(self._ask, *following))
                    if not waiting:
                        break
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    now = time.perf_counter()
                    share, since = (now - since) / len(done), now
                    for future in done:
                        try:
                            one = future.result()
                        except EvaluationError as error:
                            failed = error  # what is under way is paid for: it is still taken
                        else:
                            yield replace(one, seconds=share)
            finally:
                for future in waiting:
                    future.cancel()
        if failed is not None:
            raise failed

    def _ask(self, position: int, request: Request) -> Generation:
        path, payload = self._payload(request)
        one = self._endpoint
        url = f"{one.base_url.rstrip('/')}/{path}"
        start = time.perf_counter()
        call = Call(url, payload, self._key, one.attempt_s, one.retries)
        try:
            reply = post(call, time.monotonic() + one.timeout_s)
        except ServerError as error:
            raise EvaluationError(
                f"{url} gave no answer: {error}",
                "check endpoint.base_url and endpoint.model; what was finished is recorded, and "
                "the same command goes on from there",
            ) from error
        latency = time.perf_counter() - start
        return _read(reply, position, latency, url)

    def _payload(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Path and body of a request."""
        how = request.sampling
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "max_tokens": how.max_tokens,
        }
        if how.seed is not None:
            body["seed"] = how.seed
        if how.top_k != -1:
            body["top_k"] = how.top_k  # vLLM's and SGLang's; others refuse it in words
        if how.stop:
            body["stop"] = list(how.stop)
        if self._renderer is not None:
            return "completions", {**body, "prompt": self._renderer.tokens(request.prompt)}
        if isinstance(request.prompt, str):
            return "completions", {**body, "prompt": request.prompt}
        if self._template_options:
            body["chat_template_kwargs"] = self._template_options
        return "chat/completions", {**body, "messages": request.prompt}


def _read(reply: Mapping[str, Any], position: int, latency: float, url: str) -> Generation:
    """A reply of either kind.

    Raises:
        EvaluationError: it is no completion, or does not say how many tokens it has.
    """
    try:
        choice, usage = reply["choices"][0], reply["usage"]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        tokens, prompt_tokens = int(usage["completion_tokens"]), int(usage["prompt_tokens"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{url} gave no completion with its usage: {str(reply)[:120]}",
            "give the address of an OpenAI-compatible API, up to and with /v1",
        ) from error
    return Generation(
        position=position,
        response=text or "",
        tokens=tokens,
        prompt_tokens=prompt_tokens,
        finish_reason=str(choice.get("finish_reason") or "stop"),
        seconds=0.0,
        latency=latency,
    )
