"""What a synthesis is asked to do, and the tasks that it begins with.

In: the user's mapping. Out: a checked `SynthSpec`, and `Task`s read from a file. Asks no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from conf.errors import ConfigError, DataError
from data_prep.checks.rows import unpacked
from data_prep.filters.base import gold_of, id_of
from data_prep.readers import read_rows
from data_prep.synth.instructions import Task
from data_prep.synth.server import Server

Method = Literal["self_instruct", "evol_instruct", "magpie", "answers"]
FILTERS: Final = ("broken_markup", "cut_ending", "degenerate", "repetition", "privacy",
                  "exact_duplicates")  # fmt: skip
COLUMNS: Final = ("instruction", "question", "prompt", "problem", "text")


class SynthSpec(BaseModel):
    """A synthesis.

    Attributes:
        method: how tasks are made; `answers` takes those of `tasks` as they are.
        out: folder to make; `OUT-work` beside it keeps the server's answers and the raw rows.
        server: that makes tasks.
        answer_server: that answers them; None: the same.
        tasks: file with the tasks to begin with; None: none (Magpie).
        column: of their text; None: found by its usual names.
        count: tasks to make; for `answers`, to take; None: as many as there are.
        kinds: rows to make: `sft`, `preference`, or both.
        n: answers a task.
        per_task: most of them to keep for SFT.
        think: ask for chains of thought.
        reward: grades answers; needed for pairs and for n above per_task.
        reward_options: that reward's options.
        least: least score to learn from; None: correct.
        gap: least difference of the scores of a pair.
        rounds: of Evol-Instruct.
        prefix: Magpie's opening of the user's turn, or the name of a family of templates.
        prefix_system: put before it, in the model's own template.
        system: system message of the rows.
        licence: of what the server's model writes.
        seed: decides everything that is drawn.
        filters: as in `data_prep.prepare`.
        decontaminate: as there; on.
        eval_sets: as there.
        jsonl: as there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    method: Method
    out: Path
    server: Server
    answer_server: Server | None = None
    tasks: Path | None = None
    column: str | None = None
    count: int | None = Field(default=None, ge=1)
    kinds: tuple[Literal["sft", "preference"], ...] = ("sft",)
    n: int = Field(default=1, ge=1, le=1024)
    per_task: int = Field(default=1, ge=1)
    think: bool = False
    reward: str | None = None
    reward_options: dict[str, Any] = Field(default_factory=dict)
    least: float | None = None
    gap: float = Field(default=0.5, gt=0)
    rounds: int = Field(default=2, ge=1, le=10)
    prefix: str = "chatml"
    prefix_system: str = ""
    system: str = ""
    licence: str = "unknown"
    seed: int = Field(default=1, ge=0)
    filters: Any = FILTERS
    decontaminate: bool = True
    eval_sets: Path | None = None
    jsonl: bool = False

    @field_validator("kinds", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _together(self) -> SynthSpec:
        if self.method != "magpie" and self.tasks is None:
            raise ValueError(f"{self.method} begins with tasks: tasks=FILE")
        if self.method in ("self_instruct", "magpie") and self.count is None:
            raise ValueError(f"{self.method} has no end of its own: count=1000")
        if "preference" in self.kinds and (self.reward is None or self.n < 2):
            raise ValueError("pairs need a reward and n of 2 or more: reward=math n=8")
        if self.reward is None and self.n > self.per_task:
            raise ValueError("choosing among n answers needs a reward: reward=math")
        return self


def parse_spec(mapping: Mapping[str, Any]) -> SynthSpec:
    """A checked specification.

    Raises:
        ConfigError: a key is missing, unknown, or does not fit.
    """
    try:
        return SynthSpec.model_validate(dict(mapping))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "synthesis"
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {said}", fix="python -m data_prep.synthesize -h") from error


def read_tasks(path: Path, column: str | None = None) -> Iterator[Task]:
    """The tasks in a file: RL or SFT rows of ours, or a column of texts.

    Raises:
        DataError: the file cannot be read, or has no such column.
    """
    for number, (where, record) in enumerate(read_rows(path), start=1):
        if column is None and isinstance(record.get("prompt"), list):
            row, _ = unpacked("rl", record)
            yield _task(row, row["prompt"], gold_of(row), number)
        elif column is None and ("messages" in record or "chat" in record):
            row, _ = unpacked("sft", record)
            yield _task(row, row["messages"], None, number)
        else:
            names = [column] if column else [name for name in COLUMNS if name in record]
            text = record.get(names[0]) if names else None
            if not isinstance(text, str) or not text.strip():
                raise DataError(
                    f"{where}: no task in {names[0] if names else 'any usual column'}; it has "
                    f"{', '.join(record)}",
                    fix="column=NAME",
                )
            answer = record.get("answer")
            gold = answer if isinstance(answer, str) and answer.strip() else None
            yield Task(text.strip(), str(record.get("id", number)), "", gold)


def _task(row: Mapping[str, Any], chat: Any, gold: str | None, number: int) -> Task:
    """The first question of a chat, with its system message."""
    system = next((one["content"] for one in chat if one["role"] == "system"), "")
    asked = next((one["content"] for one in chat if one["role"] == "user"), "")
    extra = row.get("extra_info")
    facts = {"data_source": row.get("data_source"), **(extra if isinstance(extra, dict) else {})}
    known = {name: value for name, value in facts.items() if value is not None}
    return Task(asked, id_of(row) or str(number), "", gold, system, known)
