"""`python -m eval.errors EVALUATION [judge.base_url=… judge.model=…] [out=FILE]`: why it fails.

In: an evaluation folder or a records file, and optionally a judge's server for wrong answers that
no rule explains. Out: errors.json (see `eval.failures.rates`), the evaluation's page written anew
(with `out` that file alone), and a summary on stdout. Grades nothing: the verdicts are the
records' own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf.atomic import write_json
from conf.errors import ConfigError, boundary
from eval.failures.classify import Failure
from eval.failures.judge import explain, judge_from
from eval.failures.rates import analyse, failures
from eval.folder import Evaluation, read_evaluation
from eval.pages.text import percent
from eval.report import write_evaluation
from eval.words import scalar, split_words

Json = dict[str, Any]
USAGE = "python -m eval.errors EVALUATION [judge.base_url=URL judge.model=NAME] [out=FILE]"


def classify_all(
    evaluation: Evaluation, judge: Json | None = None
) -> dict[str, list[Failure | None]]:
    """The class of each record, by task; with a judge's settings, unclear causes are asked."""
    found = {task: failures(records) for task, records in evaluation.tasks.items()}
    if judge:
        server = judge_from(judge)
        found = {task: explain(server, evaluation.tasks[task], one) for task, one in found.items()}
    return found


def analysis(evaluation: Evaluation, classes: Mapping[str, Sequence[Failure | None]]) -> Json:
    """The content of errors.json."""
    return {
        "schema": 1,
        "model": {"label": evaluation.label, "name": evaluation.name},
        "tasks": {
            task: analyse(records, classes[task]) for task, records in evaluation.tasks.items()
        },
    }


def summary(found: Json) -> str:
    """What the terminal shows."""
    lines: list[str] = []
    for task, one in found["tasks"].items():
        lines.append(f"{task}: {one['failures']} of {one['n']} responses are not right")
        for kind in one["kinds"].values():
            low, high = kind["ci95"]
            lines.append(
                f"  {kind['title']:<24}{kind['count']:>6}  {percent(kind['share']):>6} "
                f"[{percent(low)}, {percent(high)}]"
            )
        lines += [f"  → {one['title']}: {one['text']}" for one in one["suggestions"]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        if "--help" in words or "-h" in words:
            print(f"{__doc__}\n{USAGE}")
            return
        paths, options = split_words(words, ("out", "judge"), USAGE)
        if len(paths) != 1:
            raise ConfigError(f"got {len(paths)} evaluations, need one", USAGE)
        evaluation = read_evaluation(Path(paths[0]))
        judge = {key: scalar(value) for key, value in options.get("judge", {}).items()}
        classes = classify_all(evaluation, judge)
        found = analysis(evaluation, classes)
        folder = evaluation.source if evaluation.source.is_dir() else evaluation.source.parent
        if "out" in options:
            out = Path(options["out"])
            write_json(out, found)
        else:
            out = folder / "errors.json"
            write_evaluation(evaluation.source, classes=classes)
        print(f"{summary(found)}\nwritten: {out}")


if __name__ == "__main__":
    main()
