"""Token counts by a model's own tokenizer and chat template.

In: a tokenizer's folder or hub name; chats. Out: counts. Loads transformers when it is made, and
nothing of it before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conf.errors import ConfigError


class TokenCounter:
    """Counts what a model would read.

    Args:
        name: folder or hub name of a tokenizer.

    Raises:
        ConfigError: it does not load.
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

    def chat(
        self, messages: Sequence[Mapping[str, Any]], tools: Any = None, *, prompt: bool = False
    ) -> int:
        """Tokens of a chat in the model's template; of the bare texts if it has none.

        Args:
            messages: role and content each.
            tools: as the template takes them.
            prompt: whether the opening of the model's turn counts.
        """
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tools=tools or None,
                tokenize=False,
                add_generation_prompt=prompt,
            )
            return self.text(text, special=False)
        return sum(self.text(str(message.get("content") or "")) for message in messages)

    def text(self, text: str, *, special: bool = False) -> int:
        """Tokens of a text."""
        return len(self._tokenizer(text, add_special_tokens=special)["input_ids"])
