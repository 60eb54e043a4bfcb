"""The doctor's child process: `python -m rewards.clinic.worker`, a reward behind a pipe.

In: one JSON object a line on stdin, first `{"reward", "options"}`, then `{"cases": [{"response",
"gold", "row"}, …], "threads": N}`. Out: one JSON object a line: the reward's place, or the cases'
verdicts in their order. A reward that hangs, exits or eats the memory does so here, where it can be
killed. What it prints goes to stderr. Decides nothing about what is good.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from conf.errors import RewardError
from rewards.registry import Reward, load_reward

PR_SET_PDEATHSIG: Final = 1


def judged(reward: Reward, case: Mapping[str, Any]) -> dict[str, Any]:
    """One case's verdict as a flat dict, with `seconds` and whether it survives pickling."""
    begun = time.perf_counter()
    verdict = reward.judge(case["response"], case["gold"], case["row"])
    seconds = time.perf_counter() - begun
    flat: dict[str, Any] = {
        "score": verdict.score,
        "acc": verdict.acc,
        "pred": verdict.pred,
        "status": verdict.status,
        "detail": verdict.detail,
        "components": dict(verdict.components),
    }
    if verdict.broken:
        flat |= {"score": None, "acc": None}
    try:
        same = verdict.broken or pickle.loads(pickle.dumps(verdict.to_verl())) == verdict.to_verl()
    except (pickle.PickleError, TypeError, AttributeError) as error:
        return {**flat, "seconds": seconds, "pickles": f"{type(error).__name__}: {error}"}
    return {**flat, "seconds": seconds, "pickles": "" if same else "it comes back another"}


def die_with_parent() -> None:
    """Leave no grader behind that hangs when the doctor is killed; only Linux has this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Answer requests until stdin ends."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the reward prints must not look like an answer

    def answer(value: Any) -> None:
        answers.write(json.dumps(value, default=str) + "\n")
        answers.flush()

    setup = json.loads(sys.stdin.readline())
    try:
        reward = load_reward(setup["reward"], setup["options"])
    except RewardError as error:
        answer({"error": error.message, "fix": error.fix})
        return
    answer({"where": reward.where})
    for line in sys.stdin:
        request = json.loads(line)
        cases = request["cases"]
        if request["threads"]:
            with ThreadPoolExecutor(request["threads"]) as pool:
                answer(list(pool.map(lambda case: judged(reward, case), cases)))
        else:
            answer([judged(reward, case) for case in cases])


if __name__ == "__main__":
    main()
