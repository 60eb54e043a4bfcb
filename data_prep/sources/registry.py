"""Find a source by name or by `path/to/file.py:function`, and type its specification.

In: the mapping that the user wrote. Out: a `Source` and its validated `Spec`. An unknown source or
key is a `ConfigError` with the nearest one. A user's function takes the spec and yields `Example`s,
or plain dicts with `split`, `prompt`, `gold` and optionally `answer`.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import Field, ValidationError

from conf.errors import ConfigError, DataError
from data_prep.inputs import files_at
from data_prep.sources import arithmetic, gsm8k
from data_prep.sources.base import Drop, Example, Source, Spec

SOURCES: Final[Mapping[str, Source]] = {
    source.name: source for source in (arithmetic.SOURCE, gsm8k.SOURCE)
}


class UserSpec(Spec):
    """Specification for a source of the user's own.

    Attributes:
        licence: of the data.
        ability: what is trained, for grouping.
        options: anything else that the function wants to know.
    """

    licence: str = "unknown"
    ability: str = "unknown"
    options: dict[str, Any] = Field(default_factory=dict)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"


def _load(spec: str) -> Callable[[Spec], Iterable[Any]]:
    """The function that `path/to/file.py:function` names."""
    where, _, name = spec.rpartition(":")
    path = Path(where).expanduser()
    if not path.is_file():
        raise ConfigError(f"source {spec!r}: no file {where!r}", fix="check data_prep.source")
    loader_spec = importlib.util.spec_from_file_location(f"temper_source_{path.stem}", path)
    if loader_spec is None or loader_spec.loader is None:
        raise ConfigError(f"source {spec!r}: {where!r} is not Python", fix="give a .py file")
    module = importlib.util.module_from_spec(loader_spec)
    sys.modules[loader_spec.name] = module
    try:
        loader_spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(
            f"source {spec!r} does not import: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        own = [key for key, value in vars(module).items() if callable(value)]
        raise ConfigError(f"source {spec!r}: no function {name!r}", fix=_nearest(name, own))
    return function  # type: ignore[no-any-return]


def _user_source(name: str) -> Source:
    function = _load(name)
    known = {field.name for field in fields(Example)}

    def examples(spec: UserSpec) -> Iterator[Example | Drop]:
        for number, item in enumerate(function(spec)):
            if isinstance(item, (Example, Drop)):
                yield item
                continue
            where = f"{name} row {number}"
            if (
                not isinstance(item, Mapping)
                or not {"split", "prompt", "gold"} <= set(item) <= known
            ):
                raise DataError(
                    f"{where}: got {item!r:.80}, need split, prompt, gold and perhaps answer"
                )
            if item["split"] not in ("train", "test"):
                raise DataError(f"{where}, column split: got {item['split']!r}, need train or test")
            yield Example(**{"where": where, **item})

    path = Path(name.rpartition(":")[0]).expanduser()
    return Source(
        name=name,
        spec=UserSpec,
        examples=examples,
        licence="unknown",
        url=name,
        ability="unknown",
        data_source=path.stem,
        inputs=lambda spec: [] if spec.local is None else files_at(spec.local.expanduser()),
    )


def _flat(mapping: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """One level of known keys: a registered source's `options` beside the common ones.

    None stands for the source's default wherever None is not itself a value of the field.
    """
    known = source.spec.model_fields
    values = dict(mapping)
    nested = values.pop("options", None) or {} if "options" not in known else {}
    twice = sorted(set(nested) & set(values))
    if twice:
        raise ConfigError(f"{twice[0]} is given twice, within options and beside", fix="leave one")
    values.update(nested)
    for key in values:
        if key not in known:
            raise ConfigError(
                f"source {source.name!r} has no key {key!r}", fix=_nearest(key, known)
            )
    return {
        key: value
        for key, value in values.items()
        if value is not None or type(None) in get_args(known[key].annotation)
    }


def resolve(mapping: Mapping[str, Any]) -> tuple[Source, Spec]:
    """The source that a mapping names, and the mapping as its typed specification.

    Raises:
        ConfigError: `source` or `out` is missing, the source or a key is unknown, or a value has
            the wrong type or range.
    """
    for needed in ("source", "out"):
        if mapping.get(needed) in (None, ""):
            raise ConfigError(f"{needed} is not given", fix=f"{needed}=…")
    name = str(mapping["source"])
    if name not in SOURCES and ".py:" not in name:
        raise ConfigError(
            f"no source named {name!r}",
            fix=f"{_nearest(name, SOURCES)} (or path/to/file.py:function)",
        )
    source = SOURCES[name] if name in SOURCES else _user_source(name)
    values = _flat(mapping, source)
    try:
        spec = source.spec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"data_prep.{key}: got {first['input']!r}: {first['msg']}") from error
    if isinstance(spec, UserSpec):
        source = replace(source, licence=spec.licence, ability=spec.ability)
    return source, spec
