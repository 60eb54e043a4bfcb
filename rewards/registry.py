"""Find a reward by name, file or import path, and call it safely.

In: a spec, `math`, `path/to/file.py:function` or `package.module:function`, and its options. Out:
a `Reward` whose `judge` always returns a `Verdict`: whatever the function raises or returns that
is no score becomes `verifier_error`, never a 0. A plain function `(response, gold)`, with as many
of the row's fields by name as it likes (or `**row`), that returns a float or a `Verdict` is
enough. Loading fails with a `RewardError` that names file and line.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import math
import numbers
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from conf.errors import RewardError
from rewards.verdict import Verdict, verifier_error

BUILT_IN: Final[Mapping[str, str]] = {
    "math": "rewards.math:grade_math",
    "exact": "rewards.exact:grade_exact",
    "code": "rewards.code.grade:grade_code",
    "constant": "rewards.control:grade_constant",
    "random": "rewards.control:grade_random",
}
FORMS: Final = "a name, path/to/file.py:function, or package.module:function"
_load_lock = threading.RLock()
_file_modules: dict[Path, ModuleType] = {}


@dataclass(frozen=True, slots=True)
class Reward:
    """A loaded reward with its options bound.

    Attributes:
        spec: what it was loaded by.
        function: the grader.
        options: keyword arguments of each call, from the configuration.
        row_names: fields of the row that the function names; None when it takes `**row`.
        where: `file:line` of its definition.
    """

    spec: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    row_names: frozenset[str] | None
    where: str

    def judge(self, response: str, gold: Any, row: Mapping[str, Any] | None = None) -> Verdict:
        """Judge one response; what goes wrong inside is a `verifier_error`, with the place.

        Args:
            response: the model's text.
            gold: the row's ground truth.
            row: the row's other fields by name (`data_source`, and those of `extra_info`).
        """
        fields = {
            name: value
            for name, value in (row or {}).items()
            if name not in self.options
            and name not in {"response", "gold"}
            and (self.row_names is None or name in self.row_names)
        }
        try:
            result = self.function(response, gold, **fields, **self.options)
            return _verdict(result)
        except Exception as error:  # a user's code may raise anything; none of it is a score
            return verifier_error(
                f"{self.spec} raised {type(error).__name__}: {error} ({_place(error, self.where)})"
            )


def _verdict(result: object) -> Verdict:
    """A `Verdict` as it is; a finite number as score, right from 1 upwards."""
    if isinstance(result, Verdict):
        return result
    if isinstance(result, numbers.Real):  # bool and numpy's scalars too
        score = float(result)
        if math.isfinite(score):
            right = score >= 1.0
            return Verdict(score, float(right), "correct" if right else "wrong")
    raise TypeError(f"a reward returns a finite number or a Verdict, got {result!r}")


def _place(error: BaseException, otherwise: str) -> str:
    """`file:line` where the error arose."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if f.filename != __file__ and not f.filename.startswith("<frozen")]
    return f"{outside[-1].filename}:{outside[-1].lineno}" if outside else otherwise


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there is: {', '.join(known)}" if known else f"give {FORMS}"


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
            fix=_nearest(path.name, siblings) if siblings else "check the path",
        )
    try:
        return _file_module(path.resolve()) if is_file else importlib.import_module(where)
    except Exception as error:
        raise RewardError(
            f"reward {spec!r} does not import: {type(error).__name__}: {error} "
            f"({_place(error, where)})",
            fix="mend that line, or install what it imports",
        ) from error


def _function(spec: str) -> Callable[..., Any]:
    """The function that a spec names."""
    target = BUILT_IN.get(spec, spec)
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise RewardError(
            f"no reward named {spec!r}",
            fix=f"{_nearest(spec, BUILT_IN)} ({FORMS})",
        )
    module = _module(where, spec)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function) or isinstance(function, type):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and not key.startswith("_")
        ]
        raise RewardError(
            f"reward {spec!r}: {module.__file__} has no function {name!r}", fix=_nearest(name, own)
        )
    if inspect.iscoroutinefunction(function):
        raise RewardError(
            f"reward {spec!r} is async ({_defined(function)})",
            fix="write it as a plain function: each call already has a thread of its own",
        )
    return function


def _defined(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def load_reward(spec: str, options: Mapping[str, Any] | None = None) -> Reward:
    """Load a reward and check that it can be called.

    Args:
        spec: a name of `BUILT_IN`, `path/to/file.py:function` or `package.module:function`.
        options: keyword arguments for each call.

    Raises:
        RewardError: the spec names nothing, its file does not import, the function does not take
            `(response, gold)`, or an option is not one of its parameters.
    """
    if not isinstance(spec, str) or not spec:
        raise RewardError(f"a reward must be a string, got {spec!r}", fix=f"give {FORMS}")
    function = _function(spec)
    options = dict(options or {})
    parameters = list(inspect.signature(function).parameters.values())
    kinds = inspect.Parameter
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    named -= {p.name for p in positional[:2]}
    if len(positional) < 2 and not any(p.kind is kinds.VAR_POSITIONAL for p in parameters):
        raise RewardError(
            f"reward {spec!r} does not take (response, gold) ({_defined(function)})",
            fix="define it as: def score(response, gold, **row) -> float",
        )
    for name in options:
        if name not in named and not takes_any:
            raise RewardError(
                f"reward {spec!r} has no option {name!r} ({_defined(function)})",
                fix=_nearest(name, named) if named else "it takes none",
            )
    row_names = None if takes_any else frozenset(named)
    return Reward(spec, function, options, row_names, _defined(function))
