"""An evaluation as logs of inspect_ai, so that `inspect view` opens it: one `.eval` file a task.

In: an `Evaluation`. Out: `DATE_TASK_ID.eval` files: a zip of `header.json`, a JSON file a sample,
`summaries.json` and the journal's start, in the format's version 2. Several samples of an item are
its epochs; it is called by its id where ids are unique, else by its row, as files have its name. A
failed verdict is a score that is not a number, which inspect counts as unscored. The class of a
failure goes along as the score's metadata and, where inspect has a word for it, as its `reason`.
Needs no inspect_ai: the format is written by hand and tested with its own loader.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import statistics
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from conf.atomic import writing
from eval.answers import naming
from eval.exporters.lm_eval import by_item, judged, value
from eval.failures.classify import Failure
from eval.folder import Evaluation
from eval.pages.items import gold_text
from eval.records import Record

FORMAT: Final = 2
SCORER: Final = "temper"
STOPS: Final = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
REASONS: Final = {
    "refusal": "refusal",
    "wrong_format": "invalid_response_format",
    "no_answer": "invalid_response_format",
    "verifier_failed": "scoring_failed",
}
ROLES: Final = ("system", "user", "assistant")
Json = dict[str, Any]


def export(
    evaluation: Evaluation,
    out: Path,
    when: datetime,
    classes: Mapping[str, Sequence[Failure | None]],
) -> list[Path]:
    """Write one log a task and return their paths.

    Args:
        evaluation: what to write.
        out: the log folder.
        when: the time that the logs tell.
        classes: the class of each record.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for task, records in evaluation.tasks.items():
        header = _header(evaluation, task, records, when)
        stamp = when.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%S+00-00")
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", task)
        path = out / f"{stamp}_{name}_{header['eval']['task_id']}.eval"
        name_of = naming(records)
        samples = [
            _sample(evaluation, record, failure, str(name_of(record)))
            for record, failure in zip(records, classes[task], strict=True)
        ]
        _write(path, header, samples)
        paths.append(path)
    return paths


def _write(path: Path, header: Json, samples: Sequence[Json]) -> None:
    with writing(path):
        unfinished = path.with_suffix(".tmp")
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as log:

            def add(name: str, data: Any) -> None:
                # Without a time: the same evaluation gives the same bytes.
                about = zipfile.ZipInfo(name)
                log.writestr(about, _text(data), zipfile.ZIP_DEFLATED)

            add("_journal/start.json", {name: header[name] for name in ("version", "eval", "plan")})
            for sample in samples:
                add(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            add("summaries.json", [_summary(sample) for sample in samples])
            add("header.json", header)
        unfinished.replace(path)


def _text(data: Any) -> str:
    """JSON as inspect reads it: NaN is its mark of what was not scored."""
    return json.dumps(data, ensure_ascii=True, default=str)


def _short(*parts: str) -> str:
    """An id of 22 letters and digits that depends on the parts alone."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:22]


def _header(evaluation: Evaluation, task: str, records: Sequence[Record], when: datetime) -> Json:
    sampling = records[0].get("sampling") or {}
    created = when.astimezone(UTC).isoformat()
    known = ("temperature", "top_p", "top_k", "max_tokens", "seed")
    config = {key: sampling[key] for key in known if sampling.get(key) is not None}
    name_of = naming(records)
    epochs = max(len(items) for items in by_item(records))
    model = evaluation.name.replace("\\", "/")
    identity = (evaluation.name, task, created)
    versions = evaluation.whole.get("versions") or {}
    return {
        "version": FORMAT,
        "status": "success",
        "eval": {
            "eval_id": _short("eval", *identity),
            "run_id": _short("run", evaluation.name, created),
            "created": created,
            "task": task,
            "task_id": _short("task", *identity),
            "task_version": 0,
            "dataset": {
                "name": task,
                "samples": len(by_item(records)),
                "sample_ids": [str(name_of(items[0])) for items in by_item(records)],
                "shuffled": False,
            },
            "model": model,
            "model_generate_config": config,
            "config": {"epochs": epochs, "epochs_reducer": ["mean"], "log_samples": True},
            "packages": {str(name): str(text) for name, text in versions.items()},
            "scorers": [{"name": SCORER, "metrics": [{"name": "accuracy"}, {"name": "stderr"}]}],
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": config},
        "results": _results(evaluation, task, records),
        "stats": {
            "started_at": created,
            "completed_at": created,
            "model_usage": {model: _usage(records)},
        },
    }


def _results(evaluation: Evaluation, task: str, records: Sequence[Record]) -> Json:
    one = evaluation.results[task]
    kept = judged(records)
    means = [statistics.fmean(map(value, items)) for items in by_item(kept)]
    error = statistics.stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0
    numbers = {"accuracy": float(one["accuracy"]), "stderr": error}
    numbers |= {"ci95_low": float(one["ci95"][0]), "ci95_high": float(one["ci95"][1])}
    return {
        "total_samples": len(records),
        "completed_samples": len(records),
        "scores": [
            {
                "name": SCORER,
                "scorer": SCORER,
                "reducer": "mean",
                "scored_samples": len(kept),
                "unscored_samples": len(records) - len(kept),
                "params": {},
                "metrics": {key: {"name": key, "value": n} for key, n in numbers.items()},
            }
        ],
    }


def _usage(records: Sequence[Mapping[str, Any]]) -> Json:
    given = sum(int(record.get("prompt_tokens") or 0) for record in records)
    made = sum(int(record.get("tokens") or 0) for record in records)
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}


def _messages(prompt: Any, response: str, model: str) -> list[Json]:
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt or [])
    found: list[Json] = []
    for turn in turns:
        role = turn.get("role")
        found.append(
            {"role": role if role in ROLES else "user", "content": str(turn.get("content", ""))}
        )
    return [
        *found,
        {"role": "assistant", "content": response, "model": model, "source": "generate"},
    ]


def _sample(evaluation: Evaluation, record: Record, failure: Failure | None, name: str) -> Json:
    verdict = record["verdict"]
    response = str(record["response"])
    messages = _messages(record.get("prompt"), response, evaluation.name)
    status = str(verdict["status"])
    broken = failure is not None and failure.kind == "verifier_failed"
    metadata: Json = {"status": status, **(verdict.get("components") or {})}
    if failure is not None:
        metadata |= {"class": failure.kind, "why": failure.why}
        metadata |= {"cause": failure.sort} if failure.sort else {}
    score: Json = {
        "value": math.nan if broken else value(record),
        "answer": str(verdict.get("pred") or ""),
        "explanation": str(verdict.get("detail") or (failure.why if failure else "")),
        "metadata": metadata,
    }
    if failure is not None and failure.kind in REASONS:
        score["reason"] = REASONS[failure.kind]
    choice = {
        "message": messages[-1],
        "stop_reason": STOPS.get(str(record.get("finish_reason")), "unknown"),
    }
    usage = _usage([record])
    seconds = float(record.get("seconds") or 0)
    return {
        "id": name,
        "epoch": int(record.get("sample") or 0) + 1,
        "input": messages[:-1],
        "target": gold_text(record.get("ground_truth")),
        "messages": messages,
        "output": {"model": evaluation.name, "choices": [choice], "completion": response,
                   "usage": usage, "time": seconds},
        "scores": {SCORER: score},
        "metadata": {**(record.get("extra") or {}), "key": record.get("key"),
                     "id": record.get("id")},
        "store": {},
        "events": [],
        "model_usage": {evaluation.name.replace("\\", "/"): usage},
        "total_time": seconds,
        "working_time": seconds,
        "uuid": _short("sample", evaluation.name, str(record.get("key")), name,
                       str(record.get("sample") or 0)),
        "attachments": {},
    }  # fmt: skip


def _summary(sample: Json) -> Json:
    """What the viewer's list shows of a sample."""
    keys = ("id", "epoch", "input", "target", "scores", "model_usage", "total_time",
            "working_time", "uuid")  # fmt: skip
    return {
        **{key: sample[key] for key in keys},
        "metadata": {
            key: found
            for key, found in sample["metadata"].items()
            if isinstance(found, str | int | float | bool)
        },
        "completed": True,
        "message_count": len(sample["messages"]),
    }
