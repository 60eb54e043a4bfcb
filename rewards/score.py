"""`python -m rewards.score FILE SPEC [option=value …]`: saved responses under another reward.

In: rollouts, validation samples or evaluation records (see `rewards.rollouts`), and a reward. Out:
on stdout the scores and accuracy before and after, the statuses, and who changed sides; with
`--out FILE` each line again with its new verdict under `rescored`. The reward runs in a child
process with a deadline; one that gives no verdict at all is an error, after all that. A row's own
fields are there as far as the file holds them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conf.atomic import write_text
from conf.errors import boundary
from rewards.agreement import wilson
from rewards.audit import require_a_verdict, verdicts, without_verdict
from rewards.check import option
from rewards.clinic.child import Answer
from rewards.rollouts import Rollout, read_rollouts

SHOWN = 70
EXAMPLES = 3


def _mean(values: Sequence[float]) -> str:
    return f"{math.fsum(values) / len(values):.4f}" if values else "–"


def summary(spec: str, rollouts: Sequence[Rollout], answers: Sequence[Answer | None]) -> str:
    """Before and after, for people."""
    good = [one for one in answers if one is not None and one["acc"] is not None]
    right = sum(one["acc"] >= 1.0 for one in good)
    low, high = wilson(right, len(good))
    status = Counter("no verdict in time" if one is None else one["status"] for one in answers)
    lines = [
        f"{len(rollouts)} responses under {spec}",
        f"recorded: score {_mean([r.score for r in rollouts if r.score is not None])}, "
        f"acc {_mean([r.acc for r in rollouts if r.acc is not None])}",
        f"now:      score {_mean([one['score'] for one in good])}, "
        f"acc {_mean([one['acc'] for one in good])}; right {right} of {len(good)} "
        f"[{low:.1%}, {high:.1%}]",
        "status:   " + ", ".join(f"{name} {n}" for name, n in status.most_common()),
    ]
    if why := without_verdict(answers):
        lines.append(f"broken:   {why}")
    names = dict.fromkeys(name for one in good for name in one["components"])
    for name in names:
        values = [one["components"][name] for one in good if name in one["components"]]
        lines.append(f"component {name}: mean {_mean(values)}")
    for title, was in (("right before, not now", 1.0), ("not right before, right now", 0.0)):
        moved = [
            (rollout, answer)
            for rollout, answer in zip(rollouts, answers, strict=True)
            if rollout.acc is not None
            and answer is not None
            and answer["acc"] is not None
            and (rollout.acc >= 1.0) == bool(was)
            and (answer["acc"] >= 1.0) != bool(was)
        ]
        lines.append(f"{title}: {len(moved)}")
        for rollout, answer in moved[:EXAMPLES]:
            lines.append(
                f"  {rollout.where}: gold {str(rollout.gold)[:SHOWN]!r}, "
                f"{answer['status']} {answer['pred'][:SHOWN]!r} {answer['detail'][:SHOWN]}, "
                f"response …{rollout.response[-SHOWN:]!r}"
            )
    return "\n".join(lines)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rewards.score", description="Saved responses under another reward."
    )
    parser.add_argument(
        "file", help="rollouts, validation samples or evaluation records (JSONL, Parquet)"
    )
    parser.add_argument("reward", help="a name, a composition, file.py:function, module:function")
    parser.add_argument("options", nargs="*", metavar="option=value")
    parser.add_argument("--out", type=Path, help="write each line with its new verdict")
    parser.add_argument(
        "--rows", action="append", default=[], metavar="PARQUET", help="the rows, for their fields"
    )
    parser.add_argument("--limit", type=int, help="most responses")
    parser.add_argument("--deadline", type=float, default=30.0, help="s for a verdict")
    parser.add_argument("--debug", action="store_true", help="tracebacks")
    return parser.parse_args(words)


def main(arguments: list[str] | None = None) -> None:
    """Read, grade, print."""
    words = sys.argv[1:] if arguments is None else arguments
    with boundary(debug="--debug" in words):
        given = _arguments(words)
        rollouts = read_rollouts(given.file, given.limit, given.rows)
        options = dict(map(option, given.options))
        answers = verdicts(given.reward, options, rollouts, given.deadline)
        print(summary(given.reward, rollouts, answers))
        if given.out is not None:
            lines = [
                json.dumps({**rollout.record, "rescored": answer}, ensure_ascii=False, default=str)
                for rollout, answer in zip(rollouts, answers, strict=True)
            ]
            write_text(given.out, "\n".join(lines) + "\n")
        require_a_verdict(given.reward, answers)


if __name__ == "__main__":
    main()
