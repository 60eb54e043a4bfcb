"""What the command asks for: sources, and what happens to their rows on the way to the files.

In: the user's mapping. Out: a `Request`, and whether it is a plain conversion: one source that
splits itself (`source=gsm8k`), its rows as they are. Its own keys (`train_size`, `ops`) are the
source's, typed in `data_prep.sources.registry`; here are the keys that any preparation may have.
Reads no data.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from conf.errors import ConfigError
from data_prep.engine import EngineName
from data_prep.mix import MixSpec

ALIASES: Final[Mapping[str, str]] = {"data": "source"}
SHARD_ROWS: Final = 131_072


class Item(BaseModel):
    """One source of a mix.

    Attributes:
        name: as in `source=NAME`: registered, a declaration's YAML file, or file.py:function.
        local: file, folder or glob to read instead of the hub.
        options: the source's own keys.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    local: Path | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The short name that the mix and the manifest use: a path's stem."""
        path = self.name.rpartition(":")[0] if ".py:" in self.name else self.name
        return Path(path).stem if path.endswith((".py", ".yaml", ".yml")) else self.name


class Request(BaseModel):
    """The keys of a preparation that are no source's own.

    Attributes:
        source: one source, or several; a name or a mapping (`Item`) each.
        out: folder to make.
        seed: decides everything that is drawn.
        local: where to read: one place for one source, or a mapping by source.
        kinds: kinds of rows to write (`rl`, `sft`, `preference`, `reward_pairs`); None: all.
        filters: filters by name, or name → options, in the order in which they judge.
        test_filters: those of the filters that may drop test rows as well: the ones that say that a
            row cannot be used at all. What others find in test rows is flagged: a test set thinned
            by quality or difficulty gives another score.
        try_golds: try each gold answer with the reward that its source names, where it names one;
            filters.gold says how, in its place. (A source in code: `reward=null`.)
        decontaminate: drop training rows that are in an evaluation set, or in the test rows of
            this preparation; a generated source alone is compared where `eval_sets` is given.
        eval_sets: folder of evaluation sets to compare with, before the model hub's cache.
        mix: see `data_prep.mix`; None: the sources' rows one after the other.
        commercial: refuse sources whose licence forbids commercial use or is unknown.
        jsonl: write the same rows as JSON lines beside each Parquet file.
        dry_run: prepare at most so many rows of each file, from the first ones of each source,
            into `OUT-dry-run`; None: everything.
        engine: `local` or `ray`.
        shard_rows: most rows of a Parquet file; more are cut into numbered shards. (A plain
            conversion writes one file each.)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    source: tuple[Item, ...] = Field(min_length=1)
    out: Path
    seed: int = Field(default=1, ge=0)
    kinds: tuple[str, ...] | None = None
    filters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    test_filters: tuple[str, ...] = ("gold", "length")
    try_golds: bool = True
    decontaminate: bool = True
    eval_sets: Path | None = None
    mix: MixSpec | None = None
    commercial: bool = False
    jsonl: bool = False
    dry_run: int | None = Field(default=None, ge=1)
    engine: EngineName = "local"
    shard_rows: int = Field(default=SHARD_ROWS, ge=1)

    @field_validator("kinds", "test_filters", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @field_validator("filters", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Names alone stand for filters without options."""
        if isinstance(value, str):
            value = [name for name in value.split(",") if name]
        if isinstance(value, (list, tuple)):
            return {str(name): {} for name in value}
        if isinstance(value, Mapping):
            return {name: options or {} for name, options in value.items()}
        return value or {}

    @model_validator(mode="after")
    def _together(self) -> Request:
        if self.eval_sets is not None and not self.decontaminate:
            raise ValueError("eval_sets is given and decontaminate=false: leave one out")
        if "gold" in self.filters and not self.try_golds:
            raise ValueError("filters names gold and try_golds=false: leave one out")
        return self


class Asked(NamedTuple):
    """A mapping, taken apart.

    Attributes:
        request: its common keys.
        plain: the mapping for `sources.registry.resolve`, where this is a plain conversion of a
            source that splits itself; else None.
    """

    request: Request
    plain: dict[str, Any] | None


# Keys that a plain conversion understands too, and that its source does not.
_BESIDE: Final = ("commercial", "jsonl", "decontaminate", "eval_sets")
# Keys that make it a preparation of the whole kind.
_WHOLE: Final = (
    "kinds", "filters", "test_filters", "try_golds", "mix", "dry_run", "engine", "shard_rows",
)  # fmt: skip


def _items(value: Any, local: Any) -> list[dict[str, Any]]:
    """Each source as a mapping, its place beside it."""
    if isinstance(value, str):
        value = value.split(",")
    elif isinstance(value, Mapping):
        value = [value]
    items = [dict(one) if isinstance(one, Mapping) else {"name": str(one).strip()} for one in value]
    if isinstance(local, Mapping):
        for item in items:
            if item["name"] in local:
                item["local"] = local[item["name"]]
        strange = sorted(set(local) - {item["name"] for item in items})
        if strange:
            raise ConfigError(f"local.{strange[0]}: no such source in source=…", fix="source=…")
    elif local is not None:
        if len(items) > 1:
            raise ConfigError(
                f"local={local} is one place, and there are {len(items)} sources",
                fix=f"local.{items[0]['name']}={local}",
            )
        items[0]["local"] = local
    return items


def _is_plain(values: Mapping[str, Any], self_splitting: frozenset[str]) -> bool:
    name = values["source"]
    if not isinstance(name, str) or not (name in self_splitting or ".py:" in name):
        return False
    return all(values.get(key) is None for key in _WHOLE)


def parse(mapping: Mapping[str, Any], self_splitting: frozenset[str]) -> Asked:
    """Take a user's mapping apart.

    Args:
        mapping: `source` (or `data`, the same word), `out` and other keys.
        self_splitting: names of the sources that make train and test rows themselves.

    Raises:
        ConfigError: a key is missing, unknown, given twice, or of the wrong type or range.
    """
    values = dict(mapping)
    for alias, key in ALIASES.items():
        if alias in values:
            if values.get(key) is not None:
                raise ConfigError(f"{alias} and {key} are the same word, both given", fix="one")
            values[key] = values.pop(alias)
    for needed in ("source", "out"):
        if values.get(needed) in (None, "", [], ()):
            raise ConfigError(f"{needed} is not given", fix=f"{needed}=…")
    if _is_plain(values, self_splitting):
        common: dict[str, Any] = {
            key: values[key] for key in ("source", "out", "seed", *_BESIDE) if key in values
        }
        request = _validated({**common, "source": [{"name": values["source"]}]})
        rest = {k: v for k, v in values.items() if k not in (*_BESIDE, *_WHOLE)}
        return Asked(request, rest)
    items = _items(values.pop("source"), values.pop("local", None))
    known = set(Request.model_fields)
    own = {key: values.pop(key) for key in list(values) if key not in known}
    if own and len(items) > 1:
        key = next(iter(own))
        raise _unknown(key, known, f'source=[{{"name": …, "options": {{"{key}": …}}}}]')
    if own:
        items[0]["options"] = {**own, **items[0].get("options", {})}
    return Asked(_validated({**values, "source": items}), None)


def _unknown(key: str, known: set[str], otherwise: str) -> ConfigError:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"a source's own key: {otherwise}"
    return ConfigError(f"a preparation has no key {key!r}", fix=hint)


def _validated(values: Mapping[str, Any]) -> Request:
    given = {key: value for key, value in values.items() if value is not None}
    try:
        request = Request.model_validate(given)
    except ValidationError as error:
        # Of a field that may be several things, the one whose error lies deepest is meant; pydantic
        # puts that type's name among the keys (`mix.epochs.dict[str,…].gsm8k`).
        first = max(error.errors(), key=lambda one: len(one["loc"]))
        keys = (str(key) for key in first["loc"])
        where = ".".join(key for key in keys if not key.startswith(("dict[", "constrained-")))
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"data_prep.{where} is no key of this version", fix="python -m data_prep.prepare -h"
            ) from error
        got = f"{first['input']!r:.80}: {first['msg']}"
        raise ConfigError(f"data_prep.{where}: got {got}") from error
    labels = [item.label for item in request.source]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"source {twice[0]!r} is named twice", fix="mix.epochs repeats its rows")
    return request
