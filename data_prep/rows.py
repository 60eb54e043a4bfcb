"""The rows that training reads: typed builders and one Arrow schema for each kind.

In: plain values. Out: rows whose every column has one type in every file that we write (the ground
truth and the index are always strings, no struct is empty), so that any two outputs concatenate and
verl's dataset classes load them. A value that does not fit is refused, with row and column. Chat
templates are applied by verl's tokenizer, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

from conf.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

ROLES: Final = ("system", "user", "assistant", "tool")


class Message(TypedDict):
    """One turn of a chat."""

    role: str
    content: str


class RewardModel(TypedDict):
    """What the reward is told of the row."""

    style: str
    ground_truth: str


class ExtraInfo(TypedDict):
    """Where the row comes from; `id` is stable and unique over all outputs of a source."""

    split: str
    index: str
    id: str
    licence: str


class RlRow(TypedDict):
    """One prompt to train on by reinforcement, in verl's columns."""

    prompt: list[Message]
    data_source: str
    ability: str
    reward_model: RewardModel
    extra_info: ExtraInfo


class SftRow(TypedDict):
    """One conversation to imitate; loss falls on the assistant's turns."""

    messages: list[Message]
    data_source: str
    extra_info: ExtraInfo


def _messages_type() -> pa.DataType:
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def _extra_type() -> pa.DataType:
    import pyarrow as pa

    return pa.struct([(name, pa.string()) for name in ExtraInfo.__annotations__])


def rl_schema() -> pa.Schema:
    """The canonical Arrow schema of `RlRow`."""
    import pyarrow as pa

    reward_model = pa.struct([(name, pa.string()) for name in RewardModel.__annotations__])
    return pa.schema(
        [
            ("prompt", _messages_type()),
            ("data_source", pa.string()),
            ("ability", pa.string()),
            ("reward_model", reward_model),
            ("extra_info", _extra_type()),
        ]
    )


def sft_schema() -> pa.Schema:
    """The canonical Arrow schema of `SftRow`."""
    import pyarrow as pa

    return pa.schema(
        [
            ("messages", _messages_type()),
            ("data_source", pa.string()),
            ("extra_info", _extra_type()),
        ]
    )


def _text(value: object, row: str, column: str, *, empty: bool = False) -> str:
    """`value` as it is, if it is a string that Parquet can hold."""
    if not isinstance(value, str):
        raise DataError(
            f"row {row}, column {column}: got {type(value).__name__} {value!r:.60}, need a string"
        )
    if not empty and not value.strip():
        raise DataError(f"row {row}, column {column}: is empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"row {row}, column {column}: not valid Unicode: {error}") from error
    return value


def _messages(value: object, row: str, column: str) -> list[Message]:
    """A checked chat: at least one message, known roles, text that is not empty."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise DataError(
            f"row {row}, column {column}: got {value!r:.60}, need a list of {{role, content}}"
        )
    messages = []
    for turn, message in enumerate(value):
        where = f"{column}[{turn}]"
        if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
            raise DataError(f"row {row}, column {where}: need exactly the keys role and content")
        if message["role"] not in ROLES:
            raise DataError(
                f"row {row}, column {where}.role: got {message['role']!r}, "
                f"need one of {', '.join(ROLES)}"
            )
        content = _text(message["content"], row, f"{where}.content")
        messages.append(Message(role=message["role"], content=content))
    return messages


def _extra(id: str, split: str, index: object, licence: str) -> ExtraInfo:
    _text(id, "?", "extra_info.id")
    if isinstance(index, bool) or not isinstance(index, (int, str)):
        raise DataError(
            f"row {id}, column extra_info.index: got {index!r}, need a number or string"
        )
    return ExtraInfo(
        split=_text(split, id, "extra_info.split"),
        index=_text(str(index), id, "extra_info.index"),
        id=id,
        licence=_text(licence, id, "extra_info.licence"),
    )


def rl_row(
    *,
    prompt: Sequence[Mapping[str, object]],
    ground_truth: Any,
    data_source: str,
    ability: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
    style: str = "rule",
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

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    extra = _extra(id, split, index, licence)
    messages = _messages(prompt, id, "prompt")
    if messages[-1]["role"] == "assistant":
        raise DataError(f"row {id}, column prompt: ends with the assistant's turn, not before it")
    if isinstance(ground_truth, int) and not isinstance(ground_truth, bool):
        ground_truth = str(ground_truth)
    return RlRow(
        prompt=messages,
        data_source=_text(data_source, id, "data_source"),
        ability=_text(ability, id, "ability"),
        reward_model=RewardModel(
            style=_text(style, id, "reward_model.style"),
            ground_truth=_text(ground_truth, id, "reward_model.ground_truth"),
        ),
        extra_info=extra,
    )


def sft_row(
    *,
    messages: Sequence[Mapping[str, object]],
    data_source: str,
    id: str,
    split: str,
    index: int | str,
    licence: str,
) -> SftRow:
    """A checked row for supervised fine-tuning.

    Args:
        messages: the whole chat; at least one turn is the assistant's.
        data_source: name of the source.
        id: stable, unique name of the row, used in messages.
        split: `train` or `test`.
        index: position within the split.
        licence: of the data, SPDX where there is one.

    Raises:
        DataError: a value does not fit; the message names row and column.
    """
    extra = _extra(id, split, index, licence)
    checked = _messages(messages, id, "messages")
    if all(message["role"] != "assistant" for message in checked):
        raise DataError(f"row {id}, column messages: no assistant turn, so nothing to learn")
    return SftRow(
        messages=checked,
        data_source=_text(data_source, id, "data_source"),
        extra_info=extra,
    )
