"""Which kind of failure is it? One class for each record that is not right.

In: a record of an evaluation. Out: a `Failure`, or None for a right answer. The first class whose
evidence is there counts, in this order, from what makes the others meaningless to what is left:

verifier_failed  the grader or the gold answer broke: says nothing of the model
repetition       a loop: that it was cut at the limit, or set no answer, follows from it
refusal          declines to answer
wrong_language   another language than the prompt's, or than the instruction's
truncated        cut at the token limit
no_answer        ended, and nothing in it is an answer
wrong_format     an answer is there, and not in the form that the grader reads or the task asks
wrong_answer     an answer was read, and it is wrong; `sort` says why (see `eval.failures.wrong`)

A right answer is none of these, however it looks. Grades nothing anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from eval.failures.answer import unread
from eval.failures.signals import foreign, loop, refusal
from eval.failures.wrong import Sort, cause
from eval.graders.refusal import REFUSED
from rewards.judge.prompt import conversation
from rewards.math.grade import gold_answer
from rewards.verdict import BROKEN

Kind = Literal[
    "truncated",
    "no_answer",
    "wrong_format",
    "wrong_answer",
    "verifier_failed",
    "refusal",
    "repetition",
    "wrong_language",
]
KINDS: Final[tuple[str, ...]] = get_args(Kind)
TITLES: Final[Mapping[str, str]] = {
    "truncated": "Cut at the token limit",
    "no_answer": "No answer found",
    "wrong_format": "Wrong format",
    "wrong_answer": "Wrong answer",
    "verifier_failed": "Verifier failed",
    "refusal": "Refusal",
    "repetition": "Repetition",
    "wrong_language": "Wrong language",
}
SHORT: Final[Mapping[str, str]] = {
    "truncated": "cut",
    "no_answer": "no answer",
    "wrong_format": "format",
    "wrong_answer": "wrong",
    "verifier_failed": "verifier",
    "refusal": "refusal",
    "repetition": "loop",
    "wrong_language": "language",
}  # as heads of columns
MAX_GOLD: Final = 2000
LONG_REFUSAL: Final = 1500  # characters; a longer response went on to answer
# IFEval's instructions that ask for a form and not for content.
_FORMS: Final = ("detectable_format:", "punctuation:", "change_case:", "startend:", "combination:")
_MISSED = re.compile(r"not followed: (.*)")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a response is not right.

    Attributes:
        kind: its class.
        why: the evidence, in a few words.
        sort: of a wrong answer, its cause.
    """

    kind: Kind
    why: str
    sort: Sort | None = None


def short_gold(record: Mapping[str, Any]) -> str:
    """The gold answer alone; "" where it is no short text (tests, instructions, a schema)."""
    gold = record.get("ground_truth")
    if not isinstance(gold, str | int | float) or isinstance(gold, bool):
        return ""
    text = str(gold)
    if len(text) > MAX_GOLD or text.lstrip().startswith(("{", "[")):
        return ""
    return gold_answer(text)


def classify(record: Mapping[str, Any]) -> Failure | None:
    """The class of one record, None where it is right."""
    verdict = record["verdict"]
    status = str(verdict["status"])
    if status == "correct":
        return None
    detail = str(verdict.get("detail") or "")
    if status in BROKEN:
        return Failure("verifier_failed", detail or status)
    response = str(record["response"])
    refused = (verdict.get("components") or {}).get(REFUSED)
    if refused is not None:  # the grader asked just that
        if refused:
            return Failure("refusal", "refuses what it should answer")
        return Failure("wrong_answer", "answers what it should refuse", "instruction")
    found = loop(response)
    if found:
        return Failure("repetition", found)
    found = refusal(response) if len(response) <= LONG_REFUSAL else ""
    if found:
        return Failure("refusal", f"says {found!r}")
    missed = _missed(record, detail)
    language = _language(record, response, missed)
    if language:
        return Failure("wrong_language", language)
    if record.get("finish_reason") == "length":
        limit = (record.get("sampling") or {}).get("max_tokens", record.get("tokens"))
        return Failure("truncated", f"cut at {limit} tokens")
    if missed and all(name.startswith(_FORMS) for name in missed):
        return Failure("wrong_format", detail)
    gold = short_gold(record)
    if status == "unparseable":
        kind, why = unread(record, gold)
        return Failure("no_answer" if kind == "no_answer" else "wrong_format", why)
    name = (record.get("reward") or {}).get("name")
    if status == "timeout" and name != "code":
        return Failure("wrong_format", f"an answer that cannot be compared in time: {detail}")
    reason = cause(record, gold)
    return Failure("wrong_answer", reason.why, reason.sort)


def _missed(record: Mapping[str, Any], detail: str) -> list[str]:
    """IFEval's instructions that were not followed."""
    if (record.get("reward") or {}).get("name") != "ifeval":
        return []
    found = _MISSED.search(detail)
    return found[1].split(", ") if found else []


def _language(record: Mapping[str, Any], response: str, missed: list[str]) -> str:
    if "language:response_language" in missed:
        return "not the language that the instruction asks for"
    if (record.get("reward") or {}).get("name") == "ifeval":
        return ""  # its instructions say which language, and the grader has looked
    extra = record.get("extra") or {}
    declared = extra.get("response_language")
    prompt = conversation(record.get("prompt") or "")
    return foreign(prompt, response, declared if isinstance(declared, str) else None)
