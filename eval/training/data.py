"""What a run left on disk, read for its report.

In: a run folder (see conf/runs.py for its layout). Out: a `RunRecord`. Only the metrics must be
there; every other piece is None when missing. A piece that is there and cannot be read is None and
named in `problems`, so that the report says so instead of hiding it. Nothing here judges, draws or
writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError

Json = dict[str, Any]


@dataclass
class Metrics:
    """The merged metrics of a run: step → key → value (None where verl logged none or NaN)."""

    rows: dict[int, dict[str, float | None]] = field(default_factory=dict)
    unreadable: int = 0  # lines that are not of verl's FileLogger format

    def line(self, key: str) -> list[tuple[int, float | None]]:
        """The steps that logged `key`, in order, with its values."""
        return [(step, row[key]) for step, row in sorted(self.rows.items()) if key in row]

    def finite(self, key: str) -> list[tuple[int, float]]:
        """As `line`, without the values that are no finite number."""
        return [(s, v) for s, v in self.line(key) if v is not None and math.isfinite(v)]

    def keys(self, prefix: str) -> list[str]:
        """All metric names that start with `prefix`, sorted."""
        return sorted({key for row in self.rows.values() for key in row if key.startswith(prefix)})

    @property
    def train_steps(self) -> list[int]:
        """Steps that trained, in order: those with more than validation metrics."""
        return sorted(
            step
            for step, row in self.rows.items()
            if any(not key.startswith(("val-", "val/", "testing/")) for key in row)
        )


@dataclass(frozen=True)
class Attempt:
    """One start of the run: its folder's name, the steps it logged, what its files say of it."""

    name: str
    from_step: int | None  # start.json: the checkpoint it went on from, 0 for none
    first_step: int | None
    last_step: int | None
    started: Json | None  # pid.json
    ended: Json | None  # exit.json; None: it left none, so it was killed or still runs


@dataclass(frozen=True)
class RunRecord:
    """All that a report may use of one run folder."""

    folder: Path
    metrics: Metrics
    config: Json | None
    config_text: str | None
    plan: Json | None
    environment: Json | None
    preflight: Json | list[Any] | None
    results: Json | None
    stopped: Json | None  # the early stop of an SFT run
    best: Json | None  # the checkpoint that was chosen, by eval.best
    attempts: tuple[Attempt, ...]
    problems: tuple[str, ...]

    def setting(self, path: str) -> Any:
        """The configured value at a dotted path; None when it is not recorded."""
        node: Any = self.config
        for part in path.split("."):
            if not isinstance(node, dict) or part not in node:
                return None
            node = node[part]
        return node

    def positive(self, path: str) -> float | None:
        """The configured value at `path` where it is a number above 0."""
        value = self.setting(path)
        good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        return float(value) if good else None


def read_lines(file: Path) -> Iterator[tuple[int, Json | None]]:
    """Number and object of each line of a JSONL file; None for a line that holds no object.

    A run that was killed leaves half a last line: that is a None, not an error.
    """
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            yield number, value if isinstance(value, dict) else None


def read_metrics(file: Path) -> Metrics:
    """Read verl's FileLogger lines; records of one step are merged by key, the later one wins."""
    metrics = Metrics()
    for _, record in read_lines(file):
        step = None if record is None else record.get("step")
        data = None if record is None else record.get("data")
        if not isinstance(step, int) or not isinstance(data, dict):
            metrics.unreadable += 1
            continue
        row = metrics.rows.setdefault(step, {})
        for key, value in data.items():
            if value is None or isinstance(value, int | float):
                row[key] = None if value is None else float(value)
    return metrics


def steps_in(folder: Path) -> dict[int, Path]:
    """The `<step>.jsonl` files of a dump folder that are not empty, in the order of steps."""
    files = {int(f.stem): f for f in folder.glob("*.jsonl") if f.stem.isdecimal()}
    return {step: files[step] for step in sorted(files) if files[step].stat().st_size}


class _Reader:
    """Reads the optional files of one folder and keeps what went wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def json(self, name: str) -> Any:
        """The parsed file; None when it is missing or not JSON."""
        file = self.folder / name
        if not file.is_file():
            return None
        try:
            return json.loads(file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError, RecursionError) as error:
            self.problems.append(f"{name} cannot be read: {error}")
            return None

    def object(self, name: str) -> Json | None:
        """As `json`, for files that must hold an object."""
        value = self.json(name)
        if value is not None and not isinstance(value, dict):
            self.problems.append(f"{name} holds {type(value).__name__}, an object is needed")
            return None
        return value

    def config(self) -> tuple[Json | None, str | None]:
        """The newest attempt's configuration (it may have grown), parsed and as it stands."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
        from yaml import YAMLError

        names = [*sorted(self.folder.glob("attempts/[0-9]*/config.yaml"), reverse=True)[:1],
                 self.folder / "config.yaml"]  # fmt: skip
        file = next((name for name in names if name.is_file()), None)
        if file is None:
            return None, None
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            tree = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
        except (YAMLError, OmegaConfBaseException, ValueError) as error:
            self.problems.append(f"config.yaml cannot be parsed: {str(error).splitlines()[0]}")
            return None, text
        return {str(k): v for k, v in tree.items()} if isinstance(tree, dict) else None, text

    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts in order."""
        out = []
        for folder in sorted((self.folder / "attempts").glob("[0-9]*")):
            name = f"attempts/{folder.name}"
            file = folder / "metrics.jsonl"
            steps = sorted(read_metrics(file).rows) if file.is_file() else []
            start = self.object(f"{name}/start.json") or {}
            from_step = start.get("from_step")
            out.append(
                Attempt(
                    name=folder.name,
                    from_step=from_step if isinstance(from_step, int) else None,
                    first_step=steps[0] if steps else None,
                    last_step=steps[-1] if steps else None,
                    started=self.object(f"{name}/pid.json"),
                    ended=self.object(f"{name}/exit.json"),
                )
            )
        return tuple(out)


def read_run(folder: Path) -> RunRecord:
    """Read one run folder.

    Raises:
        EvaluationError: there is no such folder, or it holds no readable metrics.
    """
    file = folder / "metrics.jsonl"
    if not file.is_file():
        what = "no metrics.jsonl" if folder.is_dir() else "no such folder"
        raise EvaluationError(
            f"no report without metrics: {str(folder)!r} has {what}"
            if folder.is_dir()
            else f"no report without metrics: {what}: {str(folder)!r}",
            "name a run folder, runs/<recipe>/<name>, whose training has logged a step",
        )
    metrics = read_metrics(file)
    if not metrics.rows:
        raise EvaluationError(
            f"{str(file)!r} holds no step ({metrics.unreadable} unreadable lines)",
            'needed: lines such as {"step": 1, "data": {"critic/score/mean": 0.5}}',
        )
    reader = _Reader(folder)
    config, text = reader.config()
    return RunRecord(
        folder=folder,
        metrics=metrics,
        config=config,
        config_text=text,
        plan=reader.object("plan.json"),
        environment=reader.object("environment.json"),
        preflight=reader.json("preflight.json"),
        results=reader.object("eval/results.json"),
        stopped=reader.object("stopped.json"),
        best=reader.object("best/best.json"),
        attempts=reader.attempts(),
        problems=tuple(reader.problems),
    )
