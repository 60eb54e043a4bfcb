"""From a declaration and a raw row to the parts that a row is built of.

In: one raw row. Out: `Fields`, whatever of them the declaration names. Adapters for rows that need
code call `mapped` too and change what it gives. Builds no row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_prep.sources import columns
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration

Chat = list[dict[str, Any]]
Raw = Mapping[str, Any]


@dataclass(slots=True)
class Fields:
    """Parts of a row.

    Attributes:
        prompt: the chat up to the model's turn, without the declaration's system message.
        answer: the gold answer, for a verifier.
        response: a right response, for SFT.
        messages: a whole chat, for SFT.
        chosen: the better way on.
        rejected: the worse way on.
        score_chosen: its score.
        score_rejected: its score.
        tools: what the model may call.
        enable_thinking: for the chat template.
        weight: of the row's loss.
        category: the data's grouping.
        difficulty: a number.
        more: further keys of an RL row's `extra_info`.
    """

    prompt: Chat | None = None
    answer: str | None = None
    response: str | None = None
    messages: Chat | None = None
    chosen: Chat | None = None
    rejected: Chat | None = None
    score_chosen: float | None = None
    score_rejected: float | None = None
    tools: list[dict[str, Any]] | None = None
    enable_thinking: bool | None = None
    weight: float | None = None
    category: str | None = None
    difficulty: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


def mapped(declared: Declaration, raw: Raw, where: str) -> Fields:
    """What the declaration's columns say of a raw row, gold answer and pair left out.

    Raises:
        DataError: a column is missing.
        Lack: a text is empty.
    """
    fields = Fields(prompt=_prompt(declared, raw, where))
    if declared.messages is not None:
        fields.messages = columns.chat(columns.value(raw, declared.messages, where) or [], where)
    if declared.tools is not None:
        fields.tools = columns.tools(columns.value(raw, declared.tools, where), where)
    if declared.enable_thinking is not None:
        fields.enable_thinking = columns.value(raw, declared.enable_thinking, where)
    for name in ("weight", "difficulty", "score_chosen", "score_rejected"):
        column = getattr(declared, name)
        if column is not None:
            setattr(fields, name, columns.number(columns.value(raw, column, where), where, column))
    if declared.category is not None:
        found = columns.as_text(columns.value(raw, declared.category, where)).strip()
        fields.category = found or None
    fields.more = {name: columns.value(raw, col, where) for name, col in declared.more.items()}
    return fields


def _prompt(declared: Declaration, raw: Raw, where: str) -> Chat | None:
    if declared.template is not None:
        return columns.chat(columns.filled(declared.template, raw, where), where)
    if declared.prompt is not None:
        found = columns.value(raw, declared.prompt, where)
        return columns.chat(found if found is not None else "", where)
    return None


def gold(declared: Declaration, raw: Raw, where: str) -> str | None:
    """The gold answer.

    Raises:
        Lack: the row has none.
    """
    if declared.answer_is is not None:
        return declared.answer_is
    if declared.answer is None:
        return None
    if isinstance(declared.answer, dict):
        return columns.gold_object(declared.answer, raw, where)
    found = columns.gold(columns.value(raw, declared.answer, where), declared.extract)
    if declared.answer_map is None:
        return found
    if found not in declared.answer_map:
        raise Lack("no_answer", f"answer_map has no {found!r:.40}")
    return declared.answer_map[found]


def response(declared: Declaration, raw: Raw, where: str) -> str | None:
    """The right response, with what `remove` matches cut out.

    Raises:
        Lack: it is empty.
    """
    if declared.response is None:
        return None
    text = columns.as_text(columns.value(raw, declared.response, where))
    if declared.remove is not None:
        text = re.sub(declared.remove, "", text)
    if not text.strip():
        raise Lack("empty_answer")
    return text


def pair(declared: Declaration, raw: Raw, where: str, fields: Fields) -> None:
    """Fill in prompt, chosen and rejected; the prompt is what both share where none is declared.

    Raises:
        Lack: an answer is empty, or the two do not answer the same prompt.
    """
    ways = []
    for column in (declared.chosen, declared.rejected):
        found = columns.value(raw, column, where) if column else None
        if isinstance(found, str):
            found = [{"role": "assistant", "content": found}]
        ways.append(columns.chat(found or [], where))
    fields.chosen, fields.rejected = ways
    if fields.prompt is None:
        split_pair(fields)


def split_pair(fields: Fields) -> None:
    """Take from two chats what they share, up to the model's turn, as the prompt.

    Raises:
        Lack: they share nothing, or more than the last turn differs.
    """
    chosen, rejected = fields.chosen or [], fields.rejected or []
    shared = len(common_start(chosen, rejected))
    if chosen == rejected and chosen:
        shared -= 1
    if shared == 0 or len(chosen) != shared + 1 or len(rejected) != shared + 1:
        raise Lack("contexts_differ")
    fields.prompt, fields.chosen, fields.rejected = chosen[:shared], chosen[-1:], rejected[-1:]


def common_start(one: Sequence[Any], other: Sequence[Any]) -> Sequence[Any]:
    """The items with which both begin."""
    for n, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return one[:n]
    return one[: len(other)]
