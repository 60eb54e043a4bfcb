"""Turn `path/to/file.py:function` or `package.module:function` into a function, or say why not.

In: where a function is and what it was asked for as. Out: the function. What does not load is a
`RewardError` that names file and line and the nearest name. A file is imported once per process,
by its resolved path. Knows no names of rewards and calls nothing.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from conf.errors import RewardError

FORMS: Final = "a name, path/to/file.py:function, or package.module:function"
_load_lock = threading.RLock()
_file_modules: dict[Path, ModuleType] = {}


def place(error: BaseException, otherwise: str) -> str:
    """`file:line` where an error arose."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours = {__file__, str(Path(__file__).with_name("registry.py"))}
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if f.filename not in ours and not f.filename.startswith("<frozen")]
    return f"{outside[-1].filename}:{outside[-1].lineno}" if outside else otherwise


def nearest(name: str, known: Iterable[str]) -> str:
    """The way out when `name` is none of `known`."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(known)}" if known else f"give {FORMS}"


def defined(function: Callable[..., Any]) -> str:
    """`file:line` of a function's definition."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def _file_module(path: Path) -> ModuleType:
    """Import a Python file once per process, by its resolved path."""
    with _load_lock:
        if path in _file_modules:
            return _file_modules[path]
        name = f"temper_user_{path.stem}_{len(_file_modules)}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look it up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        _file_modules[path] = module
        return module


def _module(where: str, spec: str) -> ModuleType:
    """The module that a spec's left side names.

    Raises:
        RewardError: no such file or module, or it fails while it is imported.
    """
    is_file = where.endswith(".py") or "/" in where
    path = Path(where).expanduser()
    if is_file and not path.is_file():
        siblings = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise RewardError(
            f"reward {spec!r}: no file {where!r} (from {Path.cwd()})",
            fix=nearest(path.name, siblings) if siblings else "check the path",
        )
    try:
        return _file_module(path.resolve()) if is_file else importlib.import_module(where)
    except (Exception, SystemExit) as error:
        raise RewardError(
            f"reward {spec!r} does not import: {type(error).__name__}: {error} "
            f"({place(error, where)})",
            fix="mend that line, or install what it imports",
        ) from error


def load_function(target: str, spec: str) -> Callable[..., Any]:
    """Load a plain function.

    Args:
        target: `path/to/file.py:function` or `package.module:function`.
        spec: what the user called it, for messages.

    Raises:
        RewardError: it does not import, there is no such function, or it is no plain one.
    """
    where, _, name = target.rpartition(":")
    module = _module(where, spec)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function) or isinstance(function, type):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and not key.startswith("_")
        ]
        raise RewardError(
            f"reward {spec!r}: {module.__file__} has no function {name!r}", fix=nearest(name, own)
        )
    return function
