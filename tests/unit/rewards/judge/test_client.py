"""The judge's HTTP client against a real server that misbehaves.

1. What asking again may mend is asked again, within the deadline; what cannot is not.
2. Nothing outlives the deadline: silence, a byte at a time in header or body, a closed port.
3. A reply of any size or kind is bounded and read as JSON or refused.
4. The key is sent, and never shown.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from rewards.judge.client import Call, ServerError, post


def ask(url: str, seconds: float = 30.0, **call: Any) -> dict[str, Any]:
    return post(Call(url, {"a": 1}, **call), time.monotonic() + seconds)


def good(request: Any) -> None:
    request.reply(200, b'{"b": 2}')


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_asked_again(server: Any, failure: Callable[..., Any], status: int) -> None:
    server.script = [failure(status), failure(status), good]
    assert ask(server.url) == {"b": 2}
    assert [request["body"] for request in server.requests] == [{"a": 1}] * 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
def test_not_asked_again(server: Any, failure: Callable[..., Any], status: int) -> None:
    server.script = [failure(status, "no such model", Location="http://127.0.0.1:1/"), good]
    with pytest.raises(ServerError, match=f"HTTP {status}: no such model"):
        ask(server.url)
    assert len(server.requests) == 1


def test_gives_up_after_its_retries(server: Any, failure: Callable[..., Any]) -> None:
    server.script = [failure(500)]
    with pytest.raises(ServerError, match="HTTP 500"):
        ask(server.url, retries=2)
    assert len(server.requests) == 3


def test_waits_as_long_as_the_server_asks(server: Any, failure: Callable[..., Any]) -> None:
    server.script = [failure(429, Retry_After="0.3"), good]
    pauses: list[float] = []
    post(Call(server.url, {}), time.monotonic() + 30, pause=pauses.append)
    assert pauses == [0.3]
    assert server.requests[1]["at"] - server.requests[0]["at"] >= 0.3


def test_does_not_wait_past_the_deadline(server: Any, failure: Callable[..., Any]) -> None:
    server.script = [failure(429, Retry_After="60")]
    begun = time.monotonic()
    with pytest.raises(ServerError, match="HTTP 429"):
        ask(server.url, 20.0)
    assert time.monotonic() - begun < 20


SLOW_S = 30.0  # how long a slow server goes on; only a client without a deadline sees its end
STEP_S = 0.05


def silent(request: Any) -> None:
    time.sleep(SLOW_S)


def slow_body(request: Any) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "10000")
    request.end_headers()
    for _ in range(int(SLOW_S / STEP_S)):
        request.wfile.write(b" ")
        time.sleep(STEP_S)


def slow_header(request: Any) -> None:
    for char in b"HTTP/1.1 200 OK\r\nX: " + b"x" * int(SLOW_S / STEP_S):
        request.wfile.write(bytes([char]))
        time.sleep(STEP_S)


@pytest.mark.parametrize("behaviour", [silent, slow_body, slow_header])
def test_a_slow_server_meets_the_deadline(server: Any, behaviour: Callable[[Any], None]) -> None:
    server.script = [behaviour]
    begun = time.monotonic()
    with pytest.raises(ServerError, match=r"in time|TimeoutError"):
        ask(server.url, 0.4, retries=5)
    assert 0.3 < time.monotonic() - begun < SLOW_S / 2


def test_an_attempt_has_a_limit_of_its_own(server: Any) -> None:
    server.script = [silent, good]
    assert ask(server.url, attempt_s=1.5) == {"b": 2}


def test_a_closed_port_and_a_hang_up() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen: nobody else can take the port
        with pytest.raises(ServerError, match="Refused"):
            ask(f"http://127.0.0.1:{closed.getsockname()[1]}/v1", retries=1)


def test_a_reply_that_stops_short_is_asked_for_again(server: Any) -> None:
    def short(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b'{"b":')

    server.script = [short, good]
    assert ask(server.url) == {"b": 2}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100000, "no JSON"),
    ],
)
def test_what_is_no_json_object(server: Any, data: bytes, said: str) -> None:
    server.script = [lambda request: request.reply(200, data)]
    with pytest.raises(ServerError, match=said):
        ask(server.url, retries=0)


def test_a_reply_without_end_is_cut(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.judge.client.MAX_REPLY", 10_000)

    def endless(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 1000)

    server.script = [endless]
    with pytest.raises(ServerError, match="longer than"):
        ask(server.url, retries=0)


def test_the_key_is_sent_and_never_shown(server: Any) -> None:
    key = "sk-very-secret"
    server.script = [lambda request: request.reply(401, f"bad key {key}".encode())]
    with pytest.raises(ServerError) as caught:
        ask(server.url, key=key)
    assert server.requests[0]["key"] == f"Bearer {key}"
    assert key not in str(caught.value)
    assert "bad key …" in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "nothing", "http://"])
def test_only_http(url: str) -> None:
    with pytest.raises(ServerError, match="no http URL"):
        ask(url)


def test_a_body_that_is_not_ascii_arrives_whole(server: Any) -> None:
    server.script = [good]
    post(Call(server.url, {"a": "日本 \ud800"}), time.monotonic() + 5)
    assert server.requests[0]["body"] == json.loads('{"a": "日本 \\ud800"}')
