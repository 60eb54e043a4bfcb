"""Ask an OpenAI-compatible server for texts, many at a time, and keep what it said.

In: a server's description; requests in order. Out: their answers in that order. Each answer is kept
under the hash of its payload, so a synthesis that is cut off goes on where it was, and one that is
repeated asks nothing. Deadlines, retries, the rate limit that all processes of the host share, and
the store are those of `rewards.judge`. A request that fails for good is an answer without text,
counted; many of them in a row are an error, and what was answered before is kept.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from conf.errors import ConfigError, DataError
from rewards.judge.cache import DiskCache, key_of
from rewards.judge.client import Call, ServerError, post
from rewards.judge.limit import NoTurn, RateLimit

GIVE_UP: Final = 20  # failures in a row


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request.

    Attributes:
        text: of the model; "" if there is none.
        problem: why not; "" if there is.
        kept: whether it was there from before.
    """

    text: str
    problem: str = ""
    kept: bool = False


class Server(BaseModel):
    """A server and how to use it.

    Attributes:
        base_url: up to and with `/v1`.
        model: as the server names it.
        key_variable: environment variable that holds the key; None: no key is sent.
        cache: folder of kept answers; None: `OUT-work/answers`.
        per_minute: requests a minute, for all processes of this host; None: no limit.
        burst: how many of them may go at once.
        parallel: requests under way at a time.
        timeout_s: seconds for one answer, waits and retries included.
        attempt_s: seconds for one request.
        retries: requests after the first.
        max_tokens: of an answer.
        temperature: of the sampling.
        top_p: of the sampling.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    base_url: str = Field(pattern=r"^https?://")
    model: str = Field(min_length=1)
    key_variable: str | None = None
    cache: Path | None = None
    per_minute: float | None = Field(default=None, gt=0)
    burst: int = Field(default=8, ge=1)
    parallel: int = Field(default=16, ge=1, le=512)
    timeout_s: float = Field(default=600.0, gt=0)
    attempt_s: float = Field(default=300.0, gt=0)
    retries: int = Field(default=4, ge=0)
    max_tokens: int = Field(default=2048, ge=1)
    temperature: float = Field(default=0.8, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    _failed: int = PrivateAttr(default=0)
    _answered: int = PrivateAttr(default=0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

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
                f"the server's key variable {self.key_variable} is not set",
                fix=f"export {self.key_variable}=…",
            )
        return found

    def limit(self) -> RateLimit | None:
        """The limit that this host's processes share for this server."""
        if self.per_minute is None:
            return None
        folder = Path(tempfile.gettempdir()) / f"temper-synthesis-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise ConfigError(f"{folder} is no folder of this user's", fix="set TMPDIR")
        name = hashlib.sha256(f"{self.base_url} {self.per_minute}".encode()).hexdigest()[:16]
        return RateLimit(folder / name, self.per_minute, self.burst)

    def chat(self, messages: Sequence[Mapping[str, Any]], seed: int, **more: Any) -> dict[str, Any]:
        """The payload that asks for the next turn of a chat."""
        return {**self._sampling(seed), "messages": [dict(one) for one in messages], **more}

    def completion(self, prompt: str, seed: int, **more: Any) -> dict[str, Any]:
        """The payload that asks how a text goes on."""
        return {**self._sampling(seed), "prompt": prompt, **more}

    def _sampling(self, seed: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": seed % 2**31,
        }

    def ask(self, payload: Mapping[str, Any]) -> Answer:
        """One answer, kept or new.

        Raises:
            DataError: the server failed `GIVE_UP` times in a row, or refuses the first request.
        """
        cache = DiskCache(self.cache) if self.cache else None
        key = key_of({"base_url": self.base_url, **payload})
        kept = cache.get(key) if cache else None
        if kept is not None and isinstance(kept.get("text"), str):
            return Answer(kept["text"], str(kept.get("problem", "")), kept=True)
        if self._failed >= GIVE_UP:
            raise DataError(
                f"{self.base_url} failed {self._failed} times in a row, after {self._answered} "
                "answers",
                fix="run again when it is back: what was answered is kept",
            )
        limit = self.limit()
        path = "chat/completions" if "messages" in payload else "completions"
        url = f"{self.base_url.rstrip('/')}/{path}"
        call = Call(url, payload, self.key(), self.attempt_s, self.retries)
        try:
            reply = post(
                call,
                time.monotonic() + self.timeout_s,
                turn=limit.wait if limit else None,
                pause=limit.pause if limit else None,
            )
        except (ServerError, NoTurn) as error:
            with self._lock:
                self._failed += 1
            if isinstance(error, ServerError) and not error.again and not self._answered:
                raise DataError(
                    f"{url} refuses: {error}", fix="check server.base_url and server.model"
                ) from error
            return Answer("", f"server: {error}")
        with self._lock:
            self._answered += 1
            self._failed = 0
        answer = _read(reply)
        if cache:  # a cut answer is kept too: the same payload would be cut again
            cache.put(key, {"text": answer.text, "problem": answer.problem})
        return answer

    def ask_all(self, payloads: Iterable[Mapping[str, Any]]) -> Iterator[Answer]:
        """Answers in the order of their requests, `parallel` of them under way."""
        waiting: list[Future[Answer]] = []
        with ThreadPoolExecutor(self.parallel) as pool:
            try:
                for payload in payloads:
                    waiting.append(pool.submit(self.ask, payload))
                    if len(waiting) >= 2 * self.parallel:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                for future in waiting:
                    future.cancel()


def _read(reply: Mapping[str, Any]) -> Answer:
    """The text in a reply of either kind."""
    try:
        choice = reply["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (KeyError, IndexError, TypeError):
        return Answer("", f"no completion: {str(reply)[:80]}")
    if not isinstance(text, str) or not text.strip():
        return Answer("", "empty")
    if choice.get("finish_reason") == "length":
        return Answer(text, "cut")
    return Answer(text)


def seed_of(seed: int, *parts: object) -> int:
    """A seed for one request, the same for the same request, others for others."""
    text = "\0".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
