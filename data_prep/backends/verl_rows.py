"""verl's own dataset classes, reading what our Parquet says beyond roles and texts.

In: files of `data_prep`. Out: what verl's classes make of them, and moreover

- `SftRows`: tools, tool calls and `enable_thinking` of each row reach the chat template, and the
  loss mask carries the weights of rows, turns and spans (verl multiplies log-probs by the mask and
  divides by its sum, so that the loss is a weighted mean);
- `RlRows`: `tools_kwargs`, `interaction_kwargs`, `agent_name` and whatever else lies in
  `extra_info.more` stand where verl looks for them.

Chosen by `data.custom_cls.path=pkg://data_prep.backends.verl_rows data.custom_cls.name=SftRows`.
Rows without such things come out as from verl's class, the mask as 0.0 and 1.0. Needs a tokenizer
that tells where its tokens stand (a fast one) for the weights of spans alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset

from conf.errors import DataError
from rewards.registry import row_fields

_WEIGHTS: Final = ("weight", "spans")
SINGLE_TURN: Final = "single_turn_agent"  # verl's default agent loop


class SftRows(MultiTurnSFTDataset):
    """Conversations with all that a row of ours may say of them."""

    def _read_files_and_process(self) -> None:
        super()._read_files_and_process()
        there = "chat" in self.dataframe.columns
        texts = self.dataframe["chat"].tolist() if there else [None] * len(self.dataframe)
        chats = [json.loads(text) if isinstance(text, str) else {} for text in texts]
        self.tools = [chat.get("tools") for chat in chats]
        self.enable_thinking = [
            chat.get("enable_thinking", self.enable_thinking_default) for chat in chats
        ]

    def _build_messages(self, example: dict[str, Any]) -> list[dict[str, Any]]:
        packed = example.get("chat")
        if not isinstance(packed, str):
            return super()._build_messages(example)  # type: ignore[no-any-return]
        chat = json.loads(packed)
        messages = super()._build_messages({**example, self.messages_key: chat["messages"]})
        factor = chat.get("weight", 1.0)
        for message in messages:
            if message["role"] == "assistant" and factor != 1.0:
                message["weight"] = factor * message.get("weight", 1.0)
                for span in message.get("spans", ()):
                    span["weight"] *= factor
        return messages  # type: ignore[no-any-return]

    def _process_single_message(
        self,
        index: int,
        message: dict[str, Any],
        full_message: list[Any],
        tools: list[dict[str, Any]] | None = None,
        enable_thinking: bool | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        bare = _bare(message)
        ids, mask, attention, inputs = super()._process_single_message(
            index, bare, full_message, tools, enable_thinking
        )
        mask = mask.to(torch.float32)
        if message["role"] != "assistant":
            return ids, mask, attention, inputs
        weights = torch.full_like(mask, message.get("weight", 1.0))
        if message.get("spans"):
            options = dict(self.apply_chat_template_kwargs)
            if enable_thinking is not None:
                options["enable_thinking"] = enable_thinking
            text = self.tokenizer.apply_chat_template(
                [bare], tools=tools, add_generation_prompt=False, tokenize=False, **options
            )
            places = token_places(self.tokenizer, text, ids.tolist())
            start = content_start(text, bare["content"])
            for span in message["spans"]:
                first, last = start + span["start"], start + span["end"]
                for position, (begin, end) in enumerate(places):
                    if begin < last and end > first:
                        weights[position] = span["weight"]
        return ids, mask * weights, attention, inputs

    def sanity_check(
        self,
        input_ids: torch.Tensor,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        enable_thinking: bool,
    ) -> None:
        """verl's check that turn by turn gives the same tokens, on messages without weights."""
        bare = [_bare(message) for message in messages]
        super().sanity_check(input_ids, bare, tools, enable_thinking)


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _WEIGHTS}


def token_places(tokenizer: Any, text: str, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Where in the text each of its last tokens stands, as (begin, end) in characters.

    Raises:
        DataError: the tokenizer does not say, or tokenizes the text otherwise.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            f"{type(tokenizer).__name__} does not tell where its tokens stand in the text",
            fix="leave spans out of the rows, or use a fast tokenizer",
        )
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    if list(made["input_ids"][-len(ids) :]) != list(ids):
        raise DataError(
            "the chat template's text and its tokens disagree, so no span has a place",
            fix="leave spans out of the rows, or use another chat template",
        )
    return [(begin, end) for begin, end in made["offset_mapping"][-len(ids) :]]


def content_start(text: str, content: str) -> int:
    """Where a turn's content begins in what the template made of it.

    Raises:
        DataError: the template changes the content.
    """
    start = text.rfind(content)
    if start < 0:
        raise DataError(
            f"the chat template changes the content {content!r:.40}, so its spans have no place",
            fix="write the content as the template leaves it (often: stripped)",
        )
    return start


class RlRows(RLHFDataset):
    """Prompts with the further facts of their rows."""

    def _read_files_and_tokenize(self) -> None:
        super()._read_files_and_tokenize()
        extra = self.dataframe.features.get("extra_info") or {}
        self._more = "more" in extra
        self._agents = self._more and any(
            '"agent_name"' in (info["more"] or "") for info in self.dataframe["extra_info"]
        )

    def __getitem__(self, item: int) -> dict[str, Any]:
        """verl's item; nulls left out of `extra_info`, its `more` unpacked."""
        row: dict[str, Any] = super().__getitem__(item)
        if not self._more:
            return row
        row["extra_info"] = extra = row_fields(row["extra_info"])
        for name in ("tools_kwargs", "interaction_kwargs"):
            row[name] = extra.get(name, {})
        if self._agents:
            row["agent_name"] = extra.get("agent_name", SINGLE_TURN)
        return row
