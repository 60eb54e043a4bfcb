"""Models on one file of rows: the typed specification, and the `key=value` reader of `eval.run`.

In: words such as `n=500` or `models.after=PATH`, or a JSON file. Out: an `EvalSpec` that is
checked, or a `ConfigError` that names the nearest key. Each field's default, range and meaning
stand here once, and `--help` prints them. It opens no model and no data. A model on a suite of
tasks is `eval.suite.spec`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from conf.errors import ConfigError
from eval.generation.backend import EngineOptions

LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RESERVED: Final = ("data", "sampling", "verdict", "versions", "warnings")  # results.json's own keys
USAGE: Final = (
    "usage: python -m eval.run out=DIR data=FILE.parquet models.LABEL=MODEL [models.LABEL=MODEL] "
    "reward=NAME [key=value …] [--spec FILE.json] [--debug]"
)
Text = Annotated[str, Field(min_length=1)]


class EngineSpec(BaseModel):
    """How vLLM runs; each field's description is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    device: Text = Field(
        default="auto", description="auto, or the device that vLLM must run on (checked)"
    )
    dtype: Text = Field(
        default="auto", description="auto: float32 on a CPU, bfloat16 elsewhere; or vLLM's name"
    )
    max_num_seqs: int = Field(default=256, ge=1, description="most sequences generated at a time")
    kv_cache_gb: float | None = Field(
        default=None,
        gt=0,
        description="GiB of KV cache; null: 1 on a CPU, elsewhere by gpu_memory_utilization",
    )
    gpu_memory_utilization: float = Field(
        default=0.85, gt=0, le=1, description="share of a GPU's memory that vLLM may take"
    )
    enforce_eager: bool = Field(
        default=True, description="false: compile; slow to start, faster over many tokens"
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads; null: 2 for models below 100 MB, else torch's own number",
    )

    def engine(self, tensor_parallel: int = 1) -> EngineOptions:
        """These fields as the back end takes them."""
        names = (*EngineSpec.model_fields,)
        return EngineOptions(
            **{name: getattr(self, name) for name in names}, tensor_parallel=tensor_parallel
        )


class EvalSpec(EngineSpec):
    """An evaluation of one model or two; each field's description is its documentation."""

    out: Text = Field(description="folder for records-LABEL.jsonl, items.json and results.json")
    data: Text = Field(description="Parquet file of RL rows, as data_prep writes them")
    models: dict[str, Text] = Field(
        min_length=1,
        max_length=2,
        description="models.LABEL=folder or hub id; of two, the second is compared with the first",
    )
    reward: Text = Field(
        description="grader: a name, path/to/file.py:function or package.module:function"
    )
    reward_options: dict[str, Any] = Field(
        default={}, description="reward_options.NAME=value, given to the grader"
    )
    leave_out: Text | None = Field(
        default=None,
        description="JSON file of row numbers that are no items: those that chose the checkpoint",
    )
    n: int = Field(
        default=500, ge=1, description="items, a seeded stratified sample; all when there are fewer"
    )
    seed: int = Field(default=1, ge=0, description="of the choice of items")
    strata: Text = Field(
        default="data_source", description="column the sample is balanced over, dots for parts"
    )
    max_tokens: int = Field(
        default=512, ge=1, description="most tokens of a response; decoding is greedy"
    )

    @field_validator("models")
    @classmethod
    def _labels(cls, models: dict[str, str]) -> dict[str, str]:
        for label in models:
            if not LABEL.fullmatch(label) or label in RESERVED:
                raise ValueError(
                    f"label {label!r}: need letters, digits, - or _, and none of "
                    f"{', '.join(RESERVED)}"
                )
        return models


def help_text(spec: type[BaseModel] = EvalSpec, usage: str = USAGE) -> str:
    """The usage message: one line a key, with its default and its meaning."""
    lines = [usage, ""]
    fields = sorted(spec.model_fields, key=lambda name: name in EngineSpec.model_fields)
    for name in fields:  # the engine's own last
        item = spec.model_fields[name]
        default = (
            "needed"
            if item.is_required()
            else json.dumps(item.get_default(call_default_factory=True))
        )
        lines.append(f"  {name:<23}{default:<14}{item.description}")
    return "\n".join(lines)


def read_words(words: Sequence[str], spec: type[BaseModel]) -> dict[str, Any]:
    """`key=value` words as a mapping; `--spec FILE.json` gives values that the words override.

    A dot goes into a field that is a mapping, or a mapping of mappings (`set.gsm8k.n=3`).

    Raises:
        ConfigError: a word that is no `key=value`, or a file that cannot be read.
    """
    values: dict[str, Any] = {}
    rest = list(words)
    while "--spec" in rest:
        at = rest.index("--spec")
        values.update(_read_file(rest[at + 1] if at + 1 < len(rest) else ""))
        del rest[at : at + 2]
    for word in rest:
        key, found, text = word.partition("=")
        if not found:
            raise ConfigError(f"got {word!r}, need key=value", "python -m eval.run --help")
        group, dot, name = key.partition(".")
        kinds = _kinds(spec, group)
        if dot and kinds & {"dict", "texts", "deep"}:
            into = values[group] if isinstance(values.get(group), dict) else {}
            inner = text if "texts" in kinds else _scalar(text)
            first, deeper, last = name.partition(".")
            if deeper and "deep" in kinds:
                name, inner = first, {**into.get(first, {}), last: inner}
            values[group] = {**into, name: inner}
        elif "list" in kinds:
            values[key] = _texts(text)
        else:
            values[key] = text if "str" in kinds else _scalar(text)
    return values


def parse(words: Sequence[str]) -> EvalSpec:
    """Read the words of an evaluation of one file of rows.

    Raises:
        ConfigError: a word that is no `key=value`, an unknown key, a value of another type or out
            of range, or a key that is needed and missing.
    """
    return check(read_words(words, EvalSpec))


def check(values: Mapping[str, Any]) -> EvalSpec:
    """Build the specification from a plain mapping.

    Raises:
        ConfigError: see `parse`.
    """
    return checked(values, EvalSpec, ("models.before", "models.after"))


Spec = TypeVar("Spec", bound=BaseModel)


def checked(values: Mapping[str, Any], spec: type[Spec], also: Sequence[str] = ()) -> Spec:
    """A specification of any kind from a plain mapping.

    Raises:
        ConfigError: see `parse`.
    """
    for key in values:
        if key not in spec.model_fields:
            names = [*spec.model_fields, *also]
            close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            fix = f"did you mean {close[0]}=…?" if close else "python -m eval.run --help"
            raise ConfigError(f"unknown key {key!r}", fix)
    try:
        return spec(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        word = "models.LABEL=MODEL" if key == "models" else f"{key}=…"
        if first["type"] == "missing":
            meaning = spec.model_fields[key].description
            raise ConfigError(f"{key} is missing: {meaning}", f"give {word}") from error
        if first["type"] == "value_error":  # one of our own validators, which says what it got
            raise ConfigError(f"{key}: {first['ctx']['error']}", f"give {word}") from error
        got = f"{first['input']!r:.80}"
        raise ConfigError(f"{key}: {first['msg']}, got {got}", f"give {word}") from error


def _kinds(spec: type[BaseModel], key: str) -> set[str]:
    """What a field takes, as `_named` says it: `out=7` names a folder. Empty: anything."""
    if key not in spec.model_fields:
        return set()
    told = spec.model_fields[key].annotation
    return {_named(one) for one in (get_args(told) if _named(told) == "union" else (told,))}


def _named(told: Any) -> str:
    """`str`, `list`, `dict` of anything, `texts` (a dict of str), `deep` (of dicts), `union`."""
    if get_origin(told) is Annotated:
        told = get_args(told)[0]
    if told is str:
        return "str"
    origin = get_origin(told)
    if origin in (Union, UnionType):
        return "union"
    if origin is dict:
        return {"str": "texts", "dict": "deep"}.get(_named(get_args(told)[1]), "dict")
    return "list" if origin is list else ""


def _texts(text: str) -> list[str]:
    """`[a,b]`, `a,b` or JSON as a list of texts."""
    found = _scalar(text)
    if isinstance(found, list):
        return [str(item) for item in found]
    inner = text.strip().removeprefix("[").removesuffix("]")
    return [item.strip().strip("'\"") for item in inner.split(",") if item.strip()]


def _scalar(text: str) -> Any:
    """JSON where it is JSON (numbers, true, null), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_file(name: str) -> dict[str, Any]:
    try:
        loaded = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--spec {name!r}: {error}", "--spec FILE.json") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"--spec {name!r}: need a JSON object", "--spec FILE.json")
    return loaded
