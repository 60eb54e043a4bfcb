"""Embeddings of texts by a sentence-transformers model, in this process.

In: a model's folder or hub name; texts. Out: one vector a text, of length 1. A folder of
sentence-transformers says in `modules.json` how tokens are pooled; with that library installed it
does the work, else transformers and mean or first-token pooling do, as the folder asks. Loads torch
when it is made.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import ConfigError


class SentenceModel:
    """A model to embed texts with.

    Args:
        name: folder or hub name.
        batch: texts embedded together.

    Raises:
        ConfigError: it does not load, or pools in a way that needs the library.
    """

    def __init__(self, name: str, batch: int = 32) -> None:
        self._batch = batch
        self._library: Any = None
        try:
            if importlib.util.find_spec("sentence_transformers") is not None:
                library = importlib.import_module("sentence_transformers")
                self._library = library.SentenceTransformer(name)
                return
            from transformers import AutoModel, AutoTokenizer

            from data_prep.backends.device import device

            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self._model: Any = AutoModel.from_pretrained(name).eval().to(device())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"embedding model {name!r} does not load: {str(error).splitlines()[0]}",
                fix="model=FOLDER, or a hub name that is in the local cache",
            ) from error
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._tokenizer.padding_side = "right"
        self._pooling = _pooling(name)
        self._longest = min(
            int(getattr(self._model.config, "max_position_embeddings", 512) or 512), 8192
        )

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Shape (texts, dimensions), float32, each row of length 1."""
        if self._library is not None:
            vectors = self._library.encode(
                list(texts), batch_size=self._batch, show_progress_bar=False
            )
            return unit(np.asarray(vectors, dtype=np.float32))
        import torch

        parts: list[np.ndarray] = []
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
        for first in range(0, len(order), self._batch):
            some = [texts[i] or " " for i in order[first : first + self._batch]]
            encoded = self._tokenizer(
                some, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
            ).to(self._model.device)
            with torch.inference_mode():
                states = self._model(
                    input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]
                ).last_hidden_state.float()
            mask = encoded["attention_mask"][:, :, None].float()
            if self._pooling == "mean":
                pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            elif self._pooling == "first":
                pooled = states[:, 0]
            else:
                last = encoded["attention_mask"].sum(1) - 1
                pooled = states[torch.arange(len(some), device=last.device), last]
            parts.append(pooled.cpu().numpy())
        found = np.concatenate(parts)
        vectors = np.empty_like(found)
        vectors[order] = found
        return unit(vectors)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each row divided by its length; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=np.float32)


def _pooling(name: str) -> str:
    """`mean`, `first` or `last`, as the model's folder says; mean where it says nothing."""
    path = Path(name) / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    said = json.loads(path.read_text(encoding="utf-8"))
    for key, pooling in (
        ("pooling_mode_mean_tokens", "mean"),
        ("pooling_mode_cls_token", "first"),
        ("pooling_mode_lasttoken", "last"),
    ):
        if said.get(key):
            return pooling
    raise ConfigError(
        f"embedding model {name!r} pools in a way that is not known here",
        fix="pip install sentence-transformers",
    )
