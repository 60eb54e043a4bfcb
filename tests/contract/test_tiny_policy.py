"""The model built on the spot: its tokenizer and its weights have one vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.bridge import tiny_policy


def test_the_tokenizer_fills_the_models_vocabulary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl's rollout masks the rest, and its log-probs would then not be the trainer's."""
    from transformers import AutoConfig, AutoTokenizer

    shape = {**tiny_policy.SHAPES["tiny"], "vocab_size": 1000}
    monkeypatch.setitem(tiny_policy.SHAPES, "padded", shape)
    for name, size in (("padded", 1000), ("tiny", 262)):
        folder = tmp_path / name
        tiny_policy.build(folder, 1, name)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert AutoConfig.from_pretrained(folder).vocab_size == size
        # transformers adds Qwen2's own end of text, which no prompt and no response has.
        assert size <= len(tokenizer) <= size + 1
        text = "7+5=12\n#### é"
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text.encode()) and tokenizer.decode(ids) == text
