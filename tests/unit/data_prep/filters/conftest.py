"""What the filters' tests share: rows of each kind, and a fake server.

In: nothing. Out: fixtures. The fake server answers as an OpenAI-compatible one does, with numbers
that the tests choose.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


class Make:
    """Rows with as little in them as filters need."""

    @staticmethod
    def rl(prompt: str, gold: str | None = "1", id: str = "a", split: str = "train") -> dict:
        return {
            "prompt": [{"role": "user", "content": prompt}],
            "data_source": "test",
            "reward_model": {"style": "rule", "ground_truth": gold},
            "extra_info": {"id": id, "split": split, "index": "0"},
        }

    @staticmethod
    def sft(prompt: str, answer: str, id: str = "a", split: str = "train") -> dict:
        return {
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answer},
            ],
            "extra_info": {"id": id, "split": split},
        }

    @staticmethod
    def pair(chosen: str, rejected: str, prompt: str = "Say it.", id: str = "a") -> dict:
        return {
            "prompt": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
            "extra_info": {"id": id, "split": "train"},
        }


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start a server that answers as a function says; its base URL."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, said = answer(self.path, body)
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
