"""`python -m eval.audit EVALUATION [against=GRADER] [referee=GRADER]`: another grader's word.

In: an evaluation folder or a records file, and another grader: a reward, or an oracle of
`rewards.oracles` (default: the one that fits the task's grader). Out: audit.json and on stdout, for
each task, the two accuracies, how often the graders disagree, the difference that could have been
seen, an estimate of each one's error by a third, the referee, and whether our interval would still
hold the other's number. Accuracies and intervals are an evaluation's own (over items, with their
clusters and samples). The verdicts are `rewards.audit`'s, each grader in a child process with a
deadline. Changes no record.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from conf.atomic import write_json
from conf.errors import ConfigError, RewardError, boundary
from eval.answers import Answered, answered, clusters_of, shares, weights_of
from eval.folder import Evaluation, read_evaluation
from eval.pages.text import percent
from eval.score import mean_of
from eval.statistics.paired import compare_items
from eval.stored import read_json
from eval.words import scalar, split_words
from rewards.agreement import SIDES, ErrorRate, Judged, error_limits, error_rates
from rewards.audit import (
    REFEREE,
    judge_all,
    report,
    require_a_verdict,
    verdicts,
    without_verdict,
)
from rewards.oracles import UNSAFE
from rewards.rollouts import Rollout, rollout

Json = dict[str, Any]
USAGE: Final = (
    "python -m eval.audit EVALUATION [against=GRADER] [options.NAME=VALUE …] [referee=GRADER|none] "
    "[task=NAME] [limit=N] [examples=N] [deadline=S] [out=FILE]"
)
# Another grader for each of ours; where there is none, `against` has to name one.
AGAINST: Final = {"math": "verl_gsm8k_flexible", "exact": "math", "arithmetic": "math"}
BOXED: Final = "math_verify"  # for tasks whose answers are formulas
FORMULAS: Final = ("math", "minerva", "olympiad", "aime", "amc")
KEYS: Final = ("against", "options", "referee", "task", "limit", "examples", "deadline", "out")


def other_grader(task: str, reward: str) -> str | None:
    """The grader to hold a task's own against; None where there is no other."""
    if reward == "math" and any(word in task.lower() for word in FORMULAS):
        return BOXED
    return AGAINST.get(reward)


def audit_task(
    records: Sequence[Mapping[str, Any]],
    against: str,
    options: Mapping[str, Any],
    referee: str | None,
    *,
    population: Mapping[str, int] | None = None,
    deadline: float = 30.0,
    examples: int = 3,
) -> tuple[Json, str]:
    """What another grader says of a task's records: numbers, and the report for people.

    Args:
        records: of one task, all graded by the same reward.
        against: the other grader.
        options: its options.
        referee: a third one, asked where the two disagree.
        population: rows of each stratum in the whole set, when the items are a sample of it.
        deadline: seconds that one verdict may take.
        examples: shown of each kind of disagreement.

    Raises:
        RewardError: a grader does not load, or gives no verdict at all.
    """
    graded_by = dict(records[0].get("reward") or {})
    own = str(graded_by.pop("name", "the records' grader"))
    given = graded_by.pop("options", graded_by)
    rollouts = [_rollout(record) for record in records]
    left = verdicts(own, given if isinstance(given, Mapping) else {}, rollouts, deadline)
    right = verdicts(against, options, rollouts, deadline)
    for name, answers in ((own, left), (against, right)):
        require_a_verdict(name, answers)
    judged = judge_all(rollouts, left, right, referee, deadline)
    counts = Counter(one.kind for one in judged)
    n = len(judged) - counts["no verdict"]
    if n == 0:
        raise RewardError(
            f"{own} and {against} have no response with both verdicts: "
            f"{without_verdict([*left, *right])}",
            "mend the grader, or try a longer deadline=",
        )
    both = [one if one.kind != "no verdict" else Judged(None, None) for one in judged]
    left_items = _flagged(records, [one.a for one in both])
    right_items = _flagged(records, [one.b for one in both])
    ours, others = mean_of(left_items, population), mean_of(right_items, population)
    change = compare_items(
        shares(left_items),
        shares(right_items),
        clusters_of(left_items),
        weights_of(left_items, population),
        draws=n,
        resamples=0,
    )
    detectable = change.detectable()
    interval = ours.interval

    def limits(flags: Sequence[bool | None]) -> tuple[float, float]:
        share = mean_of(_flagged(records, flags)).interval
        return share.low, share.high

    rates = error_rates(judged, labelled=False)
    found = {
        "graders": [own, against],
        "referee": referee,
        "n": n,
        "no_verdict": counts["no verdict"],
        "accuracy": [ours.value, others.value],
        "ci95": [interval.low, interval.high],
        "only_ours": counts["only a"],
        "only_theirs": counts["only b"],
        "disagree": (counts["only a"] + counts["only b"]) / n,
        "errors": [
            _rate(rate, error_limits(judged, side, limits))
            for rate, side in zip(rates, SIDES, strict=True)
        ]
        if referee
        else None,
        "detectable": detectable if math.isfinite(detectable) else None,
        "changed_since": _changed(records, left),
        "holds": interval.low <= others.value <= interval.high,
    }
    names = (own, against)
    return found, report(names, rollouts, (left, right), judged, referee, examples, limits)


def _flagged(records: Sequence[Mapping[str, Any]], flags: Sequence[bool | None]) -> list[Answered]:
    """The items with a flag for each response in place of its verdict; None leaves it out."""
    told = [
        {**record, "verdict": {"status": "correct" if flag else "wrong"}}
        for record, flag in zip(records, flags, strict=True)
        if flag is not None
    ]
    return answered(told)


def _rollout(record: Mapping[str, Any]) -> Rollout:
    """A record as `rewards` reads it, with the row's fields that a grader may want."""
    fields = {**(record.get("extra") or {}), "prompt": record.get("prompt")}
    where = f"{record.get('task')} {record.get('id', record.get('index'))}"
    # A record's label is its model's name; a rollout's is a person's word on its answer.
    given = {key: value for key, value in record.items() if key != "label"}
    return rollout({**given, "extra_info": fields}, where)


def _rate(rate: ErrorRate, limits: tuple[float, float]) -> Json:
    return {
        "false_positives": rate.false_positives,
        "false_negatives": rate.false_negatives,
        "undecided": rate.undecided,
        "share": rate.errors / rate.n,
        "ci95": list(limits),
    }


def _changed(records: Sequence[Mapping[str, Any]], now: Sequence[Any]) -> int:
    """Verdicts that the same grader gives otherwise today: its version or options changed."""
    return sum(
        answer is not None
        and answer["acc"] is not None
        and (record["verdict"]["status"] == "correct") != (answer["acc"] >= 1.0)
        for record, answer in zip(records, now, strict=True)
    )


def line(task: str, found: Mapping[str, Any]) -> str:
    """The finding on one task in a sentence."""
    ours, others = found["accuracy"]
    low, high = found["ci95"]
    own, against = found["graders"]
    text = (
        f"{task}: {percent(ours)} [{percent(low)}, {percent(high)}] by {own}, {percent(others)} by "
        f"{against}, n = {found['n']:,}: they disagree on {percent(found['disagree'])}"
    )
    seen = found["detectable"]
    could = "nothing at this n" if seen is None else f"≥ {100 * seen:.1f} points"
    text += f"; could have seen a difference of {could}"
    if found["changed_since"]:
        text += f"; {own} itself judges {found['changed_since']} otherwise than in the records"
    holds = "lies inside" if found["holds"] else "lies OUTSIDE"
    return f"{text}. The other's number {holds} our interval."


def _run(evaluation: Evaluation, options: Mapping[str, Any], out: Path) -> None:
    """Audit task by task; the file has each one before the terminal, which may be closed."""
    tasks = dict(evaluation.tasks)
    if "task" in options:
        if options["task"] not in tasks:
            raise ConfigError(f"no task {options['task']!r}", f"task={', '.join(tasks)}")
        tasks = {options["task"]: tasks[options["task"]]}
    limit = int(options.get("limit", 0)) or None
    referee = options.get("referee", REFEREE)
    found: Json = {}
    for task, records in tasks.items():
        own = str((records[0].get("reward") or {}).get("name"))
        against = options.get("against") or other_grader(task, own)
        if against is None:
            print(f"{task}: no other grader is known for {own}; against=GRADER names one")
            continue
        if against in UNSAFE:
            raise RewardError(
                f"{against} runs text of the model as Python on this machine",
                "python -m rewards.audit --allow-unsafe, on responses that you trust",
            )
        found[task], text = audit_task(
            records[:limit],
            against,
            {key: scalar(value) for key, value in options.get("options", {}).items()},
            None if referee in ("none", own, against) else referee,
            population=_population(evaluation.source, task),
            deadline=float(options.get("deadline", 30)),
            examples=int(options.get("examples", 3)),
        )
        write_json(out, {"schema": 1, "tasks": found})
        print(f"{line(task, found[task])}\n{text}\n")
    if not found:
        write_json(out, {"schema": 1, "tasks": found})


def _population(source: Path, task: str) -> Mapping[str, int] | None:
    """Rows of each stratum in the whole set, where the evaluation sampled it."""
    found = read_json(source / "tasks" / task / "items.json").get("population")
    return found if isinstance(found, Mapping) else None


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with boundary(debug="--debug" in words):
        if "--help" in words or "-h" in words:
            print(f"{__doc__}\n{USAGE}")
            return
        paths, options = split_words(words, KEYS, USAGE)
        if len(paths) != 1:
            raise ConfigError(f"got {len(paths)} evaluations, need one", USAGE)
        for key in ("limit", "examples", "deadline"):
            if not str(options.get(key, 0)).replace(".", "", 1).isdecimal():
                raise ConfigError(f"{key}={options[key]!r}, need a number", USAGE)
        evaluation = read_evaluation(Path(paths[0]))
        folder = evaluation.source if evaluation.source.is_dir() else evaluation.source.parent
        out = Path(options.get("out", str(folder / "audit.json")))
        _run(evaluation, options, out)
        print(f"written: {out}")


if __name__ == "__main__":
    main()
