"""What a declaration's columns hold, as text, numbers, chats and gold answers.

In: a raw row, a column's name (dots for what is nested, `?` where it may be missing) or a template.
Out: plain values. A column that is not there is a `DataError` that names those that are; a value
that is there and cannot be used is a `Lack`, which costs its row and nothing else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from conf.errors import DataError
from data_prep.numbers import number_in
from data_prep.rows_schema import dumps
from data_prep.sources.declare import Condition, Range
from rewards.extract import find_all

_FIELD = re.compile(r"\{(\{\w+\})\}|\{([^\W\d][\w.]*\??)\}")
_HASHES = re.compile(r"####\s*(\S[^\n]*?)\s*$")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_BARE_BOX = re.compile(r"\\f?boxed\s+([^\s$\\{}]+)")
ROLES: Final[Mapping[str, str]] = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
_CALLS: Final = ("function_call", "tool_call")  # roles whose text is a call, in ShareGPT's manner


class Lack(Exception):
    """A raw row that gives no row: its reason code, and a word on it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def value(raw: Mapping[str, Any], column: str, where: str) -> Any:
    """What a column holds; None where it may be missing and is.

    Raises:
        DataError: there is no such column.
    """
    optional = column.endswith("?")
    found: Any = raw
    for part in column.removesuffix("?").split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, Sequence) and not isinstance(found, str) and part.isdigit():
            found = found[int(part)] if int(part) < len(found) else None
        elif optional or (found is None and part != column):
            return None
        else:
            raise DataError(
                f"{where}: no column {column!r}; it has {', '.join(map(str, raw)) or 'none'}",
                fix=f"name the right column in the declaration, or {column}? if rows may lack it",
            )
    return found


def as_text(found: Any) -> str:
    """A value as a prompt or an answer spells it: 27.0 is 27; null, or pandas' NaN, is nothing."""
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return ""
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
        return str(int(found))
    if isinstance(found, (int, float)):
        return str(found)
    return json.dumps(found, ensure_ascii=False)


def filled(parts: Sequence[str], raw: Mapping[str, Any], where: str) -> str:
    """A template with its columns filled in; `{{x}}` gives `{x}`, other braces stay as they are."""
    texts = []
    for part in parts:
        names = [name for _, name in _FIELD.findall(part) if name]
        values = {name: _in_template(value(raw, name, where)) for name in names}
        if names and not any(text.strip() for text in values.values()):
            continue
        texts.append(_FIELD.sub(lambda m, known=values: m[1] or known[m[2]], part))  # type: ignore[misc]
    return "\n\n".join(texts)


@cache
def _around(parts: Sequence[str]) -> tuple[str, str]:
    """The words of a template before its first column and after its last."""
    whole = "\n\n".join(parts)
    fields = [found for found in _FIELD.finditer(whole) if found[2]]
    if not fields:
        return "", ""
    ends = whole[: fields[0].start()], whole[fields[-1].end() :]
    before, after = (_FIELD.sub(lambda found: found[1], end) for end in ends)
    return before, after


def unfilled(parts: tuple[str, ...], text: str) -> str | None:
    """A filled template without the words around its columns; None where it has none of them.

    Words between two columns stay: they are part of what is asked.
    """
    before, after = _around(parts)
    if not text.startswith(before) or not text.endswith(after):
        return None
    asked = text.removeprefix(before).removesuffix(after)
    return asked if asked.strip() and asked != text else None


def _in_template(found: Any) -> str:
    """A list of texts as its lines, anything else as text."""
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return "\n".join(found)
    return as_text(found)


def holds(condition: Condition, found: Any) -> bool:
    """Whether a value fits a declaration's `keep`."""
    if isinstance(condition, Range):
        try:
            given = number_in(found) if isinstance(found, str) else float(found)
        except (TypeError, ValueError):
            return False
        if given is None:
            return False
        low = condition.min is None or given >= condition.min
        return low and (condition.max is None or given <= condition.max)
    wanted = condition if isinstance(condition, list) else [condition]
    return any(type(item) is type(found) and item == found for item in wanted)


def gold(found: Any, extract: str) -> str:
    """The gold answer in what the answer's column holds.

    Raises:
        Lack: there is none.
    """
    if isinstance(found, (list, tuple)) and len(found) == 1:
        found = found[0]
    whole = as_text(found).strip()
    if not whole:
        raise Lack("no_answer")
    if extract == "hashes":
        match = _HASHES.search(whole)
        if match is None:
            raise Lack("no_final_answer", "nothing follows ####")
        return _THOUSANDS.sub("", match[1])
    if extract == "boxed":
        boxes = [item for item in find_all(whole) if item.anchor == "boxed"]
        bare = list(_BARE_BOX.finditer(whole))  # \boxed 5, as a few solutions have it
        if not boxes and not bare:
            raise Lack("no_final_answer", "no \\boxed{}")
        text = boxes[-1].text if boxes else bare[-1][1]
        if not text:
            raise Lack("no_final_answer", "an empty \\boxed{}")
        return text
    return whole


def gold_object(columns: Mapping[str, str], raw: Mapping[str, Any], where: str) -> str:
    """Several columns as one JSON object.

    Raises:
        Lack: all of them are empty.
    """
    found = {name: value(raw, column, where) for name, column in columns.items()}
    if all(item in (None, "", []) for item in found.values()):
        raise Lack("no_answer")
    return dumps(found)


def number(found: Any, where: str, column: str) -> float | None:
    """A number, or None for nothing; text is read, a level as `Level 3` too.

    Raises:
        DataError: it is neither a number nor a text.
        Lack: a text whose number is not sure.
    """
    if found is None or found == "":
        return None
    if isinstance(found, str):
        try:
            return number_in(found)  # None: `Level ?`, as MATH has it a few times
        except ValueError as error:
            raise Lack("bad_number", f"{column}: {error}") from error
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return float(found)
    raise DataError(f"{where}, column {column}: got {found!r:.60}, need a number")


def chat(found: Any, where: str) -> list[dict[str, Any]]:
    """A chat in our roles, from {role, content}, {from, value}, or a question's text.

    Raises:
        DataError: it is no chat, or a role is not known.
        Lack: a turn is empty, or the turns do not follow one another.
    """
    if isinstance(found, str):
        if not found.strip():
            raise Lack("empty_prompt")
        return [{"role": "user", "content": found}]
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, Sequence):
        raise DataError(f"{where}: got {found!r:.60}, need a chat: a list of {{role, content}}")
    turns = [_turn(turn, where) for turn in found]
    if not turns:
        raise Lack("empty_chat")
    return turns


def _turn(turn: Any, where: str) -> dict[str, Any]:
    keys = ("from", "value") if isinstance(turn, Mapping) and "from" in turn else None
    keys = keys or ("role", "content")
    if not isinstance(turn, Mapping) or not set(keys) <= set(turn):
        raise DataError(
            f"{where}: a turn is {turn!r:.60}, need {{role, content}} or {{from, value}}"
        )
    role, content = turn[keys[0]], turn[keys[1]]
    if role in _CALLS:
        return {"role": "assistant", "content": "", "tool_calls": _calls(content, where)}
    if role not in ROLES:
        raise DataError(
            f"{where}: no role {role!r} is known", fix=f"roles are {', '.join(sorted(ROLES))}"
        )
    made: dict[str, Any] = {"role": ROLES[role], "content": "" if content is None else content}
    names = ("tool_calls", "name", "tool_call_id", "reasoning_content", "weight", "spans")
    made |= {name: turn[name] for name in names if turn.get(name) not in (None, [])}
    if not str(made["content"]).strip() and "tool_calls" not in made and made["role"] != "tool":
        raise Lack("empty_turn")
    return made


def _calls(content: Any, where: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(content) if isinstance(content, str) else content
    except ValueError as error:
        raise Lack("broken_tool_call", f"{where}: {error}") from error
    calls = found if isinstance(found, list) else [found]
    return [_function(call) for call in calls]


def _function(found: Any) -> dict[str, Any]:
    """A bare function as OpenAI's object around it."""
    if isinstance(found, Mapping) and "function" in found:
        return dict(found)
    return {"type": "function", "function": found}


def check_turns(turns: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a chat that a strict chat template would refuse in the middle of a run.

    Raises:
        Lack: it begins with the assistant, has a system message later on, or two turns of one side.
    """
    last = None
    for n, turn in enumerate(turns):
        role = turn["role"]
        if role == "system":
            if n:
                raise Lack("system_not_first")
            continue
        if role == "assistant" and last is None:
            raise Lack("starts_with_assistant")
        if role == last and role in ("user", "assistant"):
            raise Lack("turns_not_alternating")
        last = role


def tools(found: Any, where: str) -> list[dict[str, Any]] | None:
    """Tools as a list of {type, function}; JSON text and bare functions are understood."""
    if found in (None, "", []):
        return None
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise Lack("broken_tools", f"{where}: {error}") from error
    if not isinstance(found, Sequence):
        raise DataError(f"{where}: tools are {found!r:.60}, need a list")
    return [_function(tool) for tool in found] or None
