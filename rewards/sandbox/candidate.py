"""The process that runs the model's code, already confined: a whole program, or calls into one.

In: source text; for calls, requests on the channel. Out: the program's own output and exit code;
for calls, replies of plain values that echo the request's nonce. Nothing here is to be trusted
once the source has run: it may patch, read or replace all of it, and gains nothing, since no
expected value was ever in this process and every reply is only data that is compared elsewhere.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import json
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any, Final, NoReturn

from . import plain, wire
from .confine import CHANNEL

REQUEST_CAP: Final = 64 * 2**20
_OWN: Final = __name__.rpartition(".")[0]


def preset(path: list[str]) -> None:
    """What each program finds, made once in the server: streams on 0-2, import path, no harness.

    The streams are made on a file and two pipes, as programs have them, so that what Python
    remembers of them (seekable or not) is right.
    """
    given = os.memfd_create("stdin")
    out, end = os.pipe()
    kept = [os.dup(fd) for fd in range(3)]
    for target, fd in enumerate((given, end, end)):
        os.dup2(fd, target)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we do
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))
    for target, fd in enumerate(kept):
        os.dup2(fd, target)
    for fd in (given, out, end, *kept):
        os.close(fd)
    sys.path[:] = path
    sys.argv[:] = ["solution.py"]
    for name in [n for n in sys.modules if n == _OWN or n.startswith(f"{_OWN}.")]:
        del sys.modules[name]


def prepare() -> None:
    """The same draws of `random` for the same program: a verdict can be repeated."""
    random.seed(0)
    gc.enable()


def _module(name: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    sys.modules[name] = module
    return module.__dict__


def _run(source: str, name: str, namespace: dict[str, Any]) -> None:
    exec(compile(source, name, "exec", dont_inherit=True), namespace)  # confined by now


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def run_program(source: str) -> NoReturn:
    """Run a program as `python solution.py` would, then leave the process."""
    status = 0
    try:
        _run(source, "solution.py", _module("__main__"))
    except SystemExit as error:
        status = _exit_code(error.code)
    except BaseException:  # as the interpreter does at its top level
        traceback.print_exc()
        status = 1
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        status = status or 120  # what the interpreter exits with when a flush fails
    os._exit(status)


class _Calls:
    """The loaded program's names, and the objects that the tests hold handles of."""

    def __init__(self) -> None:
        self.names = _module("solution")
        self.kept: list[object] = []

    def keep(self, value: object) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def local(self, value: Any) -> Any:
        """A decoded argument with handles replaced by what they name."""
        if isinstance(value, plain.Handle):
            return self.kept[value.number]
        if isinstance(value, list):
            return [self.local(item) for item in value]
        if isinstance(value, tuple):
            return tuple(self.local(item) for item in value)
        if isinstance(value, dict):
            return {key: self.local(item) for key, item in value.items()}
        return value

    def target(self, name: str) -> Callable[..., Any]:
        """A function by name; else the method of a fresh `Solution`."""
        if name in self.names:
            return self.names[name]  # type: ignore[no-any-return]
        solution = self.names.get("Solution")
        if solution is not None and hasattr(solution, name):
            return getattr(solution(), name)  # type: ignore[no-any-return]
        raise NameError(f"name {name!r} is not defined")

    def describe(self, name: str) -> object:
        """What a name is: absent, a module, or the thing itself."""
        if name not in self.names:
            return ("absent", "")
        value = self.names[name]
        if isinstance(value, types.ModuleType):
            return ("module", value.__name__)
        return ("value", value)

    def answer(self, head: dict[str, Any]) -> object:
        """Do what one request asks."""
        do = head["do"]
        if do == "describe":
            return self.describe(head["name"])
        if do == "exec":
            _run(head["source"], "setup.py", self.names)
            return None
        if do == "eval":
            code = compile(head["source"], "test.py", "eval", dont_inherit=True)
            return eval(code, self.names)
        positional, named = (self.local(plain.decode(head[key])) for key in ("args", "kwargs"))
        if do == "call":
            return self.target(head["name"])(*positional, **named)
        held = self.kept[head["number"]]
        if do == "call_held":
            return held(*positional, **named)  # type: ignore[operator]
        operations: dict[str, Callable[..., object]] = {
            "getattr": getattr,
            "iter": iter,
            "next": next,
            "len": len,
            "getitem": lambda thing, key: thing[key],
            "repr": repr,
            "str": str,
        }
        return operations[do](held, *positional)

    def reply(self, head: dict[str, Any]) -> bytes:
        """The reply to one request: a value, or the error's name and text."""
        answer: dict[str, Any] = {"nonce": head["nonce"]}
        try:
            value = self.answer(head)
            answer["value"] = plain.encode(value, self.keep)
            return json.dumps(answer).encode()
        except BaseException as error:  # whatever the model's code raised is its answer
            answer.pop("value", None)
            answer["error"] = [type(error).__name__[:80], _text(error)]
            return json.dumps(answer).encode()


def _text(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except BaseException as second:
        return f"{type(second).__name__} in __str__"


def serve_calls(source: str, nonce: str) -> NoReturn:
    """Load a program, say how that went, then answer requests until the channel closes."""
    calls = _Calls()
    first: dict[str, Any] = {"nonce": nonce, "value": None}
    try:
        _run(source, "solution.py", calls.names)
    except BaseException as error:  # a SystemExit while loading is an error like any other
        first["error"] = [type(error).__name__[:80], _text(error)]
    text = json.dumps(first).encode()
    try:
        while True:
            wire.write_all(CHANNEL, len(text).to_bytes(4, "big") + bytes(4) + text)
            text = calls.reply(wire.read(CHANNEL, REQUEST_CAP).head)
    finally:
        os._exit(0)
