"""The process that runs the tests of a data set against a program in another process.

In: trusted test source, and a line to the confined process that holds the model's program. Out:
one verdict on a channel which that process does not have. Names that the tests use and do not
define become stand-ins: calling one sends plain values over the line and returns plain values, so
that `==` here is always the built-in one. Objects that are not plain stay there and equal nothing.
The tests are confined as the program is: a data set's code is not vouched for either.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

from . import plain, wire

LINE: Final = 4  # descriptor of the line to the program's process
REPLY_CAP: Final = 16 * 2**20


class RemoteError(Exception):
    """The program failed in a way that tests cannot expect."""


class Gone(RemoteError):
    """The program's process has ended: by itself, or by a limit, which the session then knows."""


class Unsupported(Exception):
    """The test hands over something that cannot cross, such as a function."""


def _outgoing(value: object) -> int:
    if isinstance(value, Remote) and value._number >= 0:
        return value._number
    raise Unsupported(f"a test passes a {type(value).__name__} to the program")


def ask(do: str, **fields: Any) -> Any:
    """Send one request, return its plain answer, or raise what the program raised."""
    nonce = os.urandom(8).hex()
    wire.write(LINE, {"nonce": nonce, "do": do, **fields})
    try:
        head = wire.read(LINE, REPLY_CAP).head
    except (wire.Closed, wire.BadFrame) as error:
        raise Gone(f"the program's process is gone ({error or 'closed'})") from None
    if head.get("nonce") != nonce:
        raise RemoteError("a reply to no request")
    if "error" in head:
        name, text = (str(part) for part in head["error"])
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            raise kind(text)
        raise RemoteError(f"{name}: {text}")
    try:
        value = plain.decode(head.get("value"))
    except plain.NotPlain as error:
        raise RemoteError(str(error)) from None
    return _incoming(value)


def _incoming(value: Any) -> Any:
    """A decoded answer with handles as stand-ins."""
    if isinstance(value, plain.Handle):
        return Remote(value.number, "", value.kind)
    if type(value) in (list, tuple):
        return type(value)(_incoming(item) for item in value)
    if type(value) is dict:
        return {key: _incoming(item) for key, item in value.items()}
    return value


class Remote:
    """A stand-in for a function, class or object of the program."""

    __slots__ = ("_kind", "_name", "_number")

    def __init__(self, number: int, name: str, kind: str) -> None:
        """Name it: by its number among kept objects, or by a global name."""
        self._number, self._name, self._kind = number, name, kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what it stands for, with plain values."""
        packed = {
            "args": plain.encode(args, _outgoing),
            "kwargs": plain.encode(kwargs, _outgoing),
        }
        if self._name:
            return ask("call", name=self._name, **packed)
        return ask("call_held", number=self._number, **packed)

    def _do(self, do: str, *args: Any) -> Any:
        packed = {"args": plain.encode(args, _outgoing), "kwargs": plain.encode({})}
        return ask(do, number=self._number, **packed)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._do("getattr", name)

    def __getitem__(self, key: Any) -> Any:
        return self._do("getitem", key)

    def __len__(self) -> int:
        size = self._do("len")
        return size if type(size) is int else -1

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        own = self._do("iter")
        return own if isinstance(own, Remote) else iter(())

    def __next__(self) -> Any:
        return self._do("next")

    def __str__(self) -> str:
        return str(self._do("str"))

    def __repr__(self) -> str:
        return f"<{self._kind} of the program>"


def _wanted(tree: ast.AST, own: dict[str, Any]) -> set[str]:
    """Names that the tests use and nobody on this side defines."""
    used: set[str] = set()
    made: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return {name for name in used - made if name not in own and not hasattr(builtins, name)}


def _stand_in(name: str, own: dict[str, Any]) -> None:
    kind, value = ask("describe", name=name)
    if kind == "absent" and name in sys.stdlib_module_names:
        own[name] = importlib.import_module(name)  # a data set may forget an import
    elif kind == "module":
        if str(value).partition(".")[0] in sys.stdlib_module_names:
            own[name] = importlib.import_module(str(value))
    elif kind == "value":
        own[name] = Remote(-1, name, "function") if isinstance(value, Remote) else value
        if isinstance(value, Remote):
            own[name]._number = value._number


def check(trusted: list[str], remote: list[str], test: str) -> dict[str, Any]:
    """Run one test.

    Args:
        trusted: source of the data set that the test needs (imports, set-up, the prompt's
            helpers); a piece that needs the program's own names is left out, since the program's
            process has run it.
        remote: names that are the program's, whatever `trusted` defines.
        test: the test's source; it passes when it ends without an exception.

    Returns:
        `passed`, and `error` as one line, `fault` as `test` when the test itself is to blame, and
        `gone` when the program's process had ended.
    """
    own: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    try:
        code = compile(test, "test.py", "exec", dont_inherit=True)
        tree = ast.parse(test)
    except (SyntaxError, ValueError, RecursionError) as error:
        return {"passed": False, "error": f"test does not compile: {error}", "fault": "test"}
    try:
        for piece in trusted:
            try:
                exec(compile(piece, "given.py", "exec", dont_inherit=True), own)
            except (NameError, SyntaxError):
                continue
        for name in remote:
            own.pop(name, None)
        for name in sorted(_wanted(tree, own) | set(remote)):
            _stand_in(name, own)
        exec(code, own)
    except Unsupported as error:
        return {"passed": False, "error": str(error), "fault": "test"}
    except Gone as error:
        return {"passed": False, "error": str(error), "gone": True}
    except BaseException as error:  # an assertion, the program's error, an exit: not passed
        return {"passed": False, "error": f"{type(error).__name__}: {error}"[:500]}
    return {"passed": True, "error": ""}
