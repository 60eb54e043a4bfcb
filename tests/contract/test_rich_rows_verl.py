"""What our rows say beyond roles and texts, through our subclasses of verl's dataset classes.

1. Loss falls on the assistant's turns alone, over several turns, a system prompt and a tool's
   answer; the mask is decoded and compared with the texts.
2. Two files with different tools, mixed: each row's template sees its own tools, to the letter.
3. `enable_thinking` reaches the template, row by row; absent, the template's default holds.
4. Weights of a row, a turn and a span stand in the mask at their tokens, and nowhere else.
5. verl's own class stops at such a row instead of dropping what it cannot read.
6. A template that puts a system prompt of its own before the first turn moves nothing.
7. verl loads both classes by `data.custom_cls`.
8. RL: `tools_kwargs` and `agent_name` of different rows are found where verl looks for them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from conf.errors import DataError
from data_prep.rows import rl_row, sft_row
from data_prep.rows_schema import to_table

# Tools and thinking stand before the first message of a rendering alone, as in verl's turn-by-turn
# tokenization the tools are given with the first turn alone.
TEMPLATE = (
    "{% if tools %}<s>tools\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}</s>\n{% endif %}"
    "{% for m in messages %}<s>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and enable_thinking is defined and enable_thinking %}"
    "<think>{% endif %}{{ m['content'] }}"
    "{% if m['tool_calls'] %}{% for c in m['tool_calls'] %}CALL {{ c['function'] | tojson }}"
    "{% endfor %}{% endif %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
COMMON = {"data_source": "mine", "split": "train", "index": 0, "licence": "MIT"}


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WEATHER = tool("weather", city={"type": "string"}, unit={"enum": ["C", "F"]})
ADD = tool("add", b={"type": "number"}, a={"type": "number"})


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {char: number for number, char in enumerate([*alphabet, "<s>", "</s>"])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
    made.chat_template = TEMPLATE
    return made


def turn(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def dataset(tokenizer: Any, folder: Path, *rows: dict[str, Any], own: bool = True) -> Any:
    """Each row in a file of its own, read together."""
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    from data_prep.backends.verl_rows import SftRows

    files = []
    for n, row in enumerate(rows):
        files.append(str(folder / f"{n}.parquet"))
        pq.write_table(to_table("sft", [row]), files[-1])
    config = OmegaConf.create({"max_length": 4096, "pad_mode": "no_padding"})
    return (SftRows if own else MultiTurnSFTDataset)(files, tokenizer, config)


def learnt(tokenizer: Any, item: dict[str, Any]) -> str:
    return tokenizer.decode(item["input_ids"][item["loss_mask"] > 0])


def test_loss_falls_on_the_assistants_turns_alone(tokenizer: Any, tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    row = sft_row(
        messages=[
            turn("system", "Be brief."),
            turn("user", "Hello"),
            turn("assistant", "Hi."),
            turn("user", "Is it raining in Bern?"),
            turn("assistant", None, tool_calls=[call]),
            turn("tool", '{"rain": true}', name="weather"),
            turn("assistant", "Yes."),
        ],
        tools=[WEATHER],
        id="a",
        **COMMON,
    )
    item = dataset(tokenizer, tmp_path, row)[0]
    said = 'CALL {"name": "weather", "arguments": {"city": "Bern"}}'
    assert learnt(tokenizer, item) == f"Hi.</s>\n{said}</s>\nYes.</s>\n"
    assert set(item["loss_mask"].tolist()) == {0.0, 1.0}


def test_tools_of_two_sources_stay_apart(tokenizer: Any, tmp_path: Path) -> None:
    asked = [turn("user", "?"), turn("assistant", "!")]
    rows = [
        sft_row(messages=asked, tools=[WEATHER], id="a", **COMMON),
        sft_row(messages=asked, tools=[ADD], id="b", **COMMON),
        sft_row(messages=asked, id="c", **COMMON),
    ]
    tables = [to_table("sft", [row]) for row in rows]
    assert pa.concat_tables(tables).num_rows == 3
    made = dataset(tokenizer, tmp_path, *rows)
    for n, tools in enumerate(([WEATHER], [ADD], [])):
        text = tokenizer.decode(made[n]["input_ids"])
        shown = [json.loads(line) for line in text.split("\n") if line.startswith('{"')]
        assert shown == tools
        assert [list(t["function"]["parameters"]["properties"]) for t in shown] == [
            list(t["function"]["parameters"]["properties"]) for t in tools
        ]
        assert "null" not in text and learnt(tokenizer, made[n]) == "!</s>\n"


def test_thinking_is_each_rows_own(tokenizer: Any, tmp_path: Path) -> None:
    asked = [turn("user", "?"), turn("assistant", "!")]
    values = (True, False, None)
    rows = [sft_row(messages=asked, enable_thinking=v, id=str(v), **COMMON) for v in values]
    made = dataset(tokenizer, tmp_path, *rows)
    texts = [tokenizer.decode(made[n]["input_ids"]) for n in range(3)]
    assert ["<think>" in text for text in texts] == [True, False, False]


def test_weights_stand_at_their_tokens(tokenizer: Any, tmp_path: Path) -> None:
    first = turn("assistant", "skip me", weight=0)
    spans = [{"start": 0, "end": 2, "weight": 0.25}, {"start": 6, "end": 9, "weight": 2}]
    second = turn("assistant", "né 42 end", spans=spans)
    row = sft_row(
        messages=[turn("user", "a"), first, turn("user", "b"), second],
        weight=2,
        id="a",
        **COMMON,
    )
    item = dataset(tokenizer, tmp_path, row)[0]
    mask, ids = item["loss_mask"], item["input_ids"]
    assert mask.dtype == torch.float32
    by_weight = {w: tokenizer.decode(ids[mask == w]) for w in (0.5, 2.0, 4.0)}
    assert by_weight == {0.5: "né", 2.0: " 42 </s>\n", 4.0: "end"}
    assert "skip me" in tokenizer.decode(ids[mask == 0])
    assert sorted(set(mask.tolist())) == [0.0, 0.5, 2.0, 4.0]


def test_a_templates_own_system_prompt_moves_nothing(tokenizer: Any, tmp_path: Path) -> None:
    own = "{% if messages[0]['role'] != 'system' %}<s>system\nBe kind.</s>\n{% endif %}"
    turns = [turn("user", "a"), turn("assistant", "first"), turn("user", "b")]
    turns.append(turn("assistant", "an end", spans=[{"start": 3, "end": 6, "weight": 3}]))
    row = sft_row(messages=turns, tools=[WEATHER], id="a", **COMMON)
    tokenizer.chat_template = own + TEMPLATE
    try:
        item = dataset(tokenizer, tmp_path, row)[0]
    finally:
        tokenizer.chat_template = TEMPLATE
    assert tokenizer.decode(item["input_ids"]).count("Be kind.") == 1
    assert learnt(tokenizer, item) == "first</s>\nan end</s>\n"
    assert tokenizer.decode(item["input_ids"][item["loss_mask"] == 3]) == "end"


def test_verl_loads_both_classes_by_configuration(tokenizer: Any, tmp_path: Path) -> None:
    from verl.trainer.sft_trainer import create_sft_dataset
    from verl.utils.dataset.rl_dataset import get_dataset_class

    row = sft_row(messages=[turn("user", "?"), turn("assistant", "!")], weight=2, id="a", **COMMON)
    pq.write_table(to_table("sft", [row]), tmp_path / "a.parquet")
    module = "pkg://data_prep.backends.verl_rows"
    config = OmegaConf.create(
        {
            "custom_cls": {"path": module, "name": "SftRows"},
            "max_length": 99,
            "pad_mode": "no_padding",
        }
    )
    made = create_sft_dataset(str(tmp_path / "a.parquet"), config, tokenizer, None)
    assert type(made).__name__ == "SftRows" and made[0]["loss_mask"].max() == 2
    config.custom_cls.name = "RlRows"
    assert get_dataset_class(config).__name__ == "RlRows"


def test_weighted_mask_gives_verls_loss_the_weighted_mean(tokenizer: Any, tmp_path: Path) -> None:
    """Log-probs -1, -2, … under verl's own `sft_loss`, against the mean worked out here."""
    from tensordict import TensorDict
    from verl.utils import tensordict_utils
    from verl.workers.utils.losses import sft_loss

    row = sft_row(
        messages=[
            turn("user", "a"),
            turn("assistant", "xy", weight=3),
            turn("user", "b"),
            turn("assistant", "z"),
        ],
        id="a",
        **COMMON,
    )
    mask = dataset(tokenizer, tmp_path, row)[0]["loss_mask"]
    logs = -torch.arange(1.0, len(mask) + 1)
    nested = [torch.nested.as_nested_tensor([t], layout=torch.jagged) for t in (logs, mask)]
    data = TensorDict({"loss_mask": nested[1]}, batch_size=[1])
    tensordict_utils.assign_non_tensor(data, dp_size=1, batch_num_tokens=float(mask.sum()))
    loss, _ = sft_loss(None, {"log_probs": nested[0]}, data)
    weighed = [(w, n) for n, w in enumerate(mask.tolist()) if w]  # a token's log-prob is one before
    assert loss.item() == pytest.approx(sum(w * n for w, n in weighed) / sum(w for w, _ in weighed))


def test_verls_own_class_stops_at_what_it_cannot_read(tokenizer: Any, tmp_path: Path) -> None:
    asked = [turn("user", "?"), turn("assistant", "!")]
    plain = sft_row(messages=asked, id="a", **COMMON)
    rich = sft_row(messages=asked, tools=[WEATHER], id="b", **COMMON)
    made = dataset(tokenizer, tmp_path, plain, rich, own=False)
    assert learnt(tokenizer, made[0]) == "!</s>\n"
    with pytest.raises((TypeError, AttributeError)):
        made[1]


def test_a_template_that_changes_a_content_is_refused() -> None:
    from data_prep.backends.verl_rows import content_start

    assert content_start("<s>assistant\nab</s>", "ab") == 13
    with pytest.raises(DataError, match="changes the content"):
        content_start("<s>assistant\nab</s>", " ab")


def test_plain_rows_come_out_as_from_verls_class(tokenizer: Any, tmp_path: Path) -> None:
    row = sft_row(messages=[turn("user", "?"), turn("assistant", "!")], id="a", **COMMON)
    ours, verls = (dataset(tokenizer, tmp_path, row, own=own)[0] for own in (True, False))
    assert ours.keys() == verls.keys()
    assert all(torch.equal(ours[name].to(verls[name].dtype), verls[name]) for name in verls)


def test_rl_rows_with_tools(tokenizer: Any, tmp_path: Path) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    from data_prep.backends.verl_rows import RlRows

    kwargs = {"calc": {"create_kwargs": {"ground_truth": "4"}}}
    common = {"prompt": [turn("user", "2+2?")], "ground_truth": 4, "ability": "math", **COMMON}
    rows = [
        rl_row(
            id="a",
            more={"tools_kwargs": kwargs, "need_tools_kwargs": True, "agent_name": "tool_agent"},
            **common,
        ),
        rl_row(id="b", more={"interaction_kwargs": {"name": "chat", "n": 2}}, **common),
        rl_row(id="c", category="sums", difficulty=0.5, **common),
    ]
    files = [str(tmp_path / f"{row['extra_info']['id']}.parquet") for row in rows]
    for row, path in zip(rows, files, strict=True):
        pq.write_table(to_table("rl", [row]), path)
    config = OmegaConf.create({"cache_dir": str(tmp_path), "filter_overlong_prompts": False})
    batch = collate_fn([item for item in RlRows(files, tokenizer, config)])
    assert list(batch["tools_kwargs"]) == [kwargs, {}, {}]
    assert list(batch["interaction_kwargs"]) == [{}, {"name": "chat", "n": 2}, {}]
    assert list(batch["agent_name"]) == ["tool_agent", "single_turn_agent", "single_turn_agent"]
    assert [dict(info) for info in batch["extra_info"]] == [row["extra_info"] for row in rows]
    plain = RLHFDataset(files[2], tokenizer, config)[0]
    assert plain["tools_kwargs"] == {} and plain["index"] == "0"
