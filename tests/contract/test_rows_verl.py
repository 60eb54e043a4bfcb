"""Our rows, read by the installed verl's own dataset classes, and our reward, loaded by its loader.

1. `RLHFDataset` yields every prompt with its ground truth, from two sources in one list of files.
2. `MultiTurnSFTDataset` puts the loss on the assistant's turn and nothing else.
3. `reward.custom_reward_function.path=pkg://rewards.verl_entry` loads and scores from any folder,
   through verl's naive reward manager's own call.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from data_prep.prepare import prepare

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, one token a byte, ChatML-like."""
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


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("rows")
    local = root / "raw.jsonl"
    lines = (GSM8K / "test.jsonl").read_text(encoding="utf-8").splitlines()[:60]
    local.write_text("\n".join(lines), encoding="utf-8")
    prepare({"source": "gsm8k", "local": local, "test_size": 20, "out": root / "gsm8k"})
    sizes = {"train_size": 50, "test_size": 50, "sft_size": 50, "sft_test_size": 10}
    prepare({"source": "arithmetic", "out": root / "arithmetic", **sizes})
    return [root / "gsm8k", root / "arithmetic"]


def test_rl_rows(folders: list[Path], tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    config = OmegaConf.create(
        {
            "cache_dir": str(tmp_path),
            "max_prompt_length": 2048,
            "filter_overlong_prompts": True,
            "filter_overlong_prompts_workers": 1,
        }
    )
    files = [str(folder / "train.parquet") for folder in folders]
    dataset = RLHFDataset(files, tokenizer, config)
    assert len(dataset) == 40 + 50
    batch = collate_fn([dataset[n] for n in range(len(dataset))])
    for n, item in enumerate(batch["reward_model"]):
        assert isinstance(item["ground_truth"], str) and float(item["ground_truth"]) >= 0
        assert batch["raw_prompt"][n][-1]["role"] == "user"
    assert batch["index"][0] == "0" and batch["index"][41] == "1"
    assert set(batch["data_source"]) == {"openai/gsm8k", "arithmetic"}
    assert len({info["id"] for info in batch["extra_info"]}) == 90


def test_sft_loss_falls_on_the_answer(
    folders: list[Path], tokenizer: PreTrainedTokenizerFast
) -> None:
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    config = OmegaConf.create(
        {"messages_key": "messages", "max_length": 2048, "pad_mode": "no_padding"}
    )
    for folder in folders:
        path = str(folder / "sft_train.parquet")
        dataset = MultiTurnSFTDataset(path, tokenizer, config)
        rows = pq.read_table(path).to_pylist()
        assert len(dataset) == len(rows)
        for n in range(0, len(rows), 7):
            item = dataset[n]
            learnt = tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])
            answer = rows[n]["messages"][-1]["content"]
            assert learnt.removesuffix("\n") == f"{answer}</s>"


@pytest.mark.parametrize("name", ["math", "recipes.custom_reward.reward:score"])
def test_reward_loads_as_verl_loads_it(
    name: str, folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verl.trainer.ppo.reward import get_custom_reward_fn

    monkeypatch.chdir(tmp_path)  # on a cluster the working folder is another
    config = OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": "pkg://rewards.verl_entry",
                    "name": "compute_score",
                    "reward_kwargs": {"reward": name, "options": {}},
                }
            }
        }
    )
    score = get_custom_reward_fn(config)
    assert score is not None
    row = pq.read_table(folders[1] / "train.parquet").to_pylist()[0]
    gold = row["reward_model"]["ground_truth"]
    results = [
        score(
            data_source=row["data_source"],
            solution_str=f"#### {answer}",
            ground_truth=gold,
            extra_info={**row["extra_info"], "num_turns": 2, "rollout_reward_scores": {}},
        )
        for answer in (gold, int(gold) + 1)
    ]
    assert results[0]["acc"] == 1.0 and results[0]["score"] >= 1.0
    assert results[1]["acc"] == results[1]["score"] == 0.0
    json.dumps(results)  # scalars only
