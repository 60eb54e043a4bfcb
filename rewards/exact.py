"""The `exact` reward: the anchored answer equals the gold text, white space and case aside.

In: a response and a gold string of any kind (a letter, a word, a tuple). Out: a `Verdict`. No
numbers, no algebra: for those there is `math`.
"""

from __future__ import annotations

from rewards.extract import find_all
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong


def _normal(text: str) -> str:
    return " ".join(text.strip(" .*`$").split()).casefold()


def grade_exact(response: str, gold: str) -> Verdict:
    """Judge one response by its last anchored answer."""
    if not isinstance(gold, str) or not _normal(gold):
        return gold_error(f"gold answer {gold!r} is empty or no text")
    found = find_all(response)
    if not found:
        return unparseable("no \\boxed{}, ####, 'answer is' or <answer>")
    pred = _normal(found[-1].text)
    return correct(pred) if pred == _normal(gold) else wrong(pred[:80])
