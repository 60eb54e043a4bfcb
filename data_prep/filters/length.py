"""The filter `length`: rows too short or too long, in tokens of the model that will read them.

In: rows. Out: a finding outside the bounds. Tokens are counted in the tokenizer's chat template:
the whole chat of an SFT row, the prompt of an RL row up to the model's turn, the longer side of a
pair with its prompt. Words and characters are there for when no tokenizer is at hand; they are
never passed off as tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from data_prep.filters.base import Finding, Row, RowFilter, answers_of, kind_of, text_of

if TYPE_CHECKING:
    from data_prep.backends.token_counter import TokenCounter


class Length(RowFilter):
    """The filter `length`.

    Attributes:
        unit: what is counted.
        tokenizer: folder or hub name; needed for tokens.
        minimum: least length of the whole row.
        maximum: greatest length of the whole row; None: no bound.
        min_answer: least length of each answer (SFT and pairs), without a template.
        max_answer: greatest length of an answer; None: no bound.
    """

    name: ClassVar[str] = "length"
    reasons: ClassVar[Mapping[str, str]] = {
        "too_short": "the row is shorter than the bound",
        "too_long": "the row is longer than the bound",
        "answer_too_short": "an answer is shorter than its bound",
        "answer_too_long": "an answer is longer than its bound",
    }

    unit: Literal["tokens", "words", "characters"] = "tokens"
    tokenizer: str | None = None
    minimum: int = Field(default=1, ge=0)
    maximum: int | None = Field(default=None, ge=1)
    min_answer: int = Field(default=0, ge=0)
    max_answer: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _countable(self) -> Length:
        if self.unit == "tokens" and not self.tokenizer:
            raise ValueError("tokens need tokenizer=FOLDER_OR_NAME (or unit=words, characters)")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum {self.maximum} is below minimum {self.minimum}")
        return self

    @cached_property
    def _counter(self) -> TokenCounter:
        from data_prep.backends.token_counter import TokenCounter

        return TokenCounter(str(self.tokenizer))

    def _count(self, text: str) -> int:
        if self.unit == "tokens":
            return self._counter.text(text)
        return len(text.split()) if self.unit == "words" else len(text)

    def _chats(self, row: Row) -> list[tuple[Sequence[Mapping[str, Any]], bool]]:
        """What a model would read of the row, and whether its turn is still to come."""
        kind = kind_of(row)
        if kind == "sft":
            return [(row["messages"], False)]
        prompt = _as_chat(row.get("prompt"), "user")
        if kind == "rl":
            return [(prompt, True)]
        return [
            ([*prompt, *_as_chat(row[side], "assistant")], False) for side in ("chosen", "rejected")
        ]

    def length(self, row: Row) -> int:
        """The row's length in the unit."""
        if self.unit != "tokens":
            return self._count(text_of(row, "prompt" if kind_of(row) == "rl" else "all"))
        tools = row.get("tools")
        return max(
            self._counter.chat(messages, tools, prompt=prompt)
            for messages, prompt in self._chats(row)
        )

    def judge_row(self, row: Row) -> Finding | None:
        """The first bound that is crossed."""
        length = self.length(row)
        if length < self.minimum:
            return self.found("too_short", f"{length} {self.unit}, at least {self.minimum}")
        if self.maximum is not None and length > self.maximum:
            return self.found("too_long", f"{length} {self.unit}, at most {self.maximum}")
        if self.min_answer or self.max_answer is not None:
            for answer in answers_of(row):
                length = self._count(answer)
                if length < self.min_answer:
                    detail = f"{length} {self.unit}, at least {self.min_answer}"
                    return self.found("answer_too_short", detail)
                if self.max_answer is not None and length > self.max_answer:
                    detail = f"{length} {self.unit}, at most {self.max_answer}"
                    return self.found("answer_too_long", detail)
        return None


def _as_chat(value: object, role: str) -> list[Mapping[str, Any]]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    return list(value) if isinstance(value, Sequence) else []
