"""A source as a declaration: where its rows lie, what their columns mean, under which licence.

In: the name of a declaration in this folder, or the path of a user's own YAML file. Out: a checked
`Declaration`; an unknown key, column role or name is a `ConfigError` with the nearest one. Reads no
data: `data_prep.sources.open` does.

A user's own data set is one file:

    kind: rl                     # or sft, preference, reward_pairs, or a list of them
    files: questions/*.jsonl     # beside this file; or {train: …, test: …}
    licence: CC-BY-4.0
    prompt: question             # a column, or a template: "Solve: {question}"
    answer: result
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from conf.errors import ConfigError
from data_prep.rows_schema import Kind
from data_prep.sources.base import Split

FOLDER: Final = Path(__file__).parent
SPLITS: Final[tuple[Split, ...]] = ("train", "test")
Scalar = str | int | float | bool | None


class Range(BaseModel):
    """Numbers from `min` to `max`, both included; None: no bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: float | None = None
    max: float | None = None


Condition = Range | list[Scalar] | Scalar


class Hub(BaseModel):
    """Where the rows lie on the hub.

    Attributes:
        id: of the data set.
        config: its configuration; None: the only one.
        splits: the hub's name of each of our splits.
        files: data files within the repository, for data sets whose loading script the installed
            library refuses; None: as the hub says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    config: str | None = None
    splits: dict[Split, str] = {"train": "train"}
    files: dict[Split, str] | None = None


class Declaration(BaseModel):
    """One source.

    Columns are named as they stand in the data, with dots for what is nested (`extra.level`,
    `answers.0`) and a `?` at the end where a row may lack one. Texts in braces are templates.

    Attributes:
        name: of the declaration; the file's name.
        about: what it is, one line.
        kind: the kinds of row that it can give; the first one is the default.
        licence: of the data, SPDX where there is one; `unknown` when nobody says. Data made of
            parts state the licences of all of them (`ODC-By-1.0 AND CC-BY-NC-4.0`): nobody reads a
            comment, and the strictest counts.
        url: where the data come from.
        verified: whether these columns were tried on the real data.
        eval_only: a benchmark: its rows must not be trained on.
        hub: where on the hub; None: local files only.
        files: names or globs of the files of each split, within `local`, or beside a user's
            declaration; the first pattern that matches anything is taken.
        code: adapter for rows that need code: a name, or path/to/file.py:function.
        keep: a row stays when each of these columns has (one of) the value(s) or lies in the range.
        keep_in: the same for one split, where one file holds several.
        data_source: column `data_source`, as a reward sees it; None: the name.
        ability: column `ability`.
        style: verl's reward style.
        prompt: column with the question, or with a chat up to the model's turn.
        template: the prompt as text around columns; several parts are joined by an empty line, and
            a part whose columns are all empty is left out.
        system: system message; None: none.
        answer: column with the gold answer, or several by name, written as one JSON object.
        answer_map: the gold answer for each value of that column; a value not named gives no row.
        answer_is: the gold answer of every row.
        extract: how the gold answer lies in that column: whole, after `####`, or in a box.
        reward: what grades RL rows: a reward of `rewards`, path/to/file.py:function (beside a
            user's declaration) or module:function; gold answers are tried with it. None: nothing
            here does.
        reward_options: its options.
        response: column with a right response, for SFT.
        remove: regular expression; what matches is cut from the response.
        messages: column with a chat.
        chosen: column with the better answer or chat.
        rejected: column with the worse one.
        score_chosen: column with its score.
        score_rejected: column with its score.
        tools: column with what the model may call (a list, or JSON text).
        enable_thinking: column.
        weight: column with the weight of the row's loss.
        category: column with the data's own grouping.
        difficulty: column with a number.
        difficulty_is: `difficulty`, or `solve_rate` (of some model; 1 is easy).
        more: further keys of an RL row's `extra_info`, by name (`tools_kwargs: its_column`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str = ""
    kind: tuple[Kind, ...]
    licence: str = "unknown"
    url: str = ""
    verified: bool = False
    eval_only: bool = False
    hub: Hub | None = None
    files: dict[Split, tuple[str, ...]] = Field(default_factory=dict)
    code: str | None = None
    keep: dict[str, Condition] = Field(default_factory=dict)
    keep_in: dict[Split, dict[str, Condition]] = Field(default_factory=dict)
    data_source: str | None = None
    ability: str = "unknown"
    style: str = "rule"
    prompt: str | None = None
    template: tuple[str, ...] | None = None
    system: str | None = None
    answer: str | dict[str, str] | None = None
    answer_map: dict[str, str] | None = None
    answer_is: str | None = None
    extract: Literal["whole", "hashes", "boxed"] = "whole"
    reward: str | None = None
    reward_options: dict[str, Any] = Field(default_factory=dict)
    response: str | None = None
    remove: str | None = None
    messages: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    score_chosen: str | None = None
    score_rejected: str | None = None
    tools: str | None = None
    enable_thinking: str | None = None
    weight: str | None = None
    category: str | None = None
    difficulty: str | None = None
    difficulty_is: Literal["difficulty", "solve_rate"] = "difficulty"
    more: dict[str, str] = Field(default_factory=dict)
    path: Path

    @field_validator("kind", "template", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("files", mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        by_split = value if isinstance(value, Mapping) else {"train": value}
        return {k: [v] if isinstance(v, str) else v for k, v in by_split.items()}

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that there are, train first."""
        there = {*self.files, *(self.hub.splits if self.hub else ())}
        return tuple(split for split in SPLITS if split in there)

    @property
    def bundled(self) -> bool:
        """Whether it is one of ours, whose files lie wherever `local` says."""
        return self.path.parent == FOLDER


# What each kind cannot do without; one of each group.
_NEEDS: Final[Mapping[Kind, tuple[tuple[str, ...], ...]]] = {
    "rl": (("prompt", "template"), ("answer", "answer_is")),
    "sft": (("messages", "prompt", "template"), ("messages", "response")),
    "preference": (("chosen",), ("rejected",)),
    "reward_pairs": (("chosen",), ("rejected",)),
}


def names() -> list[str]:
    """The declarations that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def nearest(name: str, known: Iterable[str]) -> str:
    """The closest of the known names, else all of them, as the end of a message."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"


def declaration(name_or_path: str | Path) -> Declaration:
    """The declaration of a name, or of a YAML file of the user's own.

    Raises:
        ConfigError: there is none, or it does not hold together.
    """
    given = str(name_or_path)
    if given.endswith((".yaml", ".yml")):
        path = Path(given).expanduser()
        if not path.is_file():
            raise ConfigError(f"source {given!r}: no such file", fix="check data_prep.source")
        return _read(path.resolve(), _text(path))
    if given not in names():
        raise ConfigError(
            f"no source named {given!r}", fix=f"{nearest(given, names())} (or path/to/mine.yaml)"
        )
    path = FOLDER / f"{given}.yaml"
    return _read(path, _text(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split()):.160}")


@functools.cache
def _read(path: Path, text: str) -> Declaration:
    """The declaration that a file's text is; parsed once a text."""
    import yaml

    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _unreadable(path, error) from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: got {type(loaded).__name__}, need `key: value` lines")
    known = set(Declaration.model_fields) - {"path"}
    for key in loaded:
        if key not in known:
            raise ConfigError(f"{path}: no key {key!r}", fix=nearest(str(key), known))
    try:
        made = Declaration.model_validate({"name": path.stem, **loaded, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}, {key}: got {first['input']!r:.60}: {first['msg']}") from error
    _check(made)
    return made


def _check(made: Declaration) -> None:
    """Refuse what could give no rows."""
    if not made.kind:
        raise ConfigError(f"{made.path}: kind is empty", fix=f"kind: {', '.join(_NEEDS)}")
    if not made.splits:
        raise ConfigError(f"{made.path}: neither hub nor files", fix="files: NAME.jsonl")
    if made.code is not None:
        return
    for kind in made.kind:
        for group in _NEEDS[kind]:
            if all(getattr(made, key) is None for key in group):
                raise ConfigError(
                    f"{made.path}: {kind} rows need {' or '.join(group)}", fix=f"{group[0]}: COLUMN"
                )
