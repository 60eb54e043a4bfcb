"""What the doctor examines: a reward, rows of the data, and how fast the run will ask.

In: a recipe (composed by launch's own command, which is the only one who knows how), with the
metrics of its last run where there is one, or a reward and a Parquet file. Out: a `Patient`. Reads
at most as many rows as asked for, evenly spread. Judges nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conf.errors import ConfigError, DataError, RewardError, TemperError
from rewards.registry import row_fields

# Fields of a row that may hold a right response as a model would write it.
REFERENCES: Final = ("reference", "response", "solution", "canonical_solution", "code", "answer")
GENERATION: Final = "timing_s/gen"  # verl's metric: seconds that a step's rollouts took
_KINDS: Final[Mapping[int, type[TemperError]]] = {
    kind.exit_code: kind for kind in (ConfigError, DataError, RewardError)
}  # what a command's exit code says
MAX_RESPONSE_TOKENS: Final = 4096  # where no run says otherwise


@dataclass(frozen=True)
class Sample:
    """One row, as a reward sees it.

    Attributes:
        prompt: the last user turn, as text.
        gold: the ground truth.
        row: the row's other fields.
        references: right responses that the row holds.
    """

    prompt: str
    gold: Any
    row: Mapping[str, Any]
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class RolloutTime:
    """How long a former run of the recipe generated a step's rollouts.

    Attributes:
        seconds: median over its steps, its own verdicts within.
        source: its metrics file.
    """

    seconds: float
    source: str


@dataclass(frozen=True)
class Patient:
    """A reward and what it will be asked.

    Attributes:
        reward: its spec.
        options: its options.
        samples: rows of the training data.
        per_step: responses that a training step judges; None when there is no run.
        workers: reward workers that share them.
        max_response_tokens: the run's length cap.
        source: where the rows come from, for the heading.
        notes: what else the heading says.
        rollouts: of a former run; None where there is none.
    """

    reward: str
    options: Mapping[str, Any]
    samples: Sequence[Sample]
    per_step: int | None = None
    workers: int = 1
    max_response_tokens: int = MAX_RESPONSE_TOKENS
    source: str = ""
    notes: Sequence[str] = field(default_factory=tuple)
    rollouts: RolloutTime | None = None


def read_samples(files: Sequence[str], limit: int, reference: str | None = None) -> list[Sample]:
    """Rows of Parquet files in verl's columns, `limit` of them, evenly spread.

    Args:
        files: the files, in order.
        limit: most rows.
        reference: field of the row (of `extra_info`, or a column) with a right response.

    Raises:
        DataError: a file cannot be read, or has no gold answers.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples: list[Sample] = []
    each = max(1, limit // max(1, len(files)))
    for file in files:
        try:
            # read_table would import pandas, and so would take with a list: 1.5 s.
            table = pq.ParquetFile(file).read()
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"cannot read {file}: {str(error).splitlines()[0]}", "give a Parquet file of rows"
            ) from error
        missing = {"prompt", "reward_model"} - set(table.column_names)
        if missing or not table.num_rows:
            what = f"lacks the columns {sorted(missing)}" if missing else "holds no rows"
            raise DataError(f"{file} {what}", "rows in verl's columns, as data_prep writes them")
        step = max(1, table.num_rows // each)
        for number in range(0, table.num_rows, step)[:each]:
            samples += [sample(row, reference) for row in table.slice(number, 1).to_pylist()]
    return samples


def sample(row: Mapping[str, Any], reference: str | None = None) -> Sample:
    """A row in verl's columns as a reward sees it.

    Raises:
        DataError: the named reference field is not there.
    """
    info = row_fields(row.get("extra_info"))
    prompt = row["prompt"]
    if not isinstance(prompt, str):
        turns = [turn["content"] for turn in prompt if turn["role"] == "user"]
        prompt = str(turns[-1] if turns else "")
        info.setdefault("prompt", row["prompt"])
    fields = {**row, **info}
    if reference is not None and reference not in fields:
        raise DataError(
            f"rows have no field {reference!r}", f"--reference one of {', '.join(sorted(fields))}"
        )
    names = REFERENCES if reference is None else (reference,)
    found = [str(fields[n]) for n in names if isinstance(fields.get(n), str) and fields[n]]
    gold = row["reward_model"]["ground_truth"]
    return Sample(prompt, gold, {**info, "data_source": row.get("data_source")}, tuple(found))


def rollout_time(config: Mapping[str, Any]) -> RolloutTime | None:
    """What the recipe's run folder says of generating; None where no such run has logged a step.

    A run with another number of rollouts a step is scaled: verdicts are asked for as they come.
    """
    folder = Path(config["run"]["dir"])
    per_step = _per_step(config)
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        then = _per_step(_yaml(text))
        found = [json.loads(line)["data"].get(GENERATION) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    seconds = [float(value) for value in found if isinstance(value, (int, float)) and value > 0]
    if not seconds or not then:
        return None
    return RolloutTime(statistics.median(seconds) * per_step / then, str(folder / "metrics.jsonl"))


def from_recipe(words: Sequence[str], limit: int, reference: str | None = None) -> Patient:
    """A recipe's reward and data, as `python -m launch.grpo` would compose them.

    Args:
        words: Hydra's, such as `+recipe=arithmetic reward_fn.name=exact`.
        limit: most rows.
        reference: see `read_samples`.

    Raises:
        ConfigError: the recipe does not compose.
        TemperError: its data cannot be prepared, with what `data_prep` said.
    """
    # The hardware decides nothing here, and finding it out takes seconds.
    hardware = [] if any(word.startswith("hardware=") for word in words) else ["hardware=cpu"]
    text = _command(["launch.grpo", *words, *hardware, "--cfg", "job", "--resolve"])
    config = _yaml(text)
    listed = config["data"]["train_files"]
    files = [listed] if isinstance(listed, str) else list(listed)
    notes = []
    if not all(Path(file).exists() for file in files):
        said = _command(
            ["data_prep.prepare", "--spec", "/dev/stdin"], given=json.dumps(config["data_prep"])
        )
        notes.append(said.strip().splitlines()[-1])
    return Patient(
        reward=config["reward_fn"]["name"],
        options=config["reward_fn"]["options"],
        samples=read_samples(files, limit, reference),
        per_step=_per_step(config),
        workers=config["reward"]["num_workers"],
        max_response_tokens=config["data"]["max_response_length"],
        source=", ".join(files),
        notes=notes,
        rollouts=rollout_time(config),
    )


def _per_step(config: Mapping[str, Any]) -> int:
    """Responses that a training step judges."""
    n: int = config["data"]["train_batch_size"] * config["actor_rollout_ref"]["rollout"]["n"]
    return n


def _yaml(text: str) -> Any:
    """YAML without Python objects.

    Raises:
        ValueError: it is none.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _command(words: Sequence[str], given: str = "") -> str:
    """Stdout of `python -m …`."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, "PYTHONPATH": path},
        input=given,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        message, _, fix = last.removeprefix("error: ").partition(" → ")
        raise _KINDS.get(done.returncode, RewardError)(f"{words[0]}: {message}", fix)
    return done.stdout
