"""A row's conversation, wherever its file keeps it.

In: a row of SFT or RL data. Out: its turns, and what the chat template gets beside them. A row of
`data_prep` with tools, `enable_thinking` or loss weights has no `messages` but a `chat`, as JSON,
which verl's own class does not read: `OUR_ROWS` names the one that does. Judges nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PACKED = "chat"
OUR_ROWS = "pkg://data_prep.backends.verl_rows"
_BESIDE = ("tools", "enable_thinking")


@dataclass(frozen=True)
class Chat:
    """A conversation.

    Attributes:
        turns: as the row has them, whatever they are; None where there is nothing.
        beside: variables of the chat template: tools, `enable_thinking`.
        packed: whether it lay in `chat`.
    """

    turns: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    packed: bool = False


def chat_of(row: Mapping[str, Any], column: str) -> Chat:
    """The conversation of a row.

    Args:
        row: with the column, and `chat` where the file has it.
        column: of the turns.
    """
    text = row.get(PACKED)
    if row[column] is not None or not isinstance(text, str):
        return Chat(row[column])
    try:
        chat = json.loads(text)
    except ValueError:
        return Chat(None, packed=True)
    if not isinstance(chat, Mapping):
        return Chat(None, packed=True)
    beside = {name: chat[name] for name in _BESIDE if chat.get(name) is not None}
    return Chat(chat.get("messages"), beside, packed=True)
