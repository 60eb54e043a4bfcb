"""A model on a suite of tasks: the typed specification.

In: words such as `model=PATH` and `suite=[gsm8k,math500]`, or a JSON file. Out: a `SuiteSpec` that
is checked, or a `ConfigError`. What a task is, `suite.task` says; what of it may be set for one
evaluation, its `CHANGEABLE`. It opens no model and no data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from conf.errors import ConfigError
from eval.spec import LABEL, EngineSpec, Text, checked, read_words
from eval.suite.task import Task, load_task, names, nearest

USAGE: Final = (
    "usage: python -m eval.run model=PATH_OR_HUB 'suite=[TASK,…]' [key=value …] [--spec FILE.json] "
    "[--debug]"
)
STEP: Final = re.compile(r"global_step_\d+")  # a checkpoint of a run
USUAL: Final = re.compile(r"huggingface|actor|hf|merged|final|checkpoint-\d+")  # names of no model
OVERRIDES: Final = (  # one word for all tasks; `set.TASK.KEY=` wins
    *("temperature", "top_p", "top_k", "max_tokens", "samples", "few_shot", "format"),
)


class SuiteSpec(EngineSpec):
    """An evaluation of one model; each field's description is its documentation."""

    model: Text = Field(description="folder or hub id; with endpoint.*, what the server calls it")
    suite: list[Text] = Field(
        min_length=1, description="tasks: names, path/to/mine.yaml, or rows.parquet of data_prep"
    )
    out: str = Field(default="", description='folder of the evaluation; "": evaluations/LABEL')
    label: str = Field(
        default="",
        description='name in tables; "": the last part of model, of a checkpoint its run and step',
    )
    local: str | dict[str, Text] | None = Field(
        default=None,
        description="folder with the tasks' data (TASK/ in it), or local.TASK=FOLDER_OR_FILE; "
        "null: the hub",
    )
    n: int | None = Field(
        default=None, ge=1, description="most items of a task, a seeded stratified sample"
    )
    seed: int = Field(default=1, ge=0, description="of the choice of items and of the sampling")
    temperature: float | None = Field(default=None, ge=0, description="null: each task's own")
    top_p: float | None = Field(default=None, gt=0, le=1, description="null: each task's own")
    top_k: int | None = Field(default=None, ge=-1, description="null: each task's own")
    max_tokens: int | None = Field(default=None, ge=1, description="null: each task's own")
    samples: int | None = Field(default=None, ge=1, description="null: each task's own")
    few_shot: int | None = Field(default=None, ge=0, description="null: each task's own")
    format: str | None = Field(default=None, description="chat or text; null: each task's own")
    set: dict[str, dict[str, Any]] = Field(
        default={}, description="set.TASK.KEY=value, any key that a task lets be set"
    )
    baseline: str | None = Field(
        default=None,
        description="evaluation folder or records file whose responses a preference task compares "
        "with",
    )
    judge: dict[str, Any] = Field(
        default={}, description="judge.base_url=… judge.model=…, the server that judges preferences"
    )
    endpoint: dict[str, Any] | None = Field(
        default=None, description="endpoint.base_url=…/v1, a server that generates; null: vLLM here"
    )
    replicas: int = Field(default=1, ge=1, description="engines; more than one run under Ray")
    tensor_parallel: int = Field(default=1, ge=1, description="GPUs of one engine")
    ray_address: str | None = Field(default=None, description="Ray cluster to join")
    template_options: dict[str, Any] = Field(
        default={}, description="template_options.enable_thinking=false, for the chat template"
    )

    @field_validator("label")
    @classmethod
    def _label(cls, label: str) -> str:
        if label and not LABEL.fullmatch(label):
            raise ValueError(f"label {label!r}: need letters, digits, - or _")
        return label

    @property
    def name(self) -> str:
        """The label, given or made of the model's name."""
        made = re.sub(r"[^A-Za-z0-9_-]+", "-", _called(self.model)).strip("-_")
        return self.label or made or "model"

    @property
    def folder(self) -> Path:
        """Where the evaluation's files go."""
        return Path(self.out or f"evaluations/{self.name}").expanduser()

    def tasks(self) -> list[Task]:
        """The suite's tasks, with what this evaluation sets.

        Raises:
            ConfigError: a task does not exist or does not hold together, or two have one name.
        """
        common = {key: getattr(self, key) for key in OVERRIDES if getattr(self, key) is not None}
        found: dict[str, Task] = {}
        for entry in self.suite:
            own = self.set.get(Path(entry).stem if "." in entry else entry, {})
            made = load_task(entry, {**common, **own})
            if made.name in found:
                raise ConfigError(
                    f"suite has two tasks named {made.name!r}", "rename one of their files"
                )
            found[made.name] = made
        for name in self.set:
            if name not in found:
                raise ConfigError(f"set.{name}: no such task in the suite", nearest(name, found))
        return list(found.values())


def _called(model: str) -> str:
    """What a model is called: the last part of its name, for a hub id or a folder of that name.

    A run's checkpoint, whose folders are named alike in all runs, is `<recipe>-<run>-step<N>`;
    another folder with a name of no model goes with the one above it.
    """
    path = Path(model).expanduser()
    step = next((one for one in (path, *path.parents) if STEP.fullmatch(one.name)), None)
    if step is not None:
        run = step.absolute().parent
        names: tuple[str, ...] = (run.name,)
        if run.name in ("checkpoints", "best"):
            names = (run.parent.parent.name, run.parent.name)
        return "-".join((*names, step.name.replace("global_step_", "step")))
    parts = [part for part in re.split(r"[/\\]", model) if part] or ["model"]
    return "-".join(parts[-2 if USUAL.fullmatch(parts[-1]) else -1 :])


def parse_suite(words: Sequence[str]) -> SuiteSpec:
    """Read the words of an evaluation of a suite.

    Raises:
        ConfigError: see `eval.spec.parse`.
    """
    return checked(read_words(words, SuiteSpec), SuiteSpec, ("endpoint.base_url", "judge.model"))


def is_suite(words: Sequence[str]) -> bool:
    """Whether words ask for a suite, not for models on one file of rows."""
    keys = {word.partition("=")[0] for word in words}
    if "--spec" in words:
        keys |= set(read_words([*words][words.index("--spec") :][:2], SuiteSpec))
    return bool(keys & {"suite", "model"}) and "data" not in keys


__all__ = ["OVERRIDES", "USAGE", "SuiteSpec", "is_suite", "names", "parse_suite"]
