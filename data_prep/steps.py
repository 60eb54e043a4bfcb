"""Filters and whole-corpus steps by name.

In: names and options as the user wrote them; a name is registered, or `path/to/file.py:Class` for
one of the user's own. Out: the objects, in order, each with `name`, `reasons` and `judge` (or
`signatures` and `resolve`). Judges nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from conf.errors import ConfigError

REGISTRY: Final = "data_prep.filters.registry"


class Steps(NamedTuple):
    """What a preparation does to its rows, as name → options, in order.

    Attributes:
        filters: those that judge batch by batch.
        corpus: those that need all rows.
    """

    filters: dict[str, dict[str, Any]]
    corpus: dict[str, dict[str, Any]]


def _class(name: str) -> Any:
    """The class or factory of a name."""
    if ".py:" not in name:
        return importlib.import_module(REGISTRY).find(name)
    where, _, attribute = name.rpartition(":")
    path = Path(where).expanduser().resolve()
    if not path.is_file():
        raise ConfigError(f"filter {name!r}: no file {where!r}", fix="check data_prep.filters")
    module_name = f"temper_filter_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"filter {name!r}: {where!r} is not Python", fix="give a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(
            f"filter {name!r} does not import: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, attribute):
        raise ConfigError(f"filter {name!r}: {where} has no {attribute}", fix="check the name")
    return getattr(module, attribute)


def _load(name: str, options: Mapping[str, Any]) -> Any:
    try:
        return _class(name)(**options)
    except (ValidationError, TypeError) as error:
        said = error.errors()[0] if isinstance(error, ValidationError) else None
        detail = f"{'.'.join(map(str, said['loc']))}: {said['msg']}" if said else str(error)
        raise ConfigError(
            f"filter {name}: {detail}", fix=f"filters.{name}={{…}} with its own options"
        ) from error


def load_steps(text: str) -> tuple[Any, ...]:
    """The filters or corpus steps of a JSON object, in order; made once a process and text.

    Raises:
        ConfigError: a name or an option is unknown.
    """
    return _loaded(text)


@functools.lru_cache(maxsize=8)
def _loaded(text: str) -> tuple[Any, ...]:
    """Some hold a tokenizer or an index, so they are kept."""
    return tuple(_load(name, options) for name, options in json.loads(text).items())


def sort_steps(named: Mapping[str, Mapping[str, Any]]) -> Steps:
    """What the user named, sorted into row filters and corpus steps.

    Raises:
        ConfigError: a name or an option is unknown.
    """
    steps = Steps({}, {})
    for name, options in named.items():
        made = load_steps(json.dumps({name: dict(options)}))[0]
        (steps.filters if hasattr(made, "judge") else steps.corpus)[name] = dict(options)
    return steps
