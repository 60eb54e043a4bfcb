"""Judge one response: extract its answer, compare it tier by tier, classify what went wrong.

In: a response, the row's gold answer and the options. Out: a `Verdict` with the components
`strict` (by the chosen convention) and `flexible` (by any anchor, else by the last formula or
number of the text). Statuses: `unparseable` when no answer was set, `timeout` when the response's
answer alone was too costly, `gold_error` and `verifier_error` when it was not the response's fault.
Keeps caches, no other state; needs no signal and so runs in any thread.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Final, Literal, NamedTuple, get_args

from rewards.extract import (
    MAX_SHOWN,
    NO_ANSWER,
    SEVERAL,
    Extraction,
    Several,
    find_all,
    find_dapo,
    guess_last,
)
from rewards.math.decide import MAX_GOLD, Decision, canonical, decide, readable
from rewards.numbers import parse_number
from rewards.verdict import Verdict, gold_error, verifier_error

Percent = Literal["lenient", "strict"]
Convention = Literal["any", "gsm8k", "math", "dapo"]
ScoreBy = Literal["strict", "flexible"]
PERCENTS: Final[tuple[str, ...]] = get_args(Percent)
CONVENTIONS: Final[tuple[str, ...]] = get_args(Convention)
SCORES: Final[tuple[str, ...]] = get_args(ScoreBy)
_THINK_END: Final = "</think>"
_ANCHORS: Final = {"gsm8k": frozenset({"hashes"}), "math": frozenset({"boxed"})}
UNFINISHED: Final = "a sum that is left to do, not its value"

_RIGHT: Final = {"flexible": 1.0, "strict": 1.0}
_WRONG: Final = {"flexible": 0.0, "strict": 0.0}
_ONLY_FLEXIBLE: Final = {"flexible": 1.0, "strict": 0.0}
_ONLY_STRICT: Final = {"flexible": 0.0, "strict": 1.0}


class _Found(NamedTuple):
    """The answer that counts, or why there is none."""

    text: str
    problem: str = ""


def _answer_part(response: str) -> str:
    """What follows the reasoning; nothing when that was cut off."""
    end = response.rfind(_THINK_END)
    if end >= 0:
        return response[end + len(_THINK_END) :]
    return "" if "<think>" in response else response


def _agree(answers: list[Extraction], percent: Percent, timeout: float) -> bool:
    chosen = answers[-1].text
    return all(
        item.text == chosen or decide(item.text, chosen, percent == "lenient", timeout).same
        for item in answers
    )


def _choose(
    answers: list[Extraction], several: Several, percent: Percent, timeout: float
) -> _Found:
    """One answer of those that were set, by the policy."""
    if not answers:
        return _Found("", NO_ANSWER)
    chosen = answers[0] if several == "first" else answers[-1]
    if chosen.problem:
        return _Found("", chosen.problem)
    if several == "agree" and len(answers) > 1 and not _agree(answers, percent, timeout):
        return _Found("", f"{len(answers)} answers that do not agree")
    return _Found(chosen.text)


def _set_answers(
    response: str, convention: Convention, several: Several, bare: bool
) -> list[Extraction]:
    """The answers that a convention sees."""
    if convention == "dapo":
        return find_dapo(response)
    found = find_all(response, join=several == "last")
    if convention != "any":
        kinds = _ANCHORS[convention]
        return [item for item in found if item.anchor in kinds]
    if len(found) > 1 and found[-1].anchor == "answer_is":
        return _without_remarks(found)
    if not found and bare:
        text = response.strip()
        if readable(text):
            return [Extraction(text, "none", 0)]
    return found


def _without_remarks(found: list[Extraction]) -> list[Extraction]:
    """Without closing words on an answer that a box, `####` or a tag has set before."""
    last = len(found)
    while last and found[last - 1].anchor == "answer_is" and not readable(found[last - 1].text):
        last -= 1
    return found[:last] if last and found[last - 1].anchor != "answer_is" else found


_POWER_OF_TEN = re.compile(r"(?:\\times|\\cdot|[×·*])\s*10\s*\^\s*\{?\s*-?\d+\s*\}?")
_OPERATION = re.compile(
    r"\d[\s)}\]$]*(?:\\cdot|\\times|\\div|[-−+*×·÷])\s*[\\({\[$]*\s*\d"
)  # between two numbers


def is_unfinished(text: str, gold: str) -> bool:
    r"""Whether an answer leaves to the reader a sum whose value is a plain number.

    `52+23` equals 75, and to copy it from the question is not to answer it. Powers of ten and what
    has no plain value (`3+\sqrt{2}`) are answers.
    """
    if text.isdecimal():  # nearly all answers
        return False
    last = re.split(r"=|≈", text)[-1]
    if _OPERATION.search(_POWER_OF_TEN.sub("", last)) is None:
        return False
    return parse_number(gold) is not None and parse_number(text) is None


@lru_cache(maxsize=4096)
def gold_answer(gold: str) -> str:
    r"""The answer in a gold text: after `####` or in the last `\boxed`, else the text itself."""
    if "####" in gold or "boxed" in gold or "\\fbox" in gold:
        found = [item for item in find_all(gold) if item.anchor in ("hashes", "boxed")]
        return found[-1].text if found else ""
    return gold.strip()


def _verdict(found: _Found, gold: str, percent: Percent, timeout: float) -> Verdict:
    """The verdict on one answer; both components say the same as yet."""
    if found.problem:
        return Verdict(0.0, 0.0, "unparseable", "", _WRONG, found.problem)
    said: Decision = decide(found.text, gold, percent == "lenient", timeout)
    if said.same and is_unfinished(found.text, gold):
        return Verdict(0.0, 0.0, "wrong", found.text[:MAX_SHOWN], _WRONG, UNFINISHED)
    if said.same:
        return Verdict(1.0, 1.0, "correct", canonical(gold), _RIGHT, said.how)
    if said.broken == "gold":
        return gold_error(f"gold answer {gold[:MAX_SHOWN]!r}: {said.how}")
    if said.broken == "verifier":
        return verifier_error(said.how)
    if said.broken == "timeout":
        return Verdict(0.0, 0.0, "timeout", found.text[:MAX_SHOWN], _WRONG, said.how)
    status: Literal["wrong", "unparseable"] = "unparseable" if said.same is None else "wrong"
    return Verdict(0.0, 0.0, status, canonical(found.text), _WRONG, said.how)


def _flexible(
    response: str, gold: str, convention: Convention, percent: Percent, timeout: float
) -> Verdict | None:
    """The verdict by any anchor, else by the last formula or number; None without either."""
    answers = find_all(response) if convention != "any" else []
    if not answers:
        guess = guess_last(response)
        if guess is None:
            return None
        answers = [guess]
    return _verdict(_choose(answers, "last", percent, timeout), gold, percent, timeout)


def _combined(strict: Verdict, flexible: Verdict | None, score_by: ScoreBy) -> Verdict:
    """One verdict with both components."""
    if flexible is None or flexible.broken:
        return strict
    if flexible.acc == strict.acc:
        return strict if score_by == "strict" else replace(flexible, components=strict.components)
    components = _ONLY_FLEXIBLE if flexible.acc > strict.acc else _ONLY_STRICT
    return replace(strict if score_by == "strict" else flexible, components=components)


_KNOWN_OPTIONS: Final = frozenset(product(SEVERAL, PERCENTS, CONVENTIONS, SCORES))


def _refuse_options(several: str, percent: str, convention: str, score_by: str) -> None:
    given = ((several, SEVERAL), (percent, PERCENTS), (convention, CONVENTIONS), (score_by, SCORES))
    for name, (value, known) in zip(
        ("several", "percent", "convention", "score_by"), given, strict=True
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r}, need one of {', '.join(known)}")


def grade_math(
    response: str,
    gold: str,
    *,
    several: Several = "last",
    percent: Percent = "lenient",
    convention: Convention = "any",
    score_by: ScoreBy = "strict",
    require_anchor: bool = False,
    timeout: float = 5.0,
) -> Verdict:
    r"""Judge one response.

    Args:
        response: the model's text; what stands before the last `</think>` is not read.
        gold: the row's ground truth: a number, a formula, words, or a worked solution that ends
            in `#### …` or `\boxed{…}`.
        several: when the response sets more than one answer: `last` or `first` counts, or all
            must `agree` (else the response is unparseable). Boxes side by side are one list.
        percent: `strict`: 50% is 0.5 and nothing else; `lenient`: it is also 50, as data sets
            write it.
        convention: which anchors the strict score sees: `any` (the last one counts), `gsm8k`
            (`####`), `math` (`\boxed`), `dapo` (`Answer:` in the last 300 characters).
        score_by: which component is the score.
        require_anchor: True refuses a response that is nothing but the answer.
        timeout: seconds that a slow comparison may take from its dispatch to a worker.

    Raises:
        ValueError: an option has a value that does not exist.
    """
    if (several, percent, convention, score_by) not in _KNOWN_OPTIONS:
        _refuse_options(several, percent, convention, score_by)
    if not isinstance(gold, str) or len(gold) > MAX_GOLD or not (answer := gold_answer(gold)):
        return gold_error(f"gold answer {str(gold)[:MAX_SHOWN]!r} is empty, too long or no text")
    text = _answer_part(response)
    answers = _set_answers(text, convention, several, not require_anchor)
    strict = _verdict(_choose(answers, several, percent, timeout), answer, percent, timeout)
    if strict.broken or (convention == "any" and answers):
        return strict  # each anchor was seen: the flexible score is the same
    return _combined(strict, _flexible(text, answer, convention, percent, timeout), score_by)
