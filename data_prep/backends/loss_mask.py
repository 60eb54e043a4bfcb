"""Which tokens of a conversation the loss falls on, in a tokenizer's own chat template.

In: a tokenizer's folder or hub name; a conversation. Out: its tokens, each with its text and the
weight of its loss, as `data_prep.backends.verl_rows.SftRows` weighs them: an assistant's turn from
after its opening up to its end counts, spans have weights of their own. Needs a fast tokenizer, and
a template in which a chat begins with what its first turns alone would give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conf.errors import ConfigError, DataError

_OURS = ("weight", "spans")


class LossMask:
    """Weighs the tokens of conversations.

    Args:
        name: folder or hub name of a tokenizer.

    Raises:
        ConfigError: it does not load, or cannot tell where its tokens stand.
    """

    def __init__(self, name: str) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"tokenizer {name!r} does not load: {str(error).splitlines()[0]}",
                fix="tokenizer=FOLDER, or a hub name that is in the local cache",
            ) from error
        if not self._tokenizer.is_fast or not self._tokenizer.chat_template:
            raise ConfigError(
                f"tokenizer {name!r} has no chat template, or is not a fast one",
                fix="tokenizer=FOLDER of the chat model that is trained",
            )

    def _text(self, messages: Sequence[Any], opened: bool, options: Mapping[str, Any]) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opened, **options
            )
        )

    def tokens(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Any = None,
        enable_thinking: bool | None = None,
        weight: float = 1.0,
        prompt: bool = False,
    ) -> list[tuple[str, float]]:
        """Each token's text, and the weight of its loss.

        Args:
            messages: the chat; messages may carry `weight` and `spans`.
            tools: as the template takes them.
            enable_thinking: for the template; None: its own default.
            weight: of the whole row.
            prompt: whether the model's turn is still to come; nothing is learned then.

        Raises:
            DataError: the template refuses the chat, or rewrites its earlier turns.
        """
        bare = [{n: v for n, v in one.items() if n not in _OURS} for one in messages]
        options: dict[str, Any] = {"tools": tools or None}
        if enable_thinking is not None:
            options["enable_thinking"] = enable_thinking
        try:
            text = self._text(bare, prompt, options)
            places = [] if prompt else self._learned(bare, messages, text, weight, options)
        except DataError:
            raise
        except Exception as error:  # a template's own `raise_exception`, of jinja's kinds
            raise DataError(
                f"the chat template refuses this chat: {type(error).__name__}: {error}",
                fix="mend the order of its turns",
            ) from error
        made = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        tokens = []
        for begin, end in made["offset_mapping"]:
            value = 0.0
            for first, last, its in places:
                if begin < last and end > first:
                    value = its
            tokens.append((text[begin:end], value))
        return tokens

    def _learned(
        self,
        bare: Sequence[Any],
        messages: Sequence[Mapping[str, Any]],
        text: str,
        weight: float,
        options: Mapping[str, Any],
    ) -> list[tuple[int, int, float]]:
        """Characters with their weight; a later entry wins."""
        places = []
        for n, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._text(bare[:n], True, options) if n else ""
            upto = self._text(bare[: n + 1], False, options)
            if not text.startswith(upto) or not upto.startswith(before):
                raise DataError(
                    f"the chat template rewrites earlier turns (at turn {n + 1})",
                    fix="verl tokenizes turn by turn: compare data.ignore_input_ids_mismatch",
                )
            places.append((len(before), len(upto), weight * float(message.get("weight", 1.0))))
            start = upto.rfind(message["content"])
            for span in message.get("spans") or () if start >= 0 else ():
                its = weight * float(span["weight"])
                places.append((start + span["start"], start + span["end"], its))
        return places
