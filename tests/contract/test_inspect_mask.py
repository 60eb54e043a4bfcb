"""The loss mask that an inspection shades, and the token counts of `check`.

1. What is shaded decodes to the assistant's turns, their end included, and to nothing else.
2. Weights of rows, turns and spans stand at their tokens.
3. It is the mask of `SftRows`, which verl trains with, token by token.
4. A template that rewrites earlier turns is said to.
5. `check` counts tokens in the template, and names rows that are too long.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from conf.errors import ConfigError, DataError
from data_prep.backends.loss_mask import LossMask
from data_prep.check import check
from data_prep.inspect import inspect
from data_prep.rows import sft_row
from data_prep.rows_schema import to_table

TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
REWRITES = "{% for m in messages %}<s>{{ m['content'] if loop.last else '' }}</s>{% endfor %}"
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "It is 2.", "spans": [{"start": 6, "end": 7, "weight": 3.0}]},
    {"role": "user", "content": "And caf\u00e9?"},
    {"role": "assistant", "content": "A word.", "weight": 0.5},
]


def tokenizer(folder: Path, template: str | None) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {char: number for number, char in enumerate([*alphabet, "<s>", "</s>"])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    made.chat_template = template
    made.save_pretrained(folder)
    return made


def row(**more: Any) -> Any:
    return sft_row(
        messages=CHAT, data_source="s", id="s/1", split="train", index=1, licence="MIT", **more
    )


def test_what_is_shaded(tmp_path: Path) -> None:
    tokenizer(tmp_path, TEMPLATE)
    tokens = LossMask(str(tmp_path)).tokens(CHAT, weight=2.0)
    weights: dict[float, str] = {}
    for text, weight in tokens:
        weights[weight] = weights.get(weight, "") + text
    assert weights[6.0] == "2"
    assert weights[2.0] == "It is .</s>\n"
    assert weights[1.0] == "A word.</s>\n"
    assert "What is 1 + 1?" in weights[0.0] and "A word" not in weights[0.0]
    assert all(w == 0 for _, w in LossMask(str(tmp_path)).tokens(CHAT[:2], prompt=True))


def test_it_is_the_mask_that_verl_trains_with(tmp_path: Path) -> None:
    from omegaconf import OmegaConf

    from data_prep.backends.verl_rows import SftRows

    made = tokenizer(tmp_path, TEMPLATE)
    pq.write_table(to_table("sft", [row(weight=2.0)]), tmp_path / "a.parquet")
    config = OmegaConf.create({"max_length": 4096, "pad_mode": "no_padding"})
    item = SftRows([str(tmp_path / "a.parquet")], made, config)[0]
    shaded = LossMask(str(tmp_path)).tokens(CHAT, weight=2.0)
    assert [weight for _, weight in shaded] == item["loss_mask"].tolist()


def test_what_cannot_be_said_is_said(tmp_path: Path) -> None:
    tokenizer(tmp_path / "a", REWRITES)
    with pytest.raises(DataError, match="rewrites earlier turns"):
        LossMask(str(tmp_path / "a")).tokens(CHAT)
    tokenizer(tmp_path / "b", None)
    with pytest.raises(ConfigError, match="no chat template"):
        LossMask(str(tmp_path / "b"))


def test_check_counts_tokens(tmp_path: Path) -> None:
    made = tokenizer(tmp_path, TEMPLATE)
    length = len(made.apply_chat_template(CHAT, tokenize=True, return_dict=True)["input_ids"])
    path = tmp_path / "sft_train.jsonl"
    path.write_text(json.dumps(row()) + "\n")
    assert not check([path], tokenizer=str(tmp_path), max_length=length).counts
    report = check([path], tokenizer=str(tmp_path), max_length=length - 1)
    assert dict(report.counts) == {"too_long": 1}
    assert f"{length} tokens, max_length is {length - 1}" in str(report.problems[0])


def test_inspection_says_how_much_is_learned(tmp_path: Path) -> None:
    tokenizer(tmp_path, TEMPLATE)
    path = tmp_path / "sft_train.jsonl"
    path.write_text(json.dumps(row()) + "\n")
    text = inspect(path, tokenizer=str(tmp_path), html=str(tmp_path / "p.html"), samples=1)
    learned = len("It is 2.") + len("A word.") + 2 * len("</s>\n") - 2 * len("</s")
    assert f"{learned} learned from" in text
    assert "Tokens and loss mask" in (tmp_path / "p.html").read_text()
