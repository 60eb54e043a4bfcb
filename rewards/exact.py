"""The `exact` reward: the anchored answer equals the gold text, white space and case aside.

In: a response and a gold string of any kind (a letter, a word, a tuple), or a list of accepted
ones. Out: a `Verdict`. Compatibility forms of Unicode are one (full-width letters are
letters). No numbers, no algebra: for those there is `math`; no option letters: `choice`.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from rewards.extract import MAX_SHOWN, last_answer
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

_LONG: Final = 10_000  # a longer final answer equals no gold text


def normal(text: str, *, ignore_case: bool = True) -> str:
    """One form for all ways to set the same text.

    Args:
        text: an answer.
        ignore_case: fold case.
    """
    text = unicodedata.normalize("NFKC", text[:_LONG])
    text = " ".join(text.strip(" .*`$\n\t").split())
    return text.casefold() if ignore_case else text


def grade_exact(
    response: str, gold: Any, *, ignore_case: bool = True, require_anchor: bool = True
) -> Verdict:
    """Judge one response by its last anchored answer; one that is taken back is none.

    Args:
        response: the model's text.
        gold: the accepted answer, or a list of them.
        ignore_case: whether `Paris` is `paris`.
        require_anchor: False also takes a response that is nothing but the answer.
    """
    accepted = [gold] if isinstance(gold, str) else gold
    if not isinstance(accepted, (list, tuple)) or not accepted:
        return gold_error(f"gold answer {gold!r} is empty or no text")
    if any(not isinstance(item, str) or not normal(item) for item in accepted):
        return gold_error(f"gold answer {gold!r} is empty or no text")
    answer = last_answer(response, bare=not require_anchor)
    if answer.problem:
        return unparseable(answer.problem)
    pred = normal(answer.text, ignore_case=ignore_case)
    if not pred:
        return unparseable("the answer is empty")
    right = any(pred == normal(item, ignore_case=ignore_case) for item in accepted)
    return correct(pred[:MAX_SHOWN]) if right else wrong(pred[:MAX_SHOWN])
