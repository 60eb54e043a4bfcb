"""What a message and a tool may look like in a row.

In: what a source gave. Out: the same, checked, with known keys only and no key that says nothing.
The template's own idea of a chat (who may follow whom) is not known here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

from conf.errors import DataError

ROLES: Final = ("system", "user", "assistant", "tool")
_TEXT_KEYS: Final = ("name", "tool_call_id", "reasoning_content")


class Span(TypedDict):
    """Characters start…end (exclusive) of a content, and the weight of their loss."""

    start: int
    end: int
    weight: float


class Message(TypedDict):
    """One turn of a chat; only `role` and `content` in prompts for reinforcement learning."""

    role: str
    content: str
    tool_calls: NotRequired[list[dict[str, Any]]]
    name: NotRequired[str]
    tool_call_id: NotRequired[str]
    reasoning_content: NotRequired[str]
    weight: NotRequired[float]
    spans: NotRequired[list[Span]]


class Tool(TypedDict):
    """One function that the model may call, as OpenAI and verl write it."""

    type: str
    function: dict[str, Any]


def text(value: object, row: str, column: str, *, empty: bool = False) -> str:
    """`value` as it is, if it is a string that Parquet can hold.

    Raises:
        DataError: it is not, or it is empty and may not be.
    """
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


def checked_messages(value: object, row: str, column: str, *, plain: bool = False) -> list[Message]:
    """A chat: at least one message, known roles and keys, text where there must be some.

    Args:
        value: the messages.
        row: its id, for messages of errors.
        column: where it stands, for the same.
        plain: refuse keys beside role and content, for kinds whose schema holds no others.

    Raises:
        DataError: it is none; the message names row, column and turn.
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)) or not value:
        raise DataError(
            f"row {row}, column {column}: got {value!r:.60}, need a list of {{role, content}}"
        )
    messages = [_message(message, row, f"{column}[{n}]") for n, message in enumerate(value)]
    for n, message in enumerate(messages):
        further = sorted(message.keys() - {"role", "content"})
        if plain and further:
            raise DataError(
                f"row {row}, column {column}[{n}]: {further[0]} is carried by SFT rows alone",
                fix="leave it out, or make SFT rows of this source",
            )
    return messages


def _message(value: object, row: str, where: str) -> Message:
    if not isinstance(value, Mapping) or not {"role", "content"} <= value.keys():
        raise DataError(f"row {row}, column {where}: got {value!r:.60}, need role and content")
    unknown = sorted(value.keys() - Message.__annotations__.keys())
    if unknown:
        raise DataError(f"row {row}, column {where}: key {unknown[0]!r} is not a message's")
    role = value["role"]
    if role not in ROLES:
        raise DataError(
            f"row {row}, column {where}.role: got {role!r}, need one of {', '.join(ROLES)}"
        )
    calls = value.get("tool_calls")
    # A call needs no words beside it, and a tool may well answer with nothing.
    content = "" if value["content"] is None and calls else value["content"]
    may_be_empty = bool(calls) or role == "tool"
    message = Message(role=role, content=text(content, row, f"{where}.content", empty=may_be_empty))
    if calls:
        message["tool_calls"] = _calls(calls, role, row, f"{where}.tool_calls")
    for name in _TEXT_KEYS:
        if value.get(name) is not None:
            message[name] = text(value[name], row, f"{where}.{name}")  # type: ignore[literal-required]
    if value.get("weight") is not None or value.get("spans"):
        _weigh(message, value, row, where)
    return message


def _calls(value: object, role: str, row: str, where: str) -> list[dict[str, Any]]:
    if role != "assistant":
        raise DataError(f"row {row}, column {where}: a {role} calls no tools")
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DataError(f"row {row}, column {where}: got {value!r:.60}, need a list")
    return [_call(call, row, where) for call in value]


def _call(call: Any, row: str, where: str) -> dict[str, Any]:
    """One call; its arguments as an object, since a template that prints JSON text escapes it."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise DataError(
            f"row {row}, column {where}: got {call!r:.60}, need "
            '{"type": "function", "function": {"name": …, "arguments": {…}}}'
        )
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise DataError(f"row {row}, column {where}: arguments are no JSON: {error}") from error
    if not isinstance(arguments, Mapping):
        raise DataError(f"row {row}, column {where}: arguments are {arguments!r:.40}, need {{…}}")
    return {**call, "function": {**function, "arguments": dict(arguments)}}


def _weigh(message: Message, value: Mapping[str, Any], row: str, where: str) -> None:
    """Put weight and spans into an assistant's message."""
    if message["role"] != "assistant":
        raise DataError(
            f"row {row}, column {where}.weight: no loss falls on a {message['role']}'s turn",
            fix="weigh the assistant's turns",
        )
    if value.get("weight") is not None:
        message["weight"] = _weight(value["weight"], row, f"{where}.weight")
    spans, last = [], 0
    for n, span in enumerate(value.get("spans") or ()):
        place = f"{where}.spans[{n}]"
        if not isinstance(span, Mapping) or span.keys() != Span.__annotations__.keys():
            raise DataError(f"row {row}, column {place}: got {span!r:.60}, need start, end, weight")
        start, end = span["start"], span["end"]
        whole = all(isinstance(edge, int) and not isinstance(edge, bool) for edge in (start, end))
        if not whole or not last <= start < end <= len(message["content"]):
            raise DataError(
                f"row {row}, column {place}: got {start!r}…{end!r}, need whole numbers in order "
                f"within the content's {len(message['content'])} characters, after {last}"
            )
        last = end
        spans.append(Span(start=start, end=end, weight=_weight(span["weight"], row, place)))
    if spans:
        message["spans"] = spans


def _weight(value: object, row: str, where: str) -> float:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fits or not 0 <= value < math.inf:  # type: ignore[operator]
        raise DataError(f"row {row}, column {where}: got {value!r}, need a finite number from 0")
    return float(value)  # type: ignore[arg-type]


def checked_tools(value: object, row: str) -> list[Tool]:
    """Tools as a template prints them: each with a function that has a name.

    Raises:
        DataError: they are none; the message names row and tool.
    """
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise DataError(
            f"row {row}, column tools: got {type(value).__name__}, need a list",
            fix="tools given as JSON text: name the column `tools` in the declaration",
        )
    tools = []
    for n, tool in enumerate(value):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise DataError(
                f"row {row}, column tools[{n}]: got {tool!r:.60}, need "
                '{"type": "function", "function": {"name": …, "parameters": {…}}}'
            )
        tools.append(Tool(type=str(tool.get("type") or "function"), function=dict(function)))
    return tools
