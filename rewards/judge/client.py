"""A question in JSON over HTTP, with a deadline that nothing outlives, and retries that make sense.

In: a URL, a JSON object to post (None: a GET), a deadline. Out: the reply's JSON object. Waits and
sizes are bounded whatever the server does: one that sends a byte a second, or never stops, meets
the deadline or the size limit. Retried: no connection, time-outs, 408, 409, 425, 429 and 5xx, with
growing waits and the server's `Retry-After`. Not retried: what asking again cannot mend. Follows no
redirect, uses no proxy, reads no environment; a key is sent and never shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

MAX_REPLY: Final = 4_000_000  # bytes
RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
BASE_WAIT_S: Final = 0.5
MAX_WAIT_S: Final = 30.0


class ServerError(RuntimeError):
    """The server did not answer the question.

    Args:
        message: what happened, without secrets.
        again: whether asking again may help.
        retry_after: seconds that the server asked to wait, None if it did not.
    """

    def __init__(self, message: str, *, again: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a server.

    Attributes:
        url: `http://` or `https://`.
        body: the JSON object to post; None: a GET.
        key: bearer token; "" sends none.
        attempt_s: seconds for one attempt.
        retries: attempts after the first.
    """

    url: str
    body: Mapping[str, Any] | None
    key: str = ""
    attempt_s: float = 60.0
    retries: int = 3


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=timeout, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)


def _cut(sock: socket.socket) -> None:
    """Wake whoever reads from a socket; a TLS socket's own method would first take it apart."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _exchange(
    connection: http.client.HTTPConnection,
    path: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send and read; of the reply at most one byte more than is allowed."""
    posted = None if body is None else json.dumps(body).encode()
    connection.request("GET" if body is None else "POST", path, posted, dict(headers))
    reply = connection.getresponse()
    return reply, reply.read(MAX_REPLY + 1)


def _retry_after(reply: http.client.HTTPResponse) -> float | None:
    value = (reply.getheader("Retry-After") or "").strip()
    return float(value) if value.replace(".", "", 1).isdecimal() else None


def _once(call: Call, until: float) -> dict[str, Any]:
    """One attempt."""
    parts = urlsplit(call.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(f"no http URL: {call.url!r}", again=False)
    until = min(until, time.monotonic() + call.attempt_s)
    connection = _connection(parts, max(until - time.monotonic(), 0.001))
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if call.key:
        headers["Authorization"] = f"Bearer {call.key}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    watch: threading.Timer | None = None
    try:
        connection.connect()
        # A socket's time-out starts anew with each byte, and a slow server sends one now and then.
        watch = threading.Timer(max(until - time.monotonic(), 0.0), _cut, [connection.sock])
        watch.daemon = True
        watch.start()
        reply, body = _exchange(connection, path, call.body, headers)
        if time.monotonic() >= until:
            raise TimeoutError("the reply did not end in time")
    except (OSError, http.client.HTTPException) as error:  # a TimeoutError is an OSError
        late = time.monotonic() >= until and not isinstance(error, TimeoutError)
        reason = "the reply did not end in time" if late else f"{type(error).__name__}: {error}"
        raise ServerError(reason, again=True) from error
    finally:
        if watch is not None:
            watch.cancel()
        connection.close()
    if len(body) > MAX_REPLY:
        raise ServerError(f"the reply is longer than {MAX_REPLY} bytes", again=False)
    if reply.status != 200:
        shown = " ".join(body[:300].decode("utf-8", "replace").split())
        if call.key:
            shown = shown.replace(call.key, "…")
        raise ServerError(
            f"HTTP {reply.status}: {shown}",
            again=reply.status in RETRIED,
            retry_after=_retry_after(reply),
        )
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ServerError(f"the reply is no JSON: {body[:80]!r}", again=True) from error
    if not isinstance(found, dict):
        raise ServerError("the reply is no JSON object", again=True)
    return found


def _backoff(call: Call, attempt: int) -> float:
    """A growing wait, spread by the hash of the question so that workers do not move in step."""
    digest = hashlib.sha256(f"{attempt}{json.dumps(call.body, sort_keys=True)}".encode()).digest()
    spread = 0.5 + int.from_bytes(digest[:4], "big") / 2**32
    return min(MAX_WAIT_S, BASE_WAIT_S * 2.0**attempt) * spread


def post(
    call: Call,
    deadline: float,
    *,
    turn: Callable[[float], None] | None = None,
    pause: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Ask, and ask again where that may help.

    Args:
        call: the question.
        deadline: `time.monotonic()` at which to give up, whatever happens.
        turn: called before each attempt; waits for the rate limit, until the deadline.
        pause: called with the seconds that a 429 or 503 asked all to wait.

    Raises:
        ServerError: no answer.
        TimeoutError: `turn` found none before the deadline.
    """
    for attempt in range(call.retries + 1):
        if turn is not None:
            turn(deadline)
        try:
            return _once(call, deadline)
        except ServerError as error:
            if error.retry_after is not None and pause is not None:
                pause(error.retry_after)
            wait = max(_backoff(call, attempt), error.retry_after or 0.0)
            last = attempt == call.retries
            if last or not error.again or time.monotonic() + wait >= deadline:
                raise
            time.sleep(wait)
    raise AssertionError("the loop returns or raises")
