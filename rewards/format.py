"""The `format` and `tags` rewards: does the response have the form that was asked for?

In: a response; gold is not read. Out: a `Verdict`, 1 when the form holds. `format` wants the whole
response as `<think>…</think><answer>…</answer>` (DeepSeek-R1, arXiv 2501.12948), anchored at both
ends and each tag once, so that a form pasted into a longer text does not count. `tags` gives a
share for each tag that stands there exactly once. What stands between the tags is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rewards.verdict import Verdict

TAGS: Final = ("<think>", "</think>", "<answer>", "</answer>")


def _in_order(text: str, tags: Sequence[str]) -> list[int] | None:
    """Where the tags stand, if each does once and they follow one another."""
    places = [text.find(tag) for tag in tags]
    if -1 in places or any(text.count(tag) != 1 for tag in tags):
        return None
    return places if places == sorted(places) else None


def format_problem(
    response: str, tags: Sequence[str], *, opened: bool, empty_allowed: bool
) -> str | None:
    """What keeps a response from having the form; None when it has it.

    Args:
        response: the model's text.
        tags: opening and closing tags in turn.
        opened: the prompt already ended with the first tag, so the response begins after it.
        empty_allowed: whether a part may hold nothing but white space.
    """
    text = response.strip()
    if opened:
        if tags[0] in text:
            return f"{tags[0]} stands there although the prompt opened it"
        text = tags[0] + text
    places = _in_order(text, tags)
    if places is None:
        return f"needs {' '.join(tags)}, each once and in this order"
    if places[0] != 0 or places[-1] + len(tags[-1]) != len(text):
        return f"text before {tags[0]} or after {tags[-1]}"
    ends = [place + len(tag) for place, tag in zip(places, tags, strict=True)]
    for part in range(0, len(tags), 2):
        if not empty_allowed and not text[ends[part] : places[part + 1]].strip():
            return f"nothing within {tags[part]}"
        if part and text[ends[part - 1] : places[part]].strip():
            return f"text between {tags[part - 1]} and {tags[part]}"
    return None


def _pairs(tags: Sequence[str]) -> tuple[str, ...]:
    tags = tuple(tags)
    if len(tags) < 2 or len(tags) % 2 or len(set(tags)) != len(tags) or not all(tags):
        raise ValueError(f"tags must be distinct opening and closing tags in turn, got {tags!r}")
    return tags


def grade_format(
    response: str,
    gold: Any,
    *,
    tags: Sequence[str] = TAGS,
    opened: bool = False,
    empty_allowed: bool = False,
) -> Verdict:
    """1 if the whole response has the form, else 0.

    Args:
        response: the model's text.
        gold: not read.
        tags: opening and closing tags in turn.
        opened: the prompt already ended with the first tag.
        empty_allowed: whether a part may be empty.

    Raises:
        ValueError: `tags` are no pairs.
    """
    tags = _pairs(tags)
    problem = format_problem(response, tags, opened=opened, empty_allowed=empty_allowed)
    held = float(problem is None)
    return Verdict(held, held, "wrong" if problem else "correct", detail=problem or "")


def grade_tags(
    response: str, gold: Any, *, tags: Sequence[str] = TAGS, opened: bool = False
) -> Verdict:
    """The share of the tags that stand in the response exactly once; `acc` 1 if also in order.

    Args:
        response: the model's text.
        gold: not read.
        tags: opening and closing tags in turn.
        opened: the prompt already ended with the first tag; it must not come again.

    Raises:
        ValueError: `tags` are no pairs.
    """
    tags = _pairs(tags)
    text = tags[0] + response if opened else response
    once = sum(text.count(tag) == 1 for tag in tags)
    held = _in_order(text, tags) is not None
    return Verdict(
        once / len(tags),
        float(held),
        "correct" if held else "wrong",
        detail="" if held else f"{once} of {len(tags)} tags once",
    )
