"""`python -m data_prep.synthesize method=… out=DIR server.base_url=… server.model=…`: new rows.

In: a specification as `key=value` words, an OpenAI-compatible server, mostly a file of tasks. Out:
a folder as `data_prep.prepare` makes it: what the server wrote goes through the same filters and
the same decontamination. `OUT-work` keeps each answer under its payload's hash, so that a run that
was cut off goes on where it was. Tasks come from `data_prep.synth.instructions`, answers from
`data_prep.synth.answers`; here they are put together.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from conf.errors import DataError, boundary
from data_prep.manifest import Manifest
from data_prep.prepare import parse_words, prepare, said
from data_prep.synth.answers import Sampling, answered, rows
from data_prep.synth.instructions import Task, evol_instruct, magpie, self_instruct
from data_prep.synth.spec import SynthSpec, parse_spec, read_tasks
from data_prep.work import put_text
from rewards.registry import load_reward

USAGE: Final = """\
usage: python -m data_prep.synthesize method=NAME out=DIR server.base_url=URL server.model=NAME …
  method=self_instruct tasks=FILE count=1000      tasks after the example of others
  method=evol_instruct tasks=FILE rounds=2        tasks made harder or rarer
  method=magpie count=1000 prefix=chatml          tasks that an aligned model writes unasked
  method=answers tasks=FILE n=8 reward=math       the best of n answers, by a reward
  kinds=sft,preference  think=true  per_task=1  gap=0.5  least=0.7  licence=NAME  seed=1
  server.per_minute=600  server.parallel=16  server.key_variable=NAME  answer_server.model=NAME
  filters=NAME,…  eval_sets=DIR  decontaminate=false  jsonl=true   as in data_prep.prepare
"""
COLUMNS: Final[Mapping[str, dict[str, str]]] = {
    "sft": {"messages": "messages"},
    "preference": {
        name: name
        for name in ("prompt", "chosen", "rejected", "score_chosen", "score_rejected")
    },
}  # fmt: skip


def synthesize(mapping: Mapping[str, Any]) -> tuple[Manifest, Counter[str]]:
    """Make tasks, have them answered, filter.

    Returns:
        The manifest of the prepared folder, and why tasks and answers were left out before.

    Raises:
        ConfigError: the specification does not fit.
        DataError: the server does not answer, or nothing came of it.
    """
    spec = parse_spec(mapping)
    work = spec.out.with_name(f"{spec.out.name}-work")
    kept = spec.server.model_copy(update={"cache": spec.server.cache or work / "answers"})
    server = spec.answer_server or spec.server
    answers = kept if server is spec.server else server.model_copy(
        update={"cache": server.cache or work / "answers"}
    )  # fmt: skip
    lost: Counter[str] = Counter()
    sampling = Sampling(
        spec.n,
        spec.think,
        spec.system,
        load_reward(spec.reward, spec.reward_options) if spec.reward else None,
        spec.seed,
        spec.least,
        spec.per_task,
        spec.gap,
    )
    tasks = _tasks(spec.model_copy(update={"server": kept}), lost)
    if not tasks:
        raise DataError(f"no task was made ({_told(lost)})", fix="check the model and the prompts")
    made: dict[str, list[dict[str, Any]]] = {kind: [] for kind in spec.kinds}
    for task, graded in answered(answers, tasks, sampling, lost):
        for kind in spec.kinds:
            new = list(rows(kind, task, graded, sampling))
            made[kind] += new
            lost[f"no_{kind}_answer"] += not new
    lost = +lost
    sources = [_put(work, kind, found, spec) for kind, found in made.items() if found]
    if not sources:
        raise DataError(f"no answer was good enough ({_told(lost)})", fix="least=… n=…")
    rows_made = {kind: len(found) for kind, found in made.items()}
    told = {"tasks": len(tasks), "rows": rows_made, "lost": dict(lost)}
    text = json.dumps(told, indent=2, sort_keys=True) + "\n"
    put_text(work / "synthesis.json", text, fix="out=FOLDER")
    asked = {
        "source": sources,
        "out": str(spec.out),
        "seed": spec.seed,
        "filters": spec.filters,
        "decontaminate": spec.decontaminate,
        "eval_sets": None if spec.eval_sets is None else str(spec.eval_sets),
        "jsonl": spec.jsonl,
    }
    return prepare(asked)[0], lost


def _tasks(spec: SynthSpec, lost: Counter[str]) -> list[Task]:
    seeds = list(read_tasks(spec.tasks, spec.column)) if spec.tasks else []
    count = spec.count or spec.rounds * len(seeds)
    if spec.method == "self_instruct":
        return self_instruct(spec.server, seeds, count, spec.seed, lost)
    if spec.method == "evol_instruct":
        return evol_instruct(spec.server, seeds, count, spec.seed, lost, spec.rounds)
    if spec.method == "magpie":
        return magpie(spec.server, count, spec.seed, lost, spec.prefix, spec.prefix_system)
    return seeds[: spec.count]


def _told(lost: Counter[str]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(lost.items())) or "nothing was lost"


def _put(work: Path, kind: str, found: Sequence[dict[str, Any]], spec: SynthSpec) -> str:
    """The raw rows of a kind and their declaration; the declaration's path."""
    name = f"synthetic_{kind}"
    lines = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in found)
    put_text(work / f"{name}.jsonl", lines, fix="out=FOLDER")
    declared = {
        "kind": kind,
        "files": f"{name}.jsonl",
        "licence": spec.licence,
        "about": f"Written by {(spec.answer_server or spec.server).model}, {spec.method}",
        **COLUMNS[kind],
    }
    put_text(work / f"{name}.yaml", yaml.safe_dump(declared, sort_keys=True), fix="out=FOLDER")
    return str(work / f"{name}.yaml")


def main(arguments: list[str] | None = None) -> None:
    """Parse, make, say what was made."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in arguments):
        words = [word for word in arguments if word != "--debug"]
        if not words or "-h" in words or "--help" in words:
            print(USAGE)
            raise SystemExit(0 if words else 2)
        spec = parse_words(words, USAGE)
        manifest, lost = synthesize(spec)
        print(said(manifest, spec["out"], True))
        print(f"left out before: {_told(lost)}")


if __name__ == "__main__":
    main()
