"""A small client of an OpenAI-compatible server: log-probs of a text, embeddings of texts.

In: a base URL and a model's name. Out: numbers, or one line on why there are none. Deadlines and
retries are those of `rewards.judge.client`. Generation is `data_prep.synth.server`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

from conf.errors import DataError
from rewards.judge.client import Call, ServerError, post

KEY_VARIABLE: Final = "OPENAI_API_KEY"
ATTEMPT_S: Final = 120.0
RETRIES: Final = 3


class Server:
    """One server.

    Args:
        url: up to and with `/v1`.
        model: as the server names it.
    """

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model = url.rstrip("/"), model
        self._key = os.environ.get(KEY_VARIABLE, "")

    def post(self, path: str, payload: dict[str, Any]) -> Any:
        """The JSON answer.

        Raises:
            DataError: the server does not answer, or refuses.
        """
        body = {"model": self.model, **payload}
        call = Call(f"{self.url}/{path}", body, self._key, ATTEMPT_S, RETRIES)
        try:
            return post(call, time.monotonic() + ATTEMPT_S * (RETRIES + 1))
        except ServerError as error:
            raise DataError(
                f"{self.url}/{path} does not answer ({error})",
                fix="start the server, or correct its URL and model",
            ) from error

    def token_logprobs(self, text: str) -> list[float]:
        """Log-probs of a text's tokens but the first, whose probability no model gives."""
        answer = self.post(
            "completions",
            {"prompt": text, "max_tokens": 1, "echo": True, "logprobs": 0, "temperature": 0},
        )
        try:
            found = answer["choices"][0]["logprobs"]
            values, offsets = found["token_logprobs"], found.get("text_offset")
            if offsets:  # the one token that had to be generated lies beyond the text
                values = [v for v, at in zip(values, offsets, strict=True) if at < len(text)]
            else:
                values = values[:-1]
        except (KeyError, TypeError, IndexError) as error:
            raise DataError(
                f"{self.url}/completions gives no log-probs of the prompt",
                fix="use a server that supports echo with logprobs (vLLM does)",
            ) from error
        return [float(value) for value in values if value is not None]

    def embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order."""
        answer = self.post("embeddings", {"input": list(texts)})
        try:
            data = sorted(answer["data"], key=lambda one: one["index"])
            vectors = [[float(value) for value in one["embedding"]] for one in data]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self.url}/embeddings gives no embeddings") from error
        if len(vectors) != len(texts):
            raise DataError(f"{self.url}: {len(vectors)} embeddings for {len(texts)} texts")
        return vectors
