"""The `math` reward: does the anchored answer equal the gold one, exactly?

In: a response and the row's gold answer. Out: a `Verdict`. Tiers are tried in order; each says
True, False, or None for "cannot tell", and a slower one (math-verify, symbolic) joins the list
without a change elsewhere. Today's only tier reads numbers. Never evaluates text, keeps no state,
needs no signal and so runs in any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, get_args

from rewards.extract import SEVERAL, Several, find_all
from rewards.numbers import Number, parse_number
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

Percent = Literal["lenient", "strict"]
PERCENTS: Final[tuple[str, ...]] = get_args(Percent)
Tier = Callable[[str, str, Percent], bool | None]
MAX_SHOWN: Final = 80  # characters of model text kept in a verdict


def equal_numbers(pred: Number, gold: Number, percent: Percent) -> bool:
    """Whether two numbers are the same.

    Args:
        pred: the response's.
        gold: the row's.
        percent: `strict`: 50% is 0.5 and nothing else. `lenient`: a percentage equals both its
            figure (50, as data sets write it) and its value (0.5); two percentages, or two plain
            numbers, are compared as they stand.
    """
    if pred.percent == gold.percent:
        return pred.value == gold.value
    share, plain = (pred, gold) if pred.percent else (gold, pred)
    if share.value / 100 == plain.value:
        return True
    return percent == "lenient" and share.value == plain.value


def exact_tier(pred: str, gold: str, percent: Percent) -> bool | None:
    """Compare as exact numbers; None when either is not one."""
    left, right = parse_number(pred), parse_number(gold)
    if left is None or right is None:
        return None
    return equal_numbers(left, right, percent)


TIERS: Final[tuple[Tier, ...]] = (exact_tier,)


def _decide(pred: str, gold: str, percent: Percent) -> bool | None:
    for tier in TIERS:
        said = tier(pred, gold, percent)
        if said is not None:
            return said
    return None


def grade_math(
    response: str,
    gold: str,
    *,
    several: Several = "last",
    percent: Percent = "lenient",
    require_anchor: bool = True,
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: the row's ground truth, a number.
        several: when the response sets more than one answer: `last` or `first` counts, or all
            must `agree` (else the response is unparseable).
        percent: see `equal_numbers`.
        require_anchor: False also takes a response that is nothing but the answer.

    Raises:
        ValueError: an option has a value that does not exist.
    """
    if several not in SEVERAL or percent not in PERCENTS:
        raise ValueError(f"several={several!r} (of {SEVERAL}), percent={percent!r} (of {PERCENTS})")
    if not isinstance(gold, str) or _decide(gold, gold, percent) is None:
        return gold_error(f"gold answer {str(gold)[:MAX_SHOWN]!r} is not a number")
    answers = [item.text for item in find_all(response)]
    if not answers and not require_anchor:
        answers = [response.strip()]
    if not answers:
        return unparseable("no \\boxed{}, ####, 'answer is' or <answer>")
    chosen = answers[0] if several == "first" else answers[-1]
    shown = chosen[:MAX_SHOWN]
    if several == "agree" and any(
        answer != chosen and not _decide(answer, chosen, percent) for answer in answers
    ):
        return unparseable(f"{len(answers)} answers that do not agree", shown)
    said = _decide(chosen, gold, percent)
    if said is None:
        return unparseable("the answer is not one number", shown)
    number = parse_number(chosen)
    pred = str(number) if number is not None else shown  # canonical, so that maj@N can vote
    return correct(pred) if said else wrong(pred)
