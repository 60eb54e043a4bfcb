"""A response without a readable answer: did it give none, or one in a form the grader cannot read?

In: a record whose verdict is `unparseable`. Out: `no_answer` or `wrong_format` with the evidence.
`wrong_format` needs a sign that an answer was meant: another anchor than the grader's convention,
an anchor with something unreadable behind it, code outside a fence, broken JSON, or the gold answer
itself in the closing words. Grades nothing anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rewards.extract import find_all, guess_last
from rewards.numbers import parse_number

CLOSING_CHARS: Final = 240
SHOWN: Final = 60
_CODE = re.compile(r"^\s*(?:async )?(?:def|class)\s+\w+|^\s*(?:import|from)\s+\w+", re.MULTILINE)
_MARKED = re.compile(
    r"\*\*\s*([^*\n]{1,60}?)\s*\*\*|\\\(\s*(.{1,60}?)\s*\\\)|\$\s*([^$\n]{1,60})\s*\$"
)
_FIGURE = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?\s?%?")
_CONCLUDES = re.compile(
    r"\b(?:so|thus|therefore|hence|total|altogether|finally|conclude|there (?:are|is)"
    r"|we (?:get|have|find)|gives)\b",
    re.IGNORECASE,
)
_SPACES = re.compile(r"\s+|\\end\{\w+\*?\}|\\[\])]|\\[,;! ]|\\left|\\right|\\text\{|[{}$]")


def unread(record: Mapping[str, Any], gold: str) -> tuple[str, str]:
    """The class and its evidence.

    Args:
        record: a record whose verdict is `unparseable`.
        gold: the gold answer alone; "" where it is no short text (tests, instructions, a schema).
    """
    response = str(record["response"])
    detail = str(record["verdict"].get("detail") or "")
    if not response.strip():
        return "no_answer", "the response is empty"
    reward = str((record.get("reward") or {}).get("name") or "")
    if reward == "code":
        return _unread_code(response)
    if reward == "json_schema":
        held = re.search(r"[{\[]", response) is not None
        return ("wrong_format", f"JSON that does not parse: {detail[:SHOWN]}") if held else (
            "no_answer", "no JSON in the response")  # fmt: skip
    anchors = [found for found in find_all(response) if found.text]
    if anchors:
        last = anchors[-1]
        what = "takes back" if last.retracted else "sets"
        return "wrong_format", f"{what} {last.text[:SHOWN]!r} ({last.anchor}), not read: {detail}"
    if gold:
        meant = states(response[-CLOSING_CHARS:], gold)
        if meant:
            return "wrong_format", f"its last words hold the gold answer, unmarked: {meant!r}"
    if find_all(response):
        return "no_answer", f"the answer's place is empty: {detail}"
    return "no_answer", detail or "nothing in the response is marked as the answer"


def _unread_code(response: str) -> tuple[str, str]:
    if "```" in response:
        return "wrong_format", "fenced, and no Python program in a fence"
    found = _CODE.search(response)
    if found:
        return "wrong_format", f"a program without a fence: {found[0].strip()!r}"
    return "no_answer", "no program in the response"


def states(closing: str, gold: str) -> str:
    """Where a text's last words state the gold answer: the words, else ""."""
    number = parse_number(gold)
    if number is not None:
        for text in _figures(closing):
            said = parse_number(text.strip(" .,*$"))
            if said is not None and said.value == number.value:
                return text.strip()
    plain = _SPACES.sub("", gold)
    for match in _MARKED.finditer(closing):
        text = next(part for part in match.groups() if part is not None)
        if _SPACES.sub("", text).strip(".:") == plain:
            return text
    tail = _SPACES.sub("", closing).rstrip(".*!")
    return gold if len(plain) >= 3 and tail.endswith(plain) else ""


def _figures(closing: str) -> list[str]:
    """The numbers that the last words may mean as the answer: the last; all that it concludes."""
    guess = guess_last(closing)
    found = [guess.text] if guess is not None else []
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n", closing.strip())[-1]
    figures = _FIGURE.findall(sentence)
    if _CONCLUDES.search(sentence) or len(figures) == 1:
        return found + figures
    return found + figures[-1:]
