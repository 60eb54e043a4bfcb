"""The grader of knights and knaves.

In: a response that names everybody between <answer> and </answer> (the last such part;
without one, what it says of each name last), and gold `{"names": […], "solution": […]}`, a truth
value a name. Out: a `Verdict`, right when everybody is, with the share in `named_right`. Solves
nothing; whether the puzzle has one solution is the data's matter (arXiv:2410.23123).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from rewards.verdict import Verdict, gold_error, unparseable

SHARE: Final = "named_right"
THINK_END: Final = "</think>"
_ANSWER: Final = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_SAYS: Final = (
    r"\W{0,6}\s*(?:(?:is|was|must be|as|:|=|->|→|—|–|-)\s*)?\W{0,4}(?:a|an|the)?\s*\W{0,4}"
)


def said_of(text: str, name: str) -> bool | None:
    """What a text says of a name last: True a knight, False a knave, None nothing."""
    pattern = rf"\b{re.escape(name)}\b{_SAYS}(not\s+an?\s+)?(knight|knave)\b"
    found = re.findall(pattern, text, re.IGNORECASE)
    if not found:
        return None
    negated, word = found[-1]
    is_knight: bool = word.lower() == "knight"
    return is_knight != bool(negated)


def grade_knights(response: str, gold: Any) -> Verdict:
    """Judge one response."""
    try:
        told = json.loads(gold) if isinstance(gold, str) else gold
        solution = dict(zip(told["names"], told["solution"], strict=True))
    except (ValueError, KeyError, TypeError) as error:
        return gold_error(f"gold is no names and solution: {type(error).__name__}: {error}")
    if not solution or not all(isinstance(one, bool) for one in solution.values()):
        return gold_error("gold has no truth value for each name")
    text = response.rpartition(THINK_END)[2] if THINK_END in response else response
    parts = _ANSWER.findall(text)
    found: Mapping[str, bool | None] = {
        name: said_of(parts[-1] if parts else text, name) for name in solution
    }
    right = sum(found[name] == truth for name, truth in solution.items())
    share = right / len(solution)
    pred = ", ".join(
        f"{name}: {'knight' if one else 'knave'}" for name, one in found.items() if one is not None
    )
    missing = [name for name, one in found.items() if one is None]
    if missing:
        none = unparseable(f"nothing said of {', '.join(missing)}", pred)
        return Verdict(0.0, 0.0, none.status, pred, {SHARE: share}, none.detail)
    every = right == len(solution)
    return Verdict(
        float(every), float(every), "correct" if every else "wrong", pred, {SHARE: share}
    )
