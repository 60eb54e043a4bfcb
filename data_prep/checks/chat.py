"""What can be wrong with the messages and tools of a row.

In: a value as it stands in a file. Out: `(code, column, detail)` for each thing against it. Repairs
nothing; which codes are grave stands in `data_prep.checks.codes`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from data_prep.rows_chat import ROLES, Message

Found = tuple[str, str, str]
ALIASES: Final = {
    "human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant",
    "chatgpt": "assistant", "model": "assistant", "ai": "assistant", "function": "tool",
    "observation": "tool", "developer": "system",
}  # fmt: skip
_PLAIN: Final = frozenset({"role", "content"})
_KNOWN: Final = frozenset(Message.__annotations__)


def shown(value: object) -> str:
    """A value, short."""
    return f"{type(value).__name__} {value!r:.50}"


def text_problems(text: str, column: str) -> Iterator[Found]:
    """Characters that break a tokenizer."""
    if text.isascii():
        if "\0" in text:
            yield "nul", column, f"holds NUL at character {text.index(chr(0))}"
        return
    if "\0" in text:
        yield "nul", column, f"holds NUL at character {text.index(chr(0))}"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        yield "bad_unicode", column, f"lone surrogate at character {error.start}"


def chat_problems(value: Any, column: str, *, plain: bool) -> Iterator[Found]:
    """Everything against a chat.

    Args:
        value: what should be a list of messages.
        column: where it stands.
        plain: whether its messages may hold role and content alone.
    """
    if isinstance(value, str):
        yield "prompt_text", column, f"got the text {value!r:.50}, need a list of messages"
        return
    if value is None:
        yield "prompt_missing", column, "is null, need a list of messages"
        return
    if not isinstance(value, list):
        yield "chat_type", column, f"got {shown(value)}, need a list of messages"
        return
    if not value:
        yield "prompt_empty", column, "is an empty list, need at least one message"
        return
    before = ""
    for n, message in enumerate(value):
        place = f"{column}[{n}]"
        if type(message) is not dict:
            yield "message_shape", place, f"got {shown(message)}, need role and content"
            continue
        role, content = message.get("role"), message.get("content")
        if role is None and content is None:
            code = "message_shape"
            yield code, place, f"has {', '.join(message) or 'nothing'}, need role and content"
            continue
        if role not in ROLES:
            yield _role(role, f"{place}.role")
        else:
            if role == "system" and n:
                yield "system_late", f"{place}.role", f"system at turn {n + 1}, after {before}"
            if role == before and role != "tool":
                yield "role_order", f"{place}.role", f"{role} speaks twice in a row"
            before = role
        yield from _content(message, content, role, f"{place}.content")
        if message.keys() != _PLAIN:
            yield from _further(message, place, plain=plain)


def _role(role: object, column: str) -> Found:
    if role is None:
        return "role_missing", column, "is null, need one of " + ", ".join(ROLES)
    if isinstance(role, str) and (role.strip().lower() in (*ALIASES, *ROLES)):
        return "role_alias", column, f"got {role!r}, need one of {', '.join(ROLES)}"
    return "role_unknown", column, f"got {role!r:.40}, need one of {', '.join(ROLES)}"


def _content(message: Mapping[str, Any], content: Any, role: Any, column: str) -> Iterator[Found]:
    if type(content) is str:
        if not content or content.isspace():
            if role != "tool" and not message.get("tool_calls"):
                yield "content_empty", column, "holds no text"
        elif not content.isascii() or "\0" in content:
            yield from text_problems(content, column)
    elif content is None:
        if not message.get("tool_calls"):
            yield "content_missing", column, "is null or not there, need a text"
    else:
        yield "content_type", column, f"got {shown(content)}, need one string"


def _further(message: Mapping[str, Any], place: str, *, plain: bool) -> Iterator[Found]:
    """Keys beside role and content."""
    role = message.get("role")
    for name, value in message.items():
        if name in _PLAIN or value is None:
            continue
        if name not in _KNOWN or plain:
            where = "an RL or preference row" if name in _KNOWN else "any row"
            yield "message_key", f"{place}.{name}", f"is no key of a message in {where}"
    if not plain and message.get("tool_calls"):
        yield from _calls(message["tool_calls"], role, f"{place}.tool_calls")
    weight = message.get("weight")
    if not plain and weight is not None:
        yield from weight_problems(weight, f"{place}.weight")
    if not plain and message.get("spans"):
        yield from _spans(message["spans"], message.get("content"), f"{place}.spans")


def weight_problems(value: Any, column: str) -> Iterator[Found]:
    """A weight of the loss."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        yield "weight_value", column, f"got {value!r:.40}, need a finite number from 0 on"


def _spans(value: Any, content: Any, column: str) -> Iterator[Found]:
    last = 0
    length = len(content) if isinstance(content, str) else 0
    for n, span in enumerate(value if isinstance(value, list) else [value]):
        place = f"{column}[{n}]"
        if not isinstance(span, Mapping) or span.keys() != {"start", "end", "weight"}:
            yield "span_value", place, f"got {shown(span)}, need start, end, weight"
            continue
        start, end = span["start"], span["end"]
        if not (isinstance(start, int) and isinstance(end, int) and last <= start < end <= length):
            yield (
                "span_value",
                place,
                f"got {start!r}…{end!r}, need places in order among {length} characters",
            )
        else:
            last = end
        yield from weight_problems(span["weight"], f"{place}.weight")


def _calls(value: Any, role: Any, column: str) -> Iterator[Found]:
    if role != "assistant":
        yield "call_shape", column, f"a {role} calls no tools"
    for n, call in enumerate(value if isinstance(value, list) else [value]):
        place = f"{column}[{n}]"
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            yield "call_shape", place, f"got {shown(call)}"
            continue
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError as error:
                yield "call_arguments", f"{place}.function.arguments", f"no JSON: {error}"
                continue
        if not isinstance(arguments, Mapping):
            yield "call_arguments", f"{place}.function.arguments", f"got {shown(arguments)}"


def tool_problems(value: Any, column: str = "tools") -> Iterator[Found]:
    """Everything against a list of tools."""
    if value is None:
        return
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError as error:
            yield "tools_type", column, f"got text that is no JSON: {error}"
        else:
            yield "tools_text", column, "got JSON text, need a list"
        return
    if not isinstance(value, list):
        yield "tools_type", column, f"got {shown(value)}, need a list"
        return
    for n, tool in enumerate(value):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            yield "tool_shape", f"{column}[{n}]", f"got {shown(tool)}"
        elif _has_null(function.get("parameters")):
            yield "tools_merged", f"{column}[{n}]", "its parameters hold nulls, fields of others"


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(item is None or _has_null(item) for item in value.values())
    return isinstance(value, list) and any(_has_null(item) for item in value)
