"""Load a user's own function: a classifier, a language detector.

In: `path/to/file.py:function` or `package.module:function`. Out: the function, or one line on why
not. Runs the file; calls nothing in it.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from conf.errors import ConfigError


def load_hook(spec: str, what: str) -> Any:
    """The function that a spec names.

    Args:
        spec: file or module, a colon, a name.
        what: what it is for, in messages.

    Raises:
        ConfigError: the file or module does not import, or has no such function.
    """
    where, _, name = spec.rpartition(":")
    if not where or not name:
        raise ConfigError(
            f"{what}: got {spec!r}", fix="path/to/file.py:function or module:function"
        )
    try:
        if where.endswith(".py"):
            path = Path(where).expanduser().resolve()
            if not path.is_file():
                raise ConfigError(f"{what}: no file {where}", fix="check the path")
            found = importlib.util.spec_from_file_location(f"temper_hook_{path.stem}", path)
            if found is None or found.loader is None:
                raise ConfigError(f"{what}: {where} is not a Python file")
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
        else:
            module = importlib.import_module(where)
    except ConfigError:
        raise
    except Exception as error:  # a user's file may raise anything
        raise ConfigError(
            f"{what} {spec!r} does not import: {type(error).__name__}: {error}",
            fix="mend it, or install what it imports",
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"{what}: {where} has no function {name!r}", fix="check the name")
    return function
