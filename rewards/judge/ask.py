"""Ask an OpenAI-compatible server one question and get an object of the asked form, or abstain.

In: a `Judge` (which server, which limits), messages, and a JSON schema of flat fields. Out: the
object, checked here against the schema whatever the server promised, or an `Abstained` with the
reason. Good answers are cached on disk; the rate limit is shared by all workers of the host. Makes
no verdict of the answer.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from conf.errors import RewardError
from rewards.json_schema import NotJson, read_json, validator
from rewards.judge.cache import DiskCache, key_of
from rewards.judge.client import Call, ServerError, post
from rewards.judge.limit import NoTurn, RateLimit

Mode = Literal["json_schema", "json_object", "none"]
MODES: Final[tuple[str, ...]] = get_args(Mode)


class Abstained(RuntimeError):
    """There is no usable answer; that says nothing of the response judged."""


class BadForm(Abstained):
    """There is an answer, and it is not of the form asked for; another one may be."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A server and how to use it.

    Attributes:
        base_url: up to and without `/chat/completions`, such as `http://host:8000/v1`.
        model: the model's name there.
        key_variable: the environment variable that holds the API key; None: no key is sent.
        timeout_s: seconds for one verdict, waits and retries included.
        attempt_s: seconds for one request.
        retries: requests after the first, where the server fails.
        form_retries: further answers asked for, each with the next seed, where one is not of the
            form asked for.
        per_minute: requests a minute for all workers of this host; None: no limit.
        burst: how many of them may go at once.
        cache_dir: folder of kept answers; None: nothing is kept.
        mode: how the server is told the form: `json_schema` (strict), `json_object`, or `none`.
        max_tokens: of the judge's answer.
        temperature: of the judge's sampling.
        seed: of the judge's sampling.
    """

    base_url: str
    model: str
    key_variable: str | None = None
    timeout_s: float = 120.0
    attempt_s: float = 60.0
    retries: int = 3
    form_retries: int = 1
    per_minute: float | None = None
    burst: int = 8
    cache_dir: str | None = None
    mode: Mode = "json_schema"
    max_tokens: int = 1024
    temperature: float = 0.0
    seed: int = 0
    _limit: list[RateLimit] = field(default_factory=list, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work, before the first sample."""
        if not self.base_url.startswith(("http://", "https://")) or not self.model:
            raise RewardError(
                f"a judge needs an http(s) base_url and a model, got {self.base_url!r}, "
                f"{self.model!r}",
                fix="base_url=http://host:8000/v1 model=NAME",
            )
        if self.mode not in MODES or not (self.timeout_s > 0 and self.attempt_s > 0):
            raise RewardError(
                f"mode={self.mode!r} (of {', '.join(MODES)}), timeout_s and attempt_s above 0",
                fix="mode=json_schema",
            )

    def key(self) -> str:
        """The API key.

        Raises:
            RewardError: the variable is not set.
        """
        if self.key_variable is None:
            return ""
        key = os.environ.get(self.key_variable, "")
        if not key:
            raise RewardError(
                f"the judge's key variable {self.key_variable} is not set",
                fix=f"export {self.key_variable}=… on each worker",
            )
        return key

    def limit(self) -> RateLimit | None:
        """The shared limit, one for each server and user of this host."""
        if self.per_minute is None:
            return None
        if not self._limit:
            folder = Path(tempfile.gettempdir()) / f"temper-judge-{os.getuid()}"
            folder.mkdir(mode=0o700, exist_ok=True)
            if not folder.is_dir() or folder.is_symlink() or folder.stat().st_uid != os.getuid():
                raise RewardError(f"{folder} is no folder of this user's", fix="set TMPDIR")
            name = hashlib.sha256(f"{self.base_url} {self.per_minute}".encode()).hexdigest()[:16]
            self._limit.append(RateLimit(folder / name, self.per_minute, self.burst))
        return self._limit[0]


def _content(reply: Mapping[str, Any]) -> str:
    """The answer's text in a chat completion."""
    try:
        choice = reply["choices"][0]
        content = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise BadForm(f"the reply is no chat completion: {str(reply)[:120]}") from error
    if choice.get("finish_reason") == "length":
        raise BadForm("the answer was cut off: raise max_tokens")
    if not isinstance(content, str):
        raise BadForm(f"the answer holds no text (finish_reason {choice.get('finish_reason')!r})")
    return content


def checked(content: str, schema_text: str) -> dict[str, Any]:
    """The object in an answer, if it is one of the form asked for.

    Raises:
        BadForm: it is not.
    """
    text = content.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].rstrip().removesuffix("```")
    try:
        found = read_json(text)
    except NotJson as error:
        raise BadForm(f"the answer is not the JSON asked for: {content[:80]!r}") from error
    problem = next(validator(schema_text).iter_errors(found), None)
    if problem is not None or not isinstance(found, dict):
        raise BadForm(f"the answer breaks the schema: {problem and problem.message}"[:200])
    return found


def ask(
    judge: Judge,
    messages: Sequence[Mapping[str, str]],
    schema: Mapping[str, Any],
    schema_text: str,
) -> dict[str, Any]:
    """The judge's answer.

    Args:
        judge: the server.
        messages: the conversation.
        schema: the form of the answer.
        schema_text: the same as JSON text.

    Raises:
        Abstained: no answer of that form within the limits.
    """
    body: dict[str, Any] = {
        "model": judge.model,
        "messages": list(messages),
        "max_tokens": judge.max_tokens,
        "temperature": judge.temperature,
        "seed": judge.seed,
    }
    cache = DiskCache(Path(judge.cache_dir)) if judge.cache_dir else None
    key = key_of({**body, "schema": schema})
    kept = cache.get(key) if cache else None
    if kept is not None and isinstance(kept.get("content"), str):
        try:
            return checked(kept["content"], schema_text)
        except BadForm:
            pass  # written by another version: asked again
    if judge.mode == "json_schema":
        strict = {"name": "grade", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": strict}
    elif judge.mode == "json_object":
        body["response_format"] = {"type": "json_object"}
    deadline = time.monotonic() + judge.timeout_s
    for attempt in range(judge.form_retries + 1):
        try:
            content = _content(_posted(judge, {**body, "seed": judge.seed + attempt}, deadline))
            answer = checked(content, schema_text)
        except BadForm:
            if attempt == judge.form_retries:
                raise
            continue
        if cache:
            cache.put(key, {"content": content})
        return answer
    raise AssertionError("the loop returns or raises")


def _posted(judge: Judge, body: Mapping[str, Any], deadline: float) -> dict[str, Any]:
    """The server's reply, in turn.

    Raises:
        Abstained: there is none.
    """
    limit = judge.limit()
    url = judge.base_url.rstrip("/") + "/chat/completions"
    call = Call(url, body, judge.key(), judge.attempt_s, judge.retries)
    try:
        return post(
            call,
            deadline,
            turn=limit.wait if limit else None,
            pause=limit.pause if limit else None,
        )
    except NoTurn as error:
        raise Abstained(f"no turn within {judge.timeout_s:g} s: {error}") from error
    except ServerError as error:
        raise Abstained(f"the judge did not answer: {error}") from error
