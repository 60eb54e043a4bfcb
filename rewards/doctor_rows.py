"""What the doctor examines: a reward, rows of the data, and how fast the run will ask.

In: a recipe (composed by launch's own command, which is the only one who knows how), or a reward
and a Parquet file. Out: a `Patient`. Reads at most as many rows as asked for, evenly spread. Judges
nothing.
"""

from __future__ import annotations

import json
import os
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
    """

    reward: str
    options: Mapping[str, Any]
    samples: Sequence[Sample]
    per_step: int | None = None
    workers: int = 1
    max_response_tokens: int = MAX_RESPONSE_TOKENS
    source: str = ""
    notes: Sequence[str] = field(default_factory=tuple)


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
    import yaml

    # The hardware decides nothing here, and finding it out takes seconds.
    hardware = [] if any(word.startswith("hardware=") for word in words) else ["hardware=cpu"]
    text = _command(["launch.grpo", *words, *hardware, "--cfg", "job", "--resolve"])
    config = yaml.safe_load(text)
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
        per_step=config["data"]["train_batch_size"] * config["actor_rollout_ref"]["rollout"]["n"],
        workers=config["reward"]["num_workers"],
        max_response_tokens=config["data"]["max_response_length"],
        source=", ".join(files),
        notes=notes,
    )


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
