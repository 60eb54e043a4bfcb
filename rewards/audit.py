"""`python -m rewards.audit FILE --a math --b verl_gsm8k`: where do two graders disagree?

In: saved responses (see `rewards.rollouts`) and two graders: rewards, or oracles of
`rewards.oracles`. Out: on stdout the table of their verdicts, examples of each disagreement, and an
estimate of each one's error: by the file's own labels where it has `label`, else by a referee, a
third grader, who is asked where the two disagree. Each grader runs in a child process with a
deadline; one that gives no verdict at all is an error, after the report. Changes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from conf.errors import RewardError, boundary
from rewards.agreement import SIDES, ErrorRate, Judged, Limits, error_limits, error_rates, wilson
from rewards.clinic.child import Answer, Child
from rewards.oracles import ORACLES, UNSAFE
from rewards.rollouts import Rollout, read_rollouts

WARM_UP_SECONDS: Final = 120.0  # an oracle may import torch
SHOWN: Final = 70
REFEREE: Final = "math_verify"
REASON: Final = 200  # characters of a reason that are shown
REASONS: Final = 3


def verdicts(
    spec: str, options: Mapping[str, Any], rollouts: Sequence[Rollout], deadline: float
) -> list[Answer | None]:
    """A grader's verdicts, None where none came in time.

    Args:
        spec: a reward, or an oracle's name.
        options: its options.
        rollouts: what to grade.
        deadline: seconds that one verdict may take.

    Raises:
        RewardError: it does not load.
    """
    cases = [{"response": r.response, "gold": r.gold, "row": dict(r.row)} for r in rollouts]
    with Child(ORACLES.get(spec, spec), options) as child:
        child.ask([{"response": "#### 4", "gold": "4", "row": {}}], WARM_UP_SECONDS)
        return child.ask_each(cases, deadline)


def without_verdict(answers: Sequence[Answer | None]) -> str:
    """Why answers are no verdicts, the most frequent reasons first; "" where all are."""
    why = Counter(
        "none in time, or the process died"
        if one is None
        else f"{one['status']}: {' '.join(one['detail'].split())[:REASON]}"
        for one in answers
        if one is None or one["acc"] is None
    )
    named = "; ".join(f"{text} (×{n})" for text, n in why.most_common(REASONS))
    return f"{named}; {len(why) - REASONS} other reasons" if len(why) > REASONS else named


def require_a_verdict(name: str, answers: Sequence[Answer | None]) -> None:
    """Refuse to call a grader that judged nothing done.

    Raises:
        RewardError: none of the answers is a verdict.
    """
    if all(one is None or one["acc"] is None for one in answers):
        raise RewardError(
            f"{name} gives none of {len(answers)} responses a verdict: {without_verdict(answers)}",
            fix=f"mend the reward or the rows; python -m rewards.check {name} --rows FILE.parquet",
        )


def says_right(answer: Answer | None) -> bool | None:
    """Whether an answer is judged right; None where there is no verdict."""
    return None if answer is None or answer["acc"] is None else bool(answer["acc"] >= 1.0)


def judge_all(
    rollouts: Sequence[Rollout],
    left: Sequence[Answer | None],
    right: Sequence[Answer | None],
    referee: str | None,
    deadline: float,
) -> list[Judged]:
    """Both verdicts on each response, with the label, or the referee's word on a disagreement."""
    judged = [
        Judged(says_right(a), says_right(b), one.label)
        for one, a, b in zip(rollouts, left, right, strict=True)
    ]
    if referee is None or any(one.label is not None for one in rollouts):
        return judged
    open_ones = [n for n, one in enumerate(judged) if one.kind in ("only a", "only b")]
    words = verdicts(referee, {}, [rollouts[n] for n in open_ones], deadline)
    for n, word in zip(open_ones, words, strict=True):
        judged[n] = Judged(judged[n].a, judged[n].b, says_right(word))
    return judged


def report(
    names: tuple[str, str],
    rollouts: Sequence[Rollout],
    answers: tuple[Sequence[Answer | None], Sequence[Answer | None]],
    judged: Sequence[Judged],
    referee: str | None,
    examples: int,
    limits: Limits | None = None,
) -> str:
    """All of it, for people.

    Args:
        names: of the two graders.
        rollouts: what they judged.
        answers: their verdicts.
        judged: both verdicts on each, with the truth.
        referee: who said it; None: nobody.
        examples: shown of each kind of disagreement.
        limits: intervals for responses that are not independent; None: Wilson's.
    """
    a, b = names
    kinds = Counter(one.kind for one in judged)
    n = len(judged) - kinds["no verdict"]
    apart = kinds["only a"] + kinds["only b"]
    low, high = wilson(apart, n)
    if limits is not None:
        low, high = limits([None if x.kind == "no verdict" else x.a != x.b for x in judged])
    lines = [
        f"{len(judged)} responses; a = {a}, b = {b}",
        f"{'':12}{'b right':>10}{'b wrong':>10}",
        f"{'a right':12}{kinds['both right']:>10}{kinds['only a']:>10}",
        f"{'a wrong':12}{kinds['only b']:>10}{kinds['both wrong']:>10}",
        f"disagree: {apart} of {n}, {_share(apart, n)} [{low:.2%}, {high:.2%}]; "
        f"no verdict of one of them: {kinds['no verdict']}",
    ]
    for name, said in zip(names, answers, strict=True):
        if why := without_verdict(said):
            lines.append(f"no verdict of {name}: {why}")
    labelled = any(one.label is not None for one in rollouts)
    rates = error_rates(judged, labelled)
    by = "the file's labels" if labelled else referee and f"the referee {referee}"
    if by:
        lines.append(f"errors by {by}{'' if labelled else ', agreements taken to be right'}:")
        for name, rate, side in zip(names, rates, SIDES, strict=True):
            ends = rate.interval() if limits is None else error_limits(judged, side, limits)
            lines.append(f"  {name}: {_rate(rate, ends)}")
    lines.append(f"in any case the two errors add up to at least {_share(apart, n)}")
    for kind, title in (("only a", f"{a} right, {b} wrong"), ("only b", f"{b} right, {a} wrong")):
        found = [k for k, one in enumerate(judged) if one.kind == kind][:examples]
        if found:
            lines.append(f"\n{title}:")
        for k in found:
            lines += _example(rollouts[k], answers[0][k], answers[1][k], judged[k])
    return "\n".join(lines)


def _share(k: int, n: int) -> str:
    return f"{k / n:.2%}" if n else "–"


def _rate(rate: ErrorRate, limits: tuple[float, float]) -> str:
    low, high = limits
    undecided = f", {rate.undecided} undecided" if rate.undecided else ""
    return (
        f"{_share(rate.errors, rate.n)} [{low:.2%}, {high:.2%}]: {rate.false_positives} false "
        f"positives, {rate.false_negatives} false negatives{undecided}"
    )


def _example(rollout: Rollout, a: Answer | None, b: Answer | None, one: Judged) -> list[str]:
    assert a is not None and b is not None
    truth = {True: "right", False: "wrong", None: "undecided"}[one.truth]
    return [
        f"  {rollout.where}: gold {str(rollout.gold)[:SHOWN]!r}, response "
        f"…{rollout.response[-SHOWN:]!r}",
        f"    a: {a['status']} {a['pred'][:SHOWN]!r} {a['detail'][:SHOWN]}; "
        f"b: {b['status']} {b['pred'][:SHOWN]!r} {b['detail'][:SHOWN]}; truth: {truth}",
    ]


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rewards.audit", description="Where do two graders disagree?"
    )
    parser.add_argument(
        "file", help="rollouts, validation samples or evaluation records (JSONL, Parquet)"
    )
    known = f"a reward, or an oracle: {', '.join(ORACLES)}"
    parser.add_argument("--a", required=True, metavar="GRADER", help=known)
    parser.add_argument("--b", required=True, metavar="GRADER", help=known)
    parser.add_argument("--a-options", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--b-options", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--referee", default=REFEREE, metavar="GRADER", help="or none")
    parser.add_argument(
        "--rows", action="append", default=[], metavar="PARQUET", help="the rows, for their fields"
    )
    parser.add_argument("--limit", type=int, help="most responses")
    parser.add_argument("--examples", type=int, default=5, help="of each disagreement")
    parser.add_argument("--deadline", type=float, default=30.0, help="s for a verdict")
    parser.add_argument("--allow-unsafe", action="store_true", help="graders that run model text")
    parser.add_argument("--debug", action="store_true", help="tracebacks")
    return parser.parse_args(words)


def main(arguments: list[str] | None = None) -> None:
    """Grade twice, compare, print."""
    words = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in words):
        given = _arguments(words)
        referee = None if given.referee in ("none", given.a, given.b) else given.referee
        for name in (given.a, given.b, referee):
            if name in UNSAFE and not given.allow_unsafe:
                raise RewardError(
                    f"{name} runs text of the model as Python on this machine",
                    fix="--allow-unsafe, on responses that you trust",
                )
        rollouts = read_rollouts(given.file, given.limit, given.rows)
        left = verdicts(given.a, given.a_options, rollouts, given.deadline)
        right = verdicts(given.b, given.b_options, rollouts, given.deadline)
        judged = judge_all(rollouts, left, right, referee, given.deadline)
        names = (given.a, given.b)
        print(report(names, rollouts, (left, right), judged, referee, given.examples))
        for name, answers in zip(names, (left, right), strict=True):
            require_a_verdict(name, answers)


if __name__ == "__main__":
    main()
