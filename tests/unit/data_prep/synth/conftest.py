"""A server with OpenAI's routes, in the test's own process, that says what a function tells it."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Says = Callable[[dict[str, Any]], str | tuple[int, dict[str, str]]]


class Stub(http.server.ThreadingHTTPServer):
    """The server.

    Attributes:
        asked: every payload that came, with its path.
        says: text to answer with, or a status and headers to fail with.
        finish: reason that it gives.
        score: of a reward model, asked for by `/classify`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.says: Says = lambda payload: "Nothing."
        self.finish = "stop"
        self.score: Callable[[dict[str, Any]], float] = lambda payload: 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Stub

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append((self.path, payload))
        said = "" if self.path == "/classify" else self.server.says(payload)
        headers: dict[str, str] = {}
        status, body = 200, dict[str, Any]()
        if isinstance(said, tuple):
            status, headers = said
        else:
            choice: dict[str, Any] = {"index": 0, "finish_reason": self.server.finish}
            if self.path == "/classify":
                return self._send(200, {}, {"data": [{"probs": [self.server.score(payload)]}]})
            if self.path.endswith("/chat/completions"):
                choice["message"] = {"role": "assistant", "content": said}
            else:
                choice["text"] = said
            body = {"choices": [choice]}
        self._send(status, headers, body)

    def _send(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server that is gone after the test."""
    server = Stub()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
