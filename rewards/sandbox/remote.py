"""A remote back end: programs run by a server that speaks SandboxFusion's protocol.

In: programs, inputs, calls. Out: `Outcome`s, as the local sandbox gives them. One POST to
`/run_code` for each test; expected values never leave this process. Tests that need a process of
their own are refused: such a server would let the program decide them. How well it isolates is the
server's affair.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conf.errors import SandboxError
from rewards.sandbox import plain
from rewards.sandbox.client import Outcome
from rewards.sandbox.limits import MIB, Limits

_MARGIN_S: Final = 20.0  # queueing and start-up at the server
_BUSY: Final = frozenset({429, 502, 503, 504})

# Runs at the server. `plain`'s source comes first, so that both sides encode alike.
_DRIVER: Final = """
import sys as _sys
_request = json.loads(_sys.stdin.read())
_names = {"__name__": "solution"}
_answer = {}
try:
    for _source in _request["sources"]:
        exec(compile(_source, "solution.py", "exec", dont_inherit=True), _names)
    if "expression" in _request:
        _value = eval(_request["expression"], _names)
    elif "name" in _request:
        _target = _names.get(_request["name"])
        if _target is None and hasattr(_names.get("Solution"), _request["name"]):
            _target = getattr(_names["Solution"](), _request["name"])
        if _target is None:
            raise NameError(_request["name"])
        _value = _target(*decode(_request["args"]))
    else:
        _value = None
    _answer["value"] = encode(_value)
except BaseException as _error:
    _answer["error"] = [type(_error).__name__, str(_error)[:500]]
_sys.stdout.write("\\n" + _request["mark"] + json.dumps(_answer) + "\\n")
"""


class RemoteSandbox:
    """Opens sessions at a server."""

    tier = "remote"

    def __init__(self, url: str, slots: int | None = None, tries: int = 3) -> None:
        """Use a server.

        Args:
            url: its address, with or without `/run_code`.
            slots: most requests at once of this process; None is 16.
            tries: how often a busy or silent server is asked.
        """
        self._url = url.rstrip("/").removesuffix("/run_code") + "/run_code"
        self._slots = threading.BoundedSemaphore(slots or 16)
        self._tries = tries

    @contextmanager
    def session(self, source: str, limits: Limits, tests: int = 1) -> Iterator[RemoteSession]:
        """A session with a loaded program; holds a slot."""
        with self._slots:
            yield RemoteSession(self, source, limits)

    def post(self, code: str, stdin: str, limits: Limits) -> dict[str, Any]:
        """Run a program at the server.

        Raises:
            SandboxError: it does not answer, or says that it failed itself.
        """
        body = {
            "code": code,
            "stdin": stdin,
            "language": "python",
            "compile_timeout": limits.wall_s,
            "run_timeout": limits.wall_s,
            "memory_limit_MB": limits.memory_bytes // MIB,
        }
        request = urllib.request.Request(
            self._url,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        said = ""
        for attempt in range(self._tries):
            try:
                with urllib.request.urlopen(request, timeout=limits.wall_s + _MARGIN_S) as answer:
                    reply = json.loads(answer.read(limits.output_bytes * 8 + MIB))
                if isinstance(reply, dict) and reply.get("status") in ("Success", "Failed"):
                    return reply
                said = f"status {str(reply)[:200]}"
            except urllib.error.HTTPError as error:
                said = f"HTTP {error.code}"
                if error.code not in _BUSY:
                    break
            except (OSError, ValueError) as error:
                said = f"{type(error).__name__}: {error}"
            time.sleep(0.5 * 2**attempt if attempt + 1 < self._tries else 0)
        raise SandboxError(f"{self._url}: {said}", fix="check the server, or leave out `remote`")


class RemoteSession:
    """One program at a server; nothing is kept there between requests."""

    def __init__(self, server: RemoteSandbox, source: str, limits: Limits) -> None:
        """Hold the program's source."""
        self._server, self._limits = server, limits
        self._sources = [source]

    def _outcome(self, reply: dict[str, Any]) -> Outcome:
        ran = reply.get("run_result") or {}
        if ran.get("status") == "TimeLimitExceeded":
            return Outcome("timeout")
        output = str(ran.get("stdout") or "").encode(errors="replace")
        if len(output) > self._limits.output_bytes:
            return Outcome("overflow")
        if ran.get("status") not in ("Finished", "Error"):
            raise SandboxError(f"unknown run status {str(ran)[:200]}", fix="check the server")
        status = ran.get("return_code")
        errors = str(ran.get("stderr") or "")[-2000:]
        return Outcome("exit", status=1 if status is None else status, output=output, error=errors)

    def run(self, stdin: bytes) -> Outcome:
        """Run the program on one input."""
        text = stdin.decode(errors="replace")
        return self._outcome(self._server.post(self._sources[0], text, self._limits))

    def _drive(self, fields: dict[str, Any]) -> Outcome:
        mark = secrets.token_hex(16)
        driver = Path(plain.__file__).read_text(encoding="utf-8") + "\nimport json\n" + _DRIVER
        given = json.dumps({"sources": self._sources, "mark": mark, **fields})
        outcome = self._outcome(self._server.post(driver, given, self._limits))
        if outcome.kind != "exit":
            return outcome
        text = outcome.output.decode(errors="replace").rpartition(mark)[2]
        try:
            answer = json.loads(text)
            if "error" in answer:
                return Outcome("error", error=": ".join(map(str, answer["error"][:2])))
            return Outcome("value", value=plain.decode(answer["value"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return Outcome("died", status=outcome.status, error=outcome.error)

    def start(self) -> Outcome:
        """Nothing runs before the first call."""
        return Outcome("value")

    def execute(self, source: str) -> Outcome:
        """Run set-up source after the program, at each call."""
        self._sources.append(source)
        return Outcome("value")

    def call(self, name: str, arguments: list[Any]) -> Outcome:
        """Call a function with plain arguments."""
        return self._drive({"name": name, "args": plain.encode(arguments)})

    def evaluate(self, expression: str) -> Outcome:
        """Evaluate an expression among the program's names."""
        return self._drive({"expression": expression})

    def check(self, test: str, trusted: list[str], remote: list[str]) -> Outcome:
        """Refused; see the module."""
        raise SandboxError(
            "this test cannot be split into a call and an expected value, so a remote server would "
            "let the program decide it",
            fix="use the local sandbox for this data set",
        )
