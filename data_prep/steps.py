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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from conf.errors import ConfigError
from data_prep.decontaminate.judge import Decontamination
from data_prep.filters.base import CorpusStep, Fetch, Finding, Row, Signatures, split_of

REGISTRY: Final = "data_prep.filters.registry"
DECONTAMINATION: Final = "decontamination"
EXACT: Final = "exact_duplicates"
HELD_OUT: Final = "held_out"


class Steps(NamedTuple):
    """What a preparation does to its rows, as name → options, in order.

    Attributes:
        filters: those that judge batch by batch.
        corpus: those that need all rows.
    """

    filters: dict[str, dict[str, Any]]
    corpus: dict[str, dict[str, Any]]


class HeldOut:
    """The corpus step `held_out`: no training row asks what a test row of this preparation asks.

    It is `exact_duplicates` without the rest: duplicates within the training rows stay.
    """

    name: ClassVar[str] = HELD_OUT
    reasons: ClassVar[Mapping[str, str]] = {
        "duplicate_held_out": "a training row whose question is in a held-out split"
    }

    def __init__(self) -> None:
        self._exact: CorpusStep = importlib.import_module(REGISTRY).find(EXACT)()

    def signatures(self, rows: Sequence[Row]) -> Signatures:
        """Those of `exact_duplicates`, and which rows are held out."""
        held_out = np.array([split_of(row) != "train" for row in rows], dtype=bool)
        return {**self._exact.signatures(rows), HELD_OUT: held_out}

    def resolve(
        self, signatures: Signatures, ids: Sequence[str], fetch: Fetch | None = None
    ) -> dict[str, Finding]:
        """Findings on rows for which a held-out row stands."""
        held_out = {ids[at] for at in np.flatnonzero(signatures[HELD_OUT])}
        if not held_out or len(held_out) == len(ids):
            return {}
        return {
            row_id: Finding("duplicate_held_out", finding.detail, finding.action, finding.evidence)
            for row_id, finding in self._exact.resolve(signatures, ids, fetch).items()
            if finding.action == "drop" and finding.evidence.get("kept") in held_out
        }


def _class(name: str) -> Any:
    """The class or factory of a name."""
    if name == HELD_OUT:
        return HeldOut
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


def forget_steps() -> None:
    """Load files and sets anew, which may have changed since an earlier preparation."""
    _loaded.cache_clear()


def with_decontamination(
    named: Mapping[str, Mapping[str, Any]], folder: Path | None
) -> dict[str, dict[str, Any]]:
    """The steps with comparison against evaluation sets and test rows first, unless named."""
    steps = {name: dict(options) for name, options in named.items()}
    first: dict[str, dict[str, Any]] = {}
    if DECONTAMINATION not in steps:
        first[DECONTAMINATION] = {}
    if folder is not None:
        options = first.get(DECONTAMINATION, steps.get(DECONTAMINATION, {}))
        options.setdefault("folders", [str(folder)])
    if EXACT not in steps:
        first[HELD_OUT] = {}
    return {**first, **steps}


def decontamination(steps: Steps) -> Decontamination | None:
    """The filter that knows what the rows will be compared with; None if they are not."""
    if DECONTAMINATION not in steps.filters:
        return None
    named = {DECONTAMINATION: steps.filters[DECONTAMINATION]}
    found: Decontamination = load_steps(json.dumps(named))[0]
    return found


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
