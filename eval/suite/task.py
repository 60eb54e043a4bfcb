"""A task as a declaration: which rows, how they are asked, how answers are graded and counted.

In: the name of a declaration in `eval/tasks`, the path of a user's own YAML file, or a Parquet file
of RL rows. Out: a checked `Task`; an unknown key, name or value is a `ConfigError` with the nearest
one. Reads no data (`eval.suite.items` does), loads no grader and no model.

A user's own task is one file; `source` may be the name of a declared source of `data_prep`, a file,
or the declaration itself, with files beside the task's:

    source: {files: {test: questions.jsonl}, prompt: question, answer: result}
    grader: math
    max_tokens: 1024
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from conf.errors import ConfigError
from data_prep.sources.base import Split
from data_prep.sources.declare import Condition

FOLDER: Final = Path(__file__).parents[1] / "tasks"
Metric = Literal["accuracy", "mean_score", "refusal_rate", "over_refusal_rate", "win_rate"]
METRICS: Final[tuple[str, ...]] = get_args(Metric)
CHANGEABLE: Final = (  # by `set.TASK.KEY=` of an evaluation
    *("split", "keep", "prompt", "system", "format", "few_shot", "few_shot_seed", "options"),
    *("temperature", "top_p", "top_k", "max_tokens", "stop", "samples"),
    *("grader", "grader_options", "strata", "cluster"),
)


class Shot(BaseModel):
    """A worked example that is shown before each question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1)
    response: str = Field(min_length=1)


class Task(BaseModel):
    """One task.

    Columns are those of the raw row, then of the row that is made of it (`extra_info`'s keys too),
    with dots for what is nested and a `?` at the end where a row may lack one.

    Attributes:
        name: of the task; the file's name.
        about: what it measures, one line.
        source: where the rows come from: a declared source's name or file, a Parquet file of RL
            rows, `path/to/file.py:function`, or the declaration itself as a mapping.
        options: of a source that is a program.
        split: of the source.
        keep: a row is asked when each of these columns has (one of) the value(s).
        prompt: template in place of the source's own; several parts as `template` of a source.
        system: system message in place of the source's own; None: the source's.
        format: `chat`: through the model's chat template; `text`: as plain text, for base models.
        examples: shown before each question.
        few_shot: further examples, drawn from the source's `few_shot_split`, the same for all.
        few_shot_split: of the source.
        few_shot_seed: decides which.
        turns: column with what the user says turn by turn; None: one turn.
        temperature: of the sampling; 0 is greedy.
        top_p: of the sampling.
        top_k: of the sampling; -1: all tokens.
        max_tokens: most tokens of a response.
        stop: texts that end a response; they are left out of it.
        samples: responses to each question.
        grader: a reward's name, path/to/file.py:function or package.module:function.
        grader_options: that reward's options.
        gold: `row`: the row's answer; `baseline`: another model's response to the same question.
        probe: leave out, and count, rows that the grader cannot grade at all.
        strata: column that a sub-sample is balanced over and results are broken down by.
        cluster: column whose equal values belong together (one text, one template); None, or a
            row without a value: each question for itself.
        extra: further columns for breakdowns, by the name that the records give them.
        metric: what the task reports.
        path: of the declaration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.+-]*$")
    about: str = ""
    source: str | dict[str, Any]
    options: dict[str, Any] = Field(default_factory=dict)
    split: Split = "test"
    keep: dict[str, Condition] = Field(default_factory=dict)
    prompt: tuple[str, ...] | None = None
    system: str | None = None
    format: Literal["chat", "text"] = "chat"
    examples: tuple[Shot, ...] = ()
    few_shot: int = Field(default=0, ge=0, le=64)
    few_shot_split: Split = "train"
    few_shot_seed: int = 1
    turns: str | None = None
    temperature: float = Field(default=0.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1)
    max_tokens: int = Field(default=1024, ge=1)
    stop: tuple[str, ...] = ()
    samples: int = Field(default=1, ge=1)
    grader: str = Field(min_length=1)
    grader_options: dict[str, Any] = Field(default_factory=dict)
    gold: Literal["row", "baseline"] = "row"
    probe: bool = False
    strata: str = "data_source"
    cluster: str | None = None
    extra: dict[str, str] = Field(default_factory=dict)
    metric: Metric = "accuracy"
    path: Path

    @field_validator("prompt", "stop", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @property
    def few(self) -> int:
        """Examples before each question."""
        return len(self.examples) + self.few_shot

    @property
    def graded_by(self) -> dict[str, Any]:
        """The grader with its options, as records name it."""
        return {"name": self.grader, **self.grader_options}


def names() -> list[str]:
    """The tasks that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def nearest(name: str, known: Iterable[str]) -> str:
    """The closest of the known names, else all of them, as the end of a message."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}"


def load_task(name_or_path: str | Path, changes: Mapping[str, Any] | None = None) -> Task:
    """The task of a name, of a YAML file, or over a Parquet file of RL rows.

    Args:
        name_or_path: `gsm8k`, `path/to/mine.yaml`, or `path/to/test.parquet` (named after the file;
            its grader must be among the changes).
        changes: values for this evaluation, of `CHANGEABLE` keys.

    Raises:
        ConfigError: there is none, or it does not hold together.
    """
    given = str(name_or_path)
    if given.endswith(".parquet"):
        path = Path(given).expanduser()
        plain = {"name": path.stem, "source": str(path.resolve())}
        return _checked(plain, path, changes or {})
    if given.endswith((".yaml", ".yml")):
        path = Path(given).expanduser()
        if not path.is_file():
            raise ConfigError(f"task {given!r}: no such file", fix="check suite=")
        return _checked(_read(path), path.resolve(), changes or {})
    if given not in names():
        raise ConfigError(
            f"no task named {given!r}", fix=f"{nearest(given, names())} (or path/to/mine.yaml)"
        )
    path = FOLDER / f"{given}.yaml"
    return _checked(_read(path), path, changes or {})


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {said:.160}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: got {type(loaded).__name__}, need `key: value` lines")
    known = set(Task.model_fields) - {"path"}
    for key in loaded:
        if key not in known:
            raise ConfigError(f"{path}: no key {key!r}", fix=nearest(str(key), known))
    return loaded


def _checked(values: Mapping[str, Any], path: Path, changes: Mapping[str, Any]) -> Task:
    for key in changes:
        if key not in CHANGEABLE:
            raise ConfigError(f"{path.name}: {key!r} cannot be set", fix=nearest(key, CHANGEABLE))
    try:
        made = Task.model_validate({"name": path.stem, **values, **changes, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise ConfigError(
                f"{path}: {key} is missing", fix=f"{key}: …, or set.TASK.{key}=…"
            ) from error
        raise ConfigError(f"{path}, {key}: got {first['input']!r:.60}: {first['msg']}") from error
    if made.samples > 1 and made.temperature == 0:
        raise ConfigError(
            f"{made.name}: {made.samples} greedy responses to a question would all be the same",
            fix="temperature=0.6, or samples=1",
        )
    if made.turns is not None and (made.samples > 1 or made.few or made.format == "text"):
        raise ConfigError(
            f"{made.name}: a task of several turns has one sample, no examples, and is a chat",
            fix="samples=1 few_shot=0 format=chat",
        )
    return made
