"""Why is a wrong answer wrong? Slip, logic, knowledge, or what a program did, by rules.

In: a record whose verdict is `wrong` or, for programs, `timeout`. Out: a `Cause` with its evidence;
`unclear` where no rule is sure, which a judge may then decide (`eval.failures.judge`). Rules: a
stated equality that does not hold, or an answer that is the gold one but for its sign or a power of
ten, is a slip; working that holds from line to line and ends elsewhere is logic; a question of
facts (a choice, a name) without any computation is knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple, get_args

from eval.failures.steps import links
from rewards.numbers import parse_number

Sort = Literal[
    "slip", "logic", "knowledge", "syntax", "exception", "too slow", "instruction", "unclear"
]
SORTS: Final[tuple[str, ...]] = get_args(Sort)
TENS: Final = tuple(Fraction(10) ** k for k in (-3, -2, -1, 1, 2, 3))
_SYNTAX = re.compile(r"\b(?:SyntaxError|IndentationError|TabError)\b")
_RAISED = re.compile(r"\b([A-Z]\w*(?:Error|Exception|Exit|Iteration))\b")


class Cause(NamedTuple):
    """What went wrong in a wrong answer, and how one knows."""

    sort: Sort
    why: str


def cause(record: Mapping[str, Any], gold: str) -> Cause:
    """The cause of a wrong answer.

    Args:
        record: the record.
        gold: the gold answer alone; "" where it is no short text.
    """
    verdict = record["verdict"]
    reward = str((record.get("reward") or {}).get("name") or "")
    detail = str(verdict.get("detail") or "")
    if reward == "code":
        return _program(verdict, detail)
    if reward == "ifeval":
        return Cause("instruction", detail)
    stated = links(str(record["response"]))
    false = [link.text for link in stated if not link.holds]
    if false:
        return Cause("slip", f"does not hold: {false[0]}")
    pred = str(verdict.get("pred") or "")
    near = _near(pred, gold)
    if near:
        return Cause("slip", near)
    if stated:
        said = "all hold" if len(stated) > 1 else "holds"
        return Cause("logic", f"{len(stated)} stated step(s), {said}; another result than asked")
    if _of_facts(record, gold):
        return Cause("knowledge", "a question of facts, and no computation in the response")
    return Cause("unclear", "no step in the working that can be checked")


def _program(verdict: Mapping[str, Any], detail: str) -> Cause:
    if verdict["status"] == "timeout":
        return Cause("too slow", detail)
    if _SYNTAX.search(detail):
        return Cause("syntax", detail)
    raised = _RAISED.search(detail)
    if raised and raised[1] != "AssertionError":
        return Cause("exception", detail)
    return Cause("logic", detail or "another result than the tests want")


def _near(pred: str, gold: str) -> str:
    """Whether a number is the gold one but for its sign or a power of ten, in words."""
    said, wanted = parse_number(pred), parse_number(gold)
    if said is None or wanted is None or said.value == wanted.value or wanted.value == 0:
        return ""
    if said.value == -wanted.value:
        return f"{pred} has the wrong sign"
    if said.value / wanted.value in TENS:
        return f"{pred} is {gold} times a power of ten"
    return ""


def _of_facts(record: Mapping[str, Any], gold: str) -> bool:
    """A choice, or a gold answer in words."""
    if str((record.get("reward") or {}).get("name") or "") == "choice":
        return True
    return bool(gold) and not any(char.isdigit() or char in "\\^_=" for char in gold) and (
        len(gold) > 2 and gold.replace(" ", "").isalpha()
    )  # fmt: skip
