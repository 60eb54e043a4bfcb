"""Log-probs of texts by a causal language model, in this process.

In: a model's folder or hub name; texts. Out: the log-prob of every token but the first. Loads torch
and transformers when it is made. Runs on the machine's accelerator where it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conf.errors import ConfigError


class CausalModel:
    """A model to score texts with.

    Args:
        name: folder or hub name.
        max_tokens: longer texts are scored by so many tokens at their beginning.
        batch: texts scored together.

    Raises:
        ConfigError: it does not load.
    """

    def __init__(self, name: str, max_tokens: int = 1024, batch: int = 8) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from data_prep.backends.device import device

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self._model: Any = AutoModelForCausalLM.from_pretrained(name).eval().to(device())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"model {name!r} does not load: {str(error).splitlines()[0]}",
                fix="model=FOLDER, or a hub name that is in the local cache",
            ) from error
        self._max_tokens, self._batch = max_tokens, batch

    def token_logprobs(self, texts: Sequence[str]) -> list[list[float]]:
        """For each text the log-probs of its tokens but the first, in order.

        Texts are scored in batches of like length, so padding is short; the order of the answer is
        that of the texts.
        """
        import torch

        encoded = [self._tokenizer(text)["input_ids"][: self._max_tokens] for text in texts]
        found: list[list[float]] = [[] for _ in texts]
        order = sorted((i for i, ids in enumerate(encoded) if len(ids) > 1),
                       key=lambda i: (len(encoded[i]), i))  # fmt: skip
        for first in range(0, len(order), self._batch):
            some = order[first : first + self._batch]
            longest = max(len(encoded[i]) for i in some)
            ids = torch.zeros((len(some), longest), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, i in enumerate(some):
                ids[row, : len(encoded[i])] = torch.tensor(encoded[i])
                mask[row, : len(encoded[i])] = 1
            with torch.inference_mode():
                logits = self._model(
                    input_ids=ids.to(self._model.device),
                    attention_mask=mask.to(self._model.device),
                ).logits.float()
            scores = torch.log_softmax(logits[:, :-1], dim=-1).cpu()
            taken = scores.gather(2, ids[:, 1:, None])[:, :, 0]
            for row, i in enumerate(some):
                found[i] = taken[row, : len(encoded[i]) - 1].tolist()
        return found
