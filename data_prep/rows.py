"""The rows that training reads: one typed builder for each kind.

In: plain values. Out: rows as plain dicts, every value checked: the ground truth and the index are
strings, ids, sources, licences and splits are there. A value that does not fit is refused, with row
and column. How rows lie in Parquet is `data_prep.rows_schema`'s matter; chat templates are applied
by verl's tokenizer, not here; messages are checked in `data_prep.rows_chat`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from conf.errors import DataError
from data_prep.rows_chat import ROLES, Message, Tool, checked_messages, checked_tools, text
from data_prep.rows_schema import KINDS, META, Kind, decode, rl_schema, sft_schema

__all__ = [
    "KINDS",
    "ROLES",
    "ExtraInfo",
    "Kind",
    "Message",
    "Meta",
    "PreferenceRow",
    "RewardModel",
    "RewardPairRow",
    "RlRow",
    "Row",
    "SftRow",
    "Tool",
    "decode",
    "meta",
    "preference_row",
    "reward_pair_row",
    "rl_row",
    "rl_schema",
    "sft_row",
    "sft_schema",
]

Row = dict[str, Any]
"""Any kind of row where the kind does not matter; JSON-able."""


class RewardModel(TypedDict):
    """What the reward is told of the row."""

    style: str
    ground_truth: str


class ExtraInfo(TypedDict):
    """What verl hands to the reward beside the answer; further keys are allowed.

    Attributes:
        split: `train` or `test`.
        index: position of the raw row within its split, as a string.
        id: stable and unique over all outputs of a source.
        licence: of the data.
        source: name of the declaration that made the row.
        category: the data's own grouping (subject, level, type of task).
        difficulty: as the data give it (a solve rate, a level).
        tools_kwargs: verl's arguments for each tool, and so on: whatever else was given.
    """

    split: str
    index: str
    id: str
    licence: str
    source: str
    category: NotRequired[str]
    difficulty: NotRequired[float]
    tools_kwargs: NotRequired[dict[str, Any]]


class RlRow(TypedDict):
    """One prompt to train on by reinforcement, in verl's columns."""

    prompt: list[Message]
    data_source: str
    ability: str
    reward_model: RewardModel
    extra_info: ExtraInfo


class _Meta(TypedDict):
    id: str
    source: str
    licence: str
    split: str
    index: str


class SftRow(_Meta):
    """One conversation to imitate; loss falls on the assistant's turns.

    Attributes:
        messages: a message may carry `weight` (of its loss) and `spans` ({start, end, weight} in
            characters of its content), both for the assistant's turns.
        tools: what the model may call, as OpenAI's `tools`.
        enable_thinking: handed to the chat template.
        weight: factor on the loss of the whole row.
    """

    messages: list[Message]
    tools: NotRequired[list[Tool]]
    enable_thinking: NotRequired[bool]
    weight: NotRequired[float]


class PreferenceRow(_Meta):
    """A chat up to the model's turn, a better and a worse way on; scores where the data have them.

    `chosen` and `rejected` are mostly one assistant's turn each.
    """

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    score_chosen: float | None
    score_rejected: float | None


class RewardPairRow(_Meta):
    """The same as plain texts, as verl's `RMDataset` reads it."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What every row has, wherever its kind keeps it."""

    id: str
    source: str
    licence: str
    split: str
    index: str


def meta(row: Mapping[str, Any]) -> Meta:
    """Id, source, licence, split and index of a row of any kind.

    Raises:
        DataError: one of them is missing.
    """
    holder = row["extra_info"] if "reward_model" in row else row
    missing = [name for name in META if holder.get(name) is None]
    if missing:
        raise DataError(
            f"row {holder.get('id') or '?'}: no {', '.join(missing)}",
            fix="make rows with the builders of data_prep.rows",
        )
    return Meta(**{name: holder[name] for name in META})


def _checked_meta(id: str, source: str, licence: str, split: str, index: object) -> _Meta:
    text(id, "?", "id")
    if isinstance(index, bool) or not isinstance(index, (int, str)):
        raise DataError(
            f"row {id}, column extra_info.index: got {index!r}, need a number or string"
        )
    return _Meta(
        id=id,
        source=text(source, id, "source"),
        licence=text(licence, id, "licence"),
        split=text(split, id, "split"),
        index=text(str(index), id, "index"),
    )


def _number(value: object, row: str, column: str, least: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DataError(f"row {row}, column {column}: got {value!r:.60}, need a finite number")
    if value < least:
        raise DataError(f"row {row}, column {column}: got {value!r}, need at least {least:g}")
    return float(value)


def rl_row(
    *,
    prompt: Sequence[Mapping[str, Any]],
    ground_truth: Any,
    data_source: str,
    ability: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
    style: str = "rule",
    source: str | None = None,
    category: str | None = None,
    difficulty: float | None = None,
    more: Mapping[str, Any] | None = None,
) -> RlRow:
    """A checked row for reinforcement learning.

    Args:
        prompt: the chat up to the model's turn; its last message is not the assistant's.
        ground_truth: the gold answer; an integer is written as its digits.
        data_source: name of the source, as the reward sees it.
        ability: what is trained, for grouping (`math`).
        id: stable, unique name of the row, used in messages.
        split: `train` or `test`.
        index: position within the split.
        licence: of the data, SPDX where there is one.
        style: verl's reward style.
        source: name of the declaration; None: `data_source`.
        category: see `ExtraInfo`.
        difficulty: see `ExtraInfo`.
        more: further keys of `extra_info`, JSON-able (`tools_kwargs`, `agent_name`).

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    seen_as = text(data_source, id, "data_source")
    common = _checked_meta(id, source or seen_as, licence, split, index)
    messages = checked_messages(prompt, id, "prompt", plain=True)
    if messages[-1]["role"] == "assistant":
        raise DataError(f"row {id}, column prompt: ends with the assistant's turn, not before it")
    if isinstance(ground_truth, int) and not isinstance(ground_truth, bool):
        ground_truth = str(ground_truth)
    extra: dict[str, Any] = {
        "split": common["split"],
        "index": common["index"],
        "id": id,
        "licence": common["licence"],
        "source": common["source"],
    }
    if category is not None:
        extra["category"] = text(category, id, "extra_info.category")
    if difficulty is not None:
        extra["difficulty"] = _number(difficulty, id, "extra_info.difficulty")
    for name, value in (more or {}).items():
        if name in ExtraInfo.__annotations__ and name != "tools_kwargs":
            raise DataError(f"row {id}, column extra_info.{name}: is given twice")
        if value is not None:
            extra[name] = value
    return RlRow(
        prompt=messages,
        data_source=seen_as,
        ability=text(ability, id, "ability"),
        reward_model=RewardModel(
            style=text(style, id, "reward_model.style"),
            ground_truth=text(ground_truth, id, "reward_model.ground_truth"),
        ),
        extra_info=extra,  # type: ignore[typeddict-item]  # TypedDict knows no open keys
    )


def sft_row(
    *,
    messages: Sequence[Mapping[str, Any]],
    data_source: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
    tools: Sequence[Mapping[str, Any]] | None = None,
    enable_thinking: bool | None = None,
    weight: float | None = None,
) -> SftRow:
    """A checked row for supervised fine-tuning.

    Args:
        messages: the whole chat; at least one turn is the assistant's.
        data_source: name of the source.
        id: stable, unique name of the row, used in messages.
        split: `train` or `test`.
        index: position within the split.
        licence: of the data, SPDX where there is one.
        tools: what the model may call; None or empty: nothing.
        enable_thinking: for the chat template; None: the template's own default.
        weight: factor on the row's loss, at least 0; None: 1.

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    common = _checked_meta(id, data_source, licence, split, index)
    checked = checked_messages(messages, id, "messages")
    if all(message["role"] != "assistant" for message in checked):
        raise DataError(f"row {id}, column messages: no assistant turn, so nothing to learn")
    row = SftRow(messages=checked, **common)  # type: ignore[typeddict-item]
    if tools:
        row["tools"] = checked_tools(tools, id)
    if enable_thinking is not None:
        if not isinstance(enable_thinking, bool):
            raise DataError(
                f"row {id}, column enable_thinking: got {enable_thinking!r:.40}, need true, false "
                "or nothing (verl takes the word 'none' for true)"
            )
        row["enable_thinking"] = enable_thinking
    if weight is not None and weight != 1:
        row["weight"] = _number(weight, id, "weight", least=0.0)
    return row


def preference_row(
    *,
    prompt: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
    rejected: Sequence[Mapping[str, Any]],
    data_source: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
    score_chosen: float | None = None,
    score_rejected: float | None = None,
) -> PreferenceRow:
    """A checked pair.

    Args:
        prompt: the chat up to the model's turn.
        chosen: the better way on; begins with the assistant's turn.
        rejected: the worse way on; begins with the assistant's turn.
        data_source: name of the source.
        id: stable, unique name of the row, used in messages.
        split: `train` or `test`.
        index: position within the split.
        licence: of the data, SPDX where there is one.
        score_chosen: the data's own score, on its own scale.
        score_rejected: the data's own score, on its own scale.

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    common = _checked_meta(id, data_source, licence, split, index)
    asked = checked_messages(prompt, id, "prompt", plain=True)
    if asked[-1]["role"] == "assistant":
        raise DataError(f"row {id}, column prompt: ends with the assistant's turn, not before it")
    answers = []
    for name, value in (("chosen", chosen), ("rejected", rejected)):
        answers.append(checked_messages(value, id, name, plain=True))
        if answers[-1][0]["role"] != "assistant":
            raise DataError(f"row {id}, column {name}: does not begin with the assistant's turn")
    scores = {"score_chosen": score_chosen, "score_rejected": score_rejected}
    numbers = {k: None if v is None else _number(v, id, k) for k, v in scores.items()}
    return PreferenceRow(
        prompt=asked,
        chosen=answers[0],
        rejected=answers[1],
        score_chosen=numbers["score_chosen"],
        score_rejected=numbers["score_rejected"],
        **common,
    )


def reward_pair_row(
    *,
    prompt: str,
    chosen: str,
    rejected: str,
    data_source: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
) -> RewardPairRow:
    """A checked pair of plain texts; arguments as `preference_row`'s.

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    common = _checked_meta(id, data_source, licence, split, index)
    return RewardPairRow(
        prompt=text(prompt, id, "prompt"),
        chosen=text(chosen, id, "chosen"),
        rejected=text(rejected, id, "rejected"),
        **common,
    )
