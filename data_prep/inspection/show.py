"""A row as turns to read: who speaks, what, how many tokens, and where the loss falls.

In: rows; a tokenizer's name, or none. Out: `View`s, the same for the terminal and the page. Without
a tokenizer words are counted and called words, and an assistant's whole turn counts as learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conf.errors import DataError
from data_prep.filters.base import content_of, gold_of, kind_of
from data_prep.inspection.sample import Sample


class Masks(Protocol):
    """What `data_prep.backends.loss_mask.LossMask` gives."""

    def tokens(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Any = None,
        enable_thinking: bool | None = None,
        weight: float = 1.0,
        prompt: bool = False,
    ) -> list[tuple[str, float]]:
        """Each token's text and weight."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn.

    Attributes:
        role: who speaks; `gold`, `chosen` and `rejected` are labels of ours.
        text: what.
        learned: whether the loss falls on it.
        words: white-space separated.
    """

    role: str
    text: str
    learned: bool
    words: int


@dataclass(frozen=True, slots=True)
class View:
    """One row to read.

    Attributes:
        number: in the file.
        title: its id, source and other facts.
        turns: in order.
        tokens: text and weight of each token; None without a tokenizer.
        flags: what is against it.
    """

    number: int
    title: str
    turns: tuple[Turn, ...]
    tokens: tuple[tuple[str, float], ...] | None
    flags: tuple[str, ...]

    @property
    def size(self) -> str:
        """Its length in words."""
        if self.tokens is None:
            return f"{sum(turn.words for turn in self.turns)} words"
        learned = sum(weight > 0 for _, weight in self.tokens)
        return f"{len(self.tokens)} tokens, {learned} learned from"


def view(sample: Sample, masks: Masks | None = None) -> View:
    """A sample as turns."""
    row, flags = sample.row, list(sample.flags)
    tokens = None
    if masks is not None:
        try:
            tokens = tuple(_tokens(row, masks))
        except (DataError, KeyError, TypeError, AttributeError) as error:
            flags.append(f"tokens: {error}")
    return View(sample.number, _title(row), tuple(_turns(row)), tokens, tuple(flags))


def _title(row: Mapping[str, Any]) -> str:
    extra = row.get("extra_info")
    facts = extra if isinstance(extra, Mapping) else row
    names = ("id", "source", "licence", "split", "category", "difficulty", "score_chosen")
    told = [f"{name} {facts[name]}" for name in names if facts.get(name) not in (None, "")]
    return " · ".join(told)


def _turn(role: str, text: str, *, learned: bool = False) -> Turn:
    return Turn(role, text, learned, len(text.split()))


def _chat(value: Any, role: str) -> list[Mapping[str, Any]]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return [one for one in value or () if isinstance(one, Mapping)]


def _turns(row: Mapping[str, Any]) -> list[Turn]:
    kind = kind_of(row)
    if kind == "sft":
        turns = []
        for one in _chat(row["messages"], "assistant"):
            role = str(one.get("role"))
            weighed = one.get("weight") != 0 and row.get("weight") != 0
            turns.append(_turn(role, content_of(one), learned=role == "assistant" and weighed))
        return turns
    turns = [
        _turn(str(one.get("role")), content_of(one)) for one in _chat(row.get("prompt"), "user")
    ]
    if kind == "rl":
        return [*turns, _turn("gold", gold_of(row) or "(none)")]
    for side in ("chosen", "rejected"):
        turns += [
            _turn(side if one.get("role") == "assistant" else str(one.get("role")), content_of(one),
                  learned=side == "chosen" and one.get("role") == "assistant")
            for one in _chat(row.get(side), "assistant")
        ]  # fmt: skip
    return turns


def _tokens(row: Mapping[str, Any], masks: Masks) -> list[tuple[str, float]]:
    kind = kind_of(row)
    if kind == "sft":
        return masks.tokens(
            row["messages"],
            tools=row.get("tools"),
            enable_thinking=row.get("enable_thinking"),
            weight=float(row.get("weight") or 1.0) if row.get("weight") != 0 else 0.0,
        )
    prompt = _chat(row.get("prompt"), "user")
    if kind == "rl":
        return masks.tokens(prompt, prompt=True)
    return masks.tokens([*prompt, *_chat(row.get("chosen"), "assistant")])
