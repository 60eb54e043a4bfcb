"""Mend a row as far as that can be done without guessing what it means.

In: a record of a file, and what is known of it by its place. Out: a row in the columns of its kind,
ready for the canonical schema. What only a person can mend is left as it is, for
`data_prep.checks.rows` to find again. Gold answers, texts and the order of turns are never made up:
JSON text of a chat or an object is that chat or object, never what a user said, and NaN, pandas'
null, is no text.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from data_prep.checks.chat import ALIASES
from data_prep.checks.rows import unpacked
from data_prep.rows_chat import ROLES, Message
from data_prep.rows_schema import META, Kind

_BOOLS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_MESSAGE: Final = frozenset(Message.__annotations__)
_SPEAKERS: Final = frozenset({"role", "from"})
_SAID: Final = frozenset({"content", "value", "text", "tool_calls"})
_WRITTEN_KEY: Final = re.compile(r"""['"](\w+)['"]\s*:""")
_RL: Final = ("prompt", "data_source", "ability", "reward_model", "extra_info")


def _text(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "ignore")


def _content(value: Any) -> Any:
    """A content as one string: parts of text joined; anything else as it is."""
    if isinstance(value, str):
        return _text(value)
    if _is_number(value):
        return str(value)
    if isinstance(value, list) and value:
        parts: list[Any] = [
            part.get("text") if isinstance(part, Mapping) else part for part in value
        ]
        if all(isinstance(part, str) for part in parts):
            return "\n".join(map(_text, parts))
    return value


def _is_number(value: Any) -> bool:
    """Whether it is a number that a text can say; NaN and infinity are none."""
    return type(value) in (int, float) and math.isfinite(value)


def _absent(value: Any) -> bool:
    """Null, or NaN, which pandas writes for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _decoded(value: Any) -> Any:
    """A JSON text as the object or list that it is; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _written_chat(text: str) -> Any:
    """The messages that a text spells as JSON; None for any other text.

    A text that begins as messages do and cannot be read is given back as it is.
    """
    found = _decoded(text)
    turns = found if isinstance(found, list) else [found]
    if turns and all(isinstance(one, Mapping) and _speaks(set(one)) for one in turns):
        return turns
    begins = re.match(r"\s*(\[\s*)?\{", text)
    return text if begins and _speaks(set(_WRITTEN_KEY.findall(text))) else None


def _speaks(keys: set[str]) -> bool:
    return bool(keys & _SPEAKERS and keys & _SAID)


def _chat(value: Any, role: str) -> Any:
    """A chat as a list of messages; a bare text is one turn of `role`."""
    if isinstance(value, str):
        written = _written_chat(value)
        if written is None:
            return [{"role": role, "content": _text(value)}] if value.strip() else value
        value = written
    if isinstance(value, Mapping) and "content" in value:
        value = [value]
    return [_message(one) for one in value] if isinstance(value, list) else value


def _message(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    message = {n: v for n, v in value.items() if v is not None or n in ("role", "content")}
    for old, new in (("from", "role"), ("value", "content"), ("text", "content")):
        if old in message and message.get(new) is None:
            message[new] = message.pop(old)
    role = message.get("role")
    if isinstance(role, str) and role not in ROLES:
        word = role.strip().lower()
        message["role"] = ALIASES.get(word, word if word in ROLES else role)
    message["content"] = _content(message.get("content"))
    if message["content"] is None and message.get("tool_calls"):
        message["content"] = ""
    return message


def _without_null(value: Any) -> Any:
    """What Arrow added to an object: fields that other rows have."""
    if isinstance(value, Mapping):
        return {n: _without_null(v) for n, v in value.items() if v is not None}
    return [_without_null(v) for v in value] if isinstance(value, list) else value


def _meta(row: dict[str, Any], place: Mapping[str, str]) -> None:
    for name in META:
        value = row.get(name)
        if _absent(value) or value == "":
            row[name] = place[name]
        elif not isinstance(value, str):
            row[name] = _number_text(value)
    row["id"] = row["id"] or place["id"]


def _number_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def repair(kind: Kind, record: Mapping[str, Any], place: Mapping[str, str]) -> dict[str, Any]:
    """The row, mended.

    Args:
        kind: of the row.
        record: as it stands in the file.
        place: id, source, licence, split and index for a row that does not say them.
    """
    if kind == "rl":
        record = {**record, **{n: _decoded(record.get(n)) for n in ("reward_model", "extra_info")}}
    row, _ = unpacked(kind, record)
    if kind == "rl":
        return _rl(row, place)
    if kind == "sft":
        return _sft(row, place)
    kept = {n: row.get(n) for n in ("prompt", "chosen", "rejected", *META)}
    if kind == "preference":
        for name in ("prompt", "chosen", "rejected"):
            role = "user" if name == "prompt" else "assistant"
            kept[name] = _plain(_chat(kept[name], role))
        kept |= {name: row.get(name) for name in ("score_chosen", "score_rejected")}
    else:
        for name in ("prompt", "chosen", "rejected"):
            value = kept[name]
            kept[name] = _text(value) if isinstance(value, str) else value
    _meta(kept, place)
    return kept


def _plain(chat: Any) -> Any:
    """Messages without keys that say nothing here."""
    if not isinstance(chat, list):
        return chat
    return [
        {n: v for n, v in one.items() if n in _MESSAGE} if isinstance(one, Mapping) else one
        for one in chat
    ]


def _rl(row: dict[str, Any], place: Mapping[str, str]) -> dict[str, Any]:
    model, extra = row.get("reward_model"), row.get("extra_info")
    if isinstance(model, Mapping):
        gold = model.get("ground_truth")
        if _is_number(gold):
            gold = _number_text(gold)
        elif isinstance(gold, (list, dict)) and gold:
            gold = json.dumps(gold, ensure_ascii=False)
        elif isinstance(gold, str):
            gold = _text(gold)
        style = model.get("style")
        model = {"style": "rule" if _absent(style) else style or "rule", "ground_truth": gold}
    extra = {} if _absent(extra) or extra == "" else extra
    if not isinstance(extra, Mapping):
        return {**{name: row.get(name) for name in _RL}, "reward_model": model}
    extra = _without_null(dict(extra))
    beside = {n: _without_null(v) for n, v in row.items() if n not in _RL and not _absent(v)}
    extra = {**beside, **extra}
    extra = {name: value for name, value in extra.items() if value != {}}
    source, ability = row.get("data_source"), row.get("ability")
    _meta(extra, {**place, "source": source if isinstance(source, str) else place["source"]})
    if "category" in extra:
        category = extra.pop("category")
        extra |= {} if _absent(category) else {"category": str(category)}
    return {
        "prompt": _plain(_chat(row.get("prompt"), "user")),
        "data_source": source,
        "ability": "unknown" if _absent(ability) else ability or "unknown",
        "reward_model": model,
        "extra_info": extra,
    }


def _sft(row: dict[str, Any], place: Mapping[str, str]) -> dict[str, Any]:
    kept: dict[str, Any] = {"messages": _plain(_chat(row.get("messages"), "user"))}
    tools = row.get("tools")
    if isinstance(tools, str):
        with contextlib.suppress(ValueError):  # stays a text, and is found again
            tools = json.loads(tools)
    if tools:
        kept["tools"] = _without_null(tools) if isinstance(tools, list) else tools
    thinking = row.get("enable_thinking")
    if isinstance(thinking, (str, int)) and not isinstance(thinking, bool):
        word = str(thinking).strip().lower()
        thinking = None if word in ("none", "null", "") else _BOOLS.get(word, thinking)
    if thinking is not None:
        kept["enable_thinking"] = thinking
    if row.get("weight") is not None:
        kept["weight"] = row["weight"]
    kept |= {name: row.get(name) for name in META}
    _meta(kept, place)
    return kept
