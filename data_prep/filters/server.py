"""A small client of an OpenAI-compatible server: log-probs of a text, embeddings of texts.

In: a base URL and a model's name. Out: numbers. Retries what may pass (busy, restarting), and says
in one line what does not. Generation is `data_prep.synthesize`'s; no key is ever written anywhere.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

from conf.errors import DataError

RETRIES: Final = 4
BUSY: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class Server:
    """One server.

    Args:
        url: up to and with `/v1`.
        model: as the server names it.
        timeout: seconds for one request.
        key_variable: environment variable that holds the key, where the server wants one.
        pause: seconds before the first retry; doubled each time.
    """

    def __init__(
        self,
        url: str,
        model: str,
        timeout: float = 120.0,
        key_variable: str = "OPENAI_API_KEY",
        pause: float = 0.5,
    ) -> None:
        self.url, self.model, self._timeout, self._pause = url.rstrip("/"), model, timeout, pause
        self._key = os.environ.get(key_variable, "")

    def post(self, path: str, payload: dict[str, Any]) -> Any:
        """The JSON answer.

        Raises:
            DataError: the server does not answer, or refuses.
        """
        request = urllib.request.Request(
            f"{self.url}/{path}",
            data=json.dumps({"model": self.model, **payload}).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            },
        )
        said = ""
        for attempt in range(RETRIES):
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                said = f"{error.code}: {error.read(300).decode(errors='replace').strip()}"
                if error.code not in BUSY:
                    break
            except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
                said = str(getattr(error, "reason", error))
        raise DataError(
            f"{self.url}/{path} does not answer ({said})",
            fix="start the server, or correct its URL and model",
        )

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
