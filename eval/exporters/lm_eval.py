"""An evaluation in the layout of lm-eval (EleutherAI's harness 0.4): results and samples.

In: an `Evaluation`. Out: `MODEL/results_DATE.json` and `MODEL/samples_TASK_DATE.jsonl` under a
folder, as its `--output_path` and `--log_samples` leave them. The metric is `acc`, its filter
`none`; `acc_stderr` is the standard error of the mean over items. Our intervals go along under
`temper`, which its readers do not look at. A failed verdict is no sample there, as it is none here.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from conf.atomic import write_json, write_text
from eval.folder import Evaluation
from eval.pages.items import gold_text, prompt_text
from eval.records import Record
from rewards.verdict import BROKEN

METRIC: Final = "acc"
FILTER: Final = "none"
VERSION: Final = 1


def export(evaluation: Evaluation, out: Path, when: datetime) -> list[Path]:
    """Write the files and return their paths, the results first.

    Args:
        evaluation: what to write.
        out: the folder; the model's own folder is made in it.
        when: the time that the files' names and `date` tell.
    """
    stamp = when.strftime("%Y-%m-%dT%H-%M-%S.%f")
    name = re.sub(r"[\"<>:/|\\?*\[\]]+", "__", evaluation.name)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    kept = {task: judged(records) for task, records in evaluation.tasks.items()}
    results = folder / f"results_{stamp}.json"
    write_json(results, _results(evaluation, kept, name, when))
    paths = [results]
    for task, records in kept.items():
        path = folder / f"samples_{re.sub(r'[^A-Za-z0-9_]', '_', task)}_{stamp}.jsonl"
        lines = (json.dumps(_sample(items), ensure_ascii=True) for items in by_item(records))
        write_text(path, "".join(f"{line}\n" for line in lines))
        paths.append(path)
    return paths


def judged(records: Sequence[Record]) -> list[Record]:
    """The records whose verdict says something of the model."""
    return [record for record in records if record["verdict"]["status"] not in BROKEN]


def by_item(records: Sequence[Record]) -> list[list[Record]]:
    """The records of each item, in the items' order."""
    items: dict[Any, list[Record]] = {}
    for record in records:
        items.setdefault(record.get("index", record.get("id")), []).append(record)
    return list(items.values())


def value(record: Mapping[str, Any]) -> float:
    """A record's unshaped correctness."""
    acc = record["verdict"].get("acc")
    return float(record["verdict"]["status"] == "correct") if acc is None else float(acc)


def _results(
    evaluation: Evaluation, kept: Mapping[str, list[Record]], name: str, when: datetime
) -> dict[str, Any]:
    results, configs, counts, shots = {}, {}, {}, {}
    for task, records in kept.items():
        means = [statistics.fmean(map(value, items)) for items in by_item(records)]
        error = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else "N/A"
        one = evaluation.results[task]
        results[task] = {
            "alias": task,
            f"{METRIC},{FILTER}": statistics.fmean(means) if means else 0.0,
            f"{METRIC}_stderr,{FILTER}": error,
        }
        sampling = records[0].get("sampling") or {} if records else {}
        configs[task] = {
            "task": task,
            "output_type": "generate_until",
            "num_fewshot": int(sampling.get("few_shot") or 0),
            "repeats": max((len(items) for items in by_item(records)), default=1),
            "metric_list": [{"metric": METRIC, "aggregation": "mean", "higher_is_better": True}],
            "generation_kwargs": sampling,
            "metadata": {
                "version": VERSION,
                "temper": {key: one.get(key) for key in ("ci95", "method", "mde", "broken")},
            },
        }
        shots[task] = configs[task]["num_fewshot"]
        counts[task] = {"original": len(by_item(evaluation.tasks[task])), "effective": len(means)}
    seconds = sum(float(record.get("seconds") or 0) for record in evaluation.records)
    return {
        "results": results,
        "group_subtasks": {task: [] for task in kept},
        "configs": configs,
        "versions": dict.fromkeys(kept, VERSION),
        "n-shot": shots,
        "higher_is_better": {task: {METRIC: True} for task in kept},
        "n-samples": counts,
        "config": {"model": "temper", "model_args": f"pretrained={evaluation.name}",
                   "batch_size": None, "limit": None, "gen_kwargs": None},
        "git_hash": None,
        "date": when.timestamp(),
        "model_source": "temper",
        "model_name": evaluation.name,
        "model_name_sanitized": name,
        "total_evaluation_time_seconds": str(seconds),
    }  # fmt: skip


def _sample(items: Sequence[Record]) -> dict[str, Any]:
    """One item with all its responses."""
    first = items[0]
    prompt, target = prompt_text(first.get("prompt")), gold_text(first.get("ground_truth"))
    doc = {
        "id": first.get("id"),
        "question": prompt,
        "answer": target,
        **(first.get("extra") or {}),
    }
    responses = [str(record["response"]) for record in items]
    return {
        "doc_id": first.get("index"),
        "doc": doc,
        "target": target,
        "arguments": {
            "gen_args_0": {"arg_0": prompt, "arg_1": first.get("sampling") or {}},
        },
        "resps": [responses],
        "filtered_resps": [str(record["verdict"].get("pred") or "") for record in items],
        "filter": FILTER,
        "metrics": [METRIC],
        "doc_hash": _hash(json.dumps(doc, sort_keys=True, default=str)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        METRIC: statistics.fmean(map(value, items)),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
