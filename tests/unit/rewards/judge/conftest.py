"""A real HTTP server on loopback that answers as the test tells it to, request by request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Handler = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; `body` is its JSON."""

    server: StubServer
    body: Any = None

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.body = json.loads(self.rfile.read(length))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(
                {"path": self.path, "body": self.body, "at": time.monotonic()}
                | {"key": self.headers.get("Authorization")}
            )
        script = self.server.script
        script[min(number, len(script) - 1)](self)

    def reply(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


class StubServer(ThreadingHTTPServer):
    """What was asked, and what is answered: one step a request, the last one for all further."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.requests: list[dict[str, Any]] = []
        self.script: list[Handler] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what several tests are about."""


def says(content: Any, finish: str = "stop") -> Handler:
    """A chat completion with this content; a mapping is written as JSON."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    data = json.dumps({"choices": [{**choice, "finish_reason": finish}]}).encode()
    return lambda request: request.reply(200, data)


def fails(status: int, text: str = "{}", **headers: str) -> Handler:
    """An HTTP error."""
    return lambda request: request.reply(status, text.encode(), **headers)


@pytest.fixture
def server() -> Iterator[StubServer]:
    stub = StubServer()
    thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield stub
    stub.shutdown()
    stub.server_close()
    thread.join()


@pytest.fixture
def answer() -> Callable[..., Handler]:
    return says


@pytest.fixture
def failure() -> Callable[..., Handler]:
    return fails


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Short waits between attempts, and a limit's file of this test's own."""
    monkeypatch.setattr("rewards.judge.client.BASE_WAIT_S", 0.01)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
