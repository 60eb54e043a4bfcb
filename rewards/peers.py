"""One grader of mathematics in a process of its own: ours, or one of `rewards.oracles`.

`python -m rewards.peers NAME` reads lines of JSON, `{"response": …, "gold": …, "row": …}`, and
answers each with a line `{"right": true|false|null, "seconds": …, "said": …}`; null means that
the grader gave no verdict. The first line it writes is `{"ready": true}`, or
`{"missing": "why"}` where the grader cannot be imported. Others' graders hang, print and load what
they like: that is why they run in a child. Nothing here counts or judges; `rewards.compare` does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from rewards import oracles

Grader = Callable[[str, str, Mapping[str, Any]], "bool | None"]

OURS: Final = "math"
# Exact values and a symbolic one, so that lazy imports and pools are paid for before the clock.
WARM_UP: Final = (("The answer is \\boxed{2x}. #### 2", "x+x"), ("#### 42", "42"))


def _ours() -> Grader:
    from rewards.registry import load_reward

    reward = load_reward(OURS)

    def grade(response: str, gold: str, row: Mapping[str, Any]) -> bool | None:
        verdict = reward.judge(response, gold, row)
        return None if verdict.broken else verdict.acc >= 1.0

    return grade


def _oracle(name: str) -> Callable[[], Grader]:
    """A grader of another project, as `rewards.oracles` has it."""

    def load() -> Grader:
        function = getattr(oracles, name)
        function(*WARM_UP[-1])  # what it cannot import is said before the first pair
        return lambda response, gold, _row: bool(function(response, gold) == 1.0)

    return load


GRADERS: Final[Mapping[str, Callable[[], Grader]]] = {
    OURS: _ours,
    **{name: _oracle(name) for name in oracles.ORACLES},
}


def _answer(grade: Grader, pair: Mapping[str, Any]) -> dict[str, Any]:
    """One verdict and what it took; an exception is no verdict."""
    said = ""
    right: bool | None = None
    began = time.perf_counter()
    try:
        right = grade(pair["response"], pair["gold"], pair["row"])
    except Exception as error:  # a peer may raise anything; the table counts it
        said = f"{type(error).__name__}: {error}"[:200]
    return {"right": right, "seconds": time.perf_counter() - began, "said": said}


def main(arguments: list[str] | None = None) -> None:
    """Load the grader, then answer line by line until standard input ends."""
    (name,) = sys.argv[1:] if arguments is None else arguments
    # Peers print while they grade: what they print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    try:
        grade = GRADERS[name]()
    except ImportError as error:
        answers.write(json.dumps({"missing": str(error)}) + "\n")
        return
    for response, gold in WARM_UP:
        _answer(grade, {"response": response, "gold": gold, "row": {}})
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_answer(grade, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
