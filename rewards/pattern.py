"""The `regex` reward: the response, or its anchored answer, matches a pattern.

In: a response, and a pattern from the options or, without one, from the row's gold. Out: a
`Verdict`. With a group `answer` in the pattern, what it caught must also equal the gold text. A
pattern can take exponential time on a text written for it, and Python's `re` cannot be stopped: the
package `regex` runs it, with a limit, without signals; past it the verdict is `timeout`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, get_args

import regex  # type: ignore[import]

from conf.errors import RewardError
from rewards.exact import normal
from rewards.extract import MAX_SHOWN, last_answer
from rewards.verdict import Verdict, correct, gold_error, unparseable, wrong

Where = Literal["response", "answer"]
WHERES: Final[tuple[str, ...]] = get_args(Where)


@lru_cache(maxsize=256)
def compiled(pattern: str, ignore_case: bool) -> Any:
    """The pattern; raises `regex.error` where it is none."""
    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)


def grade_regex(
    response: str,
    gold: Any,
    *,
    pattern: str | None = None,
    where: Where = "answer",
    full: bool = True,
    ignore_case: bool = False,
    limit_s: float = 1.0,
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: the pattern, where `pattern` is None; else the text that group `answer` must catch.
        pattern: the pattern for all rows.
        where: match the last anchored `answer` (one that is taken back is none), or the whole
            `response`.
        full: the whole text must match, not a part of it.
        ignore_case: match any case.
        limit_s: seconds that one match may take.

    Raises:
        ValueError: an option has a value that does not exist.
        RewardError: the `pattern` option is no pattern.
    """
    if where not in WHERES or not limit_s > 0:
        raise ValueError(f"where={where!r} (of {WHERES}), limit_s={limit_s!r} (above 0)")
    if pattern is None and (not isinstance(gold, str) or not gold):
        return gold_error(f"gold {gold!r} is no pattern, and the option pattern is not set")
    try:
        program = compiled(gold if pattern is None else pattern, ignore_case)
    except regex.error as error:
        if pattern is None:
            return gold_error(f"gold is no pattern: {error}")
        raise RewardError(f"pattern {pattern!r}: {error}", fix="mend the option pattern") from error
    catches = "answer" in program.groupindex
    if pattern is not None and catches and (not isinstance(gold, str) or not normal(gold)):
        return gold_error(f"gold {gold!r} is no text to compare with the group 'answer'")
    text = response
    if where == "answer":
        answer = last_answer(response)
        if answer.problem:
            return unparseable(answer.problem)
        text = answer.text
    try:
        match = (program.fullmatch if full else program.search)(text, timeout=limit_s)
    except TimeoutError:
        return Verdict(0.0, 0.0, "timeout", detail=f"the pattern took longer than {limit_s:g} s")
    shown = " ".join(text.split())[:MAX_SHOWN]
    if match is None:
        return wrong(shown, "no match")
    if pattern is not None and catches:
        caught = match["answer"] or ""
        right = normal(caught, ignore_case=ignore_case) == normal(gold, ignore_case=ignore_case)
        return correct(caught[:MAX_SHOWN]) if right else wrong(caught[:MAX_SHOWN])
    return correct(shown)
