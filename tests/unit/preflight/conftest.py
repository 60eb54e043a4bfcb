"""Composed configurations, real Parquet files and tiny model folders for the preflight's tests."""

from __future__ import annotations

import copy
import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from launch.compose import compose
from launch.preflight import Settings

Make = Callable[..., DictConfig]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# 4 prompts × 4 responses on one rank: every rule holds, so a test changes only what it is about.
RL = [
    "data.train_batch_size=4",
    "data.max_prompt_length=64",
    "data.max_response_length=16",
    "actor_rollout_ref.rollout.n=4",
    "actor_rollout_ref.rollout.max_model_len=128",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4",
    "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4",
    "actor_rollout_ref.actor.use_kl_loss=false",
    "actor_rollout_ref.actor.use_dynamic_bsz=false",
]
PPO = ["critic.ppo_mini_batch_size=4", "critic.ppo_micro_batch_size_per_gpu=4"]
SFT = [
    "data.train_batch_size=8",
    "data.micro_batch_size_per_gpu=4",
    "data.use_dynamic_bsz=false",
    "data.max_length=128",
]
OURS = [
    "hardware=cpu",
    "policy=tiny",
    "run.recipe=unit",
    "run.recipe_dir=unit",
    "data_prep.source=arithmetic",
]


@pytest.fixture(scope="session")
def trees() -> dict[str, DictConfig]:
    """Verl's trees and ours, composed once; interpolations left open."""
    return {
        "grpo": compose("grpo", OURS + RL),
        "ppo": compose("ppo", OURS + RL + PPO),
        "sft": compose("sft", OURS + SFT),
    }


@pytest.fixture
def make(trees: dict[str, DictConfig], tmp_path: Path) -> Make:
    """A builder of configurations: a job, then `key=value` of what it should differ in."""

    def build(job: str = "grpo", *overrides: str) -> DictConfig:
        config = copy.deepcopy(trees[job])
        OmegaConf.set_struct(config, False)
        for override in [f"run.root={tmp_path / 'runs'}", *overrides]:
            key, value = override.split("=", 1)
            OmegaConf.update(config, key, yaml.safe_load(value), merge=False)
        return config

    return build


@pytest.fixture(scope="session")
def resolved(trees: dict[str, DictConfig]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Of each tree, its resolved values and its raw ones, as plain containers."""
    return {
        job: (
            OmegaConf.to_container(tree, resolve=True, throw_on_missing=False),
            OmegaConf.to_container(tree, resolve=False),
        )
        for job, tree in trees.items()
    }


@pytest.fixture
def settings(resolved: dict[str, Any], tmp_path: Path) -> Callable[..., Settings]:
    """As `make`, for one check: values that are nothing but `${key}` follow that key.

    Resolving a whole tree again takes a quarter of a second, which a hundred tests would feel.
    """

    def build(job: str = "grpo", *overrides: str) -> Settings:
        plain, raw = resolved[job]
        tree = copy.deepcopy(plain)
        folder = f"run.dir={tmp_path / 'runs' / 'unit' / job}"
        given = dict(o.split("=", 1) for o in [folder, *overrides])
        for key, text in given.items():
            set_with_followers(tree, raw, key, yaml.safe_load(text), set(given))
        return Settings(tree)

    return build


def set_with_followers(
    tree: dict[str, Any], raw: dict[str, Any], key: str, value: Any, given: set[str]
) -> None:
    """Set a key, and what interpolates it alone, unless that was given too."""
    *path, last = key.split(".")
    node = tree
    for part in path:
        node = node.setdefault(part, {})
    node[last] = value
    pattern = re.compile(r"\$\{(oc\.select:)?" + re.escape(key) + r"(,[^}]*)?\}")
    for follower, text in leaves(raw):
        if follower not in given and isinstance(text, str) and pattern.fullmatch(text):
            set_with_followers(tree, raw, follower, value, given)


def leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def rl_row(index: int, **changes: Any) -> dict[str, Any]:
    """One row as verl's RL trainer reads it."""
    row = {
        "prompt": [{"role": "user", "content": f"{index} + 1 = ?"}],
        "data_source": "unit",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(index + 1)},
        "extra_info": {"split": "train", "index": str(index)},
    }
    return {**row, **changes}


def sft_row(index: int, **changes: Any) -> dict[str, Any]:
    """One row as verl's SFT trainer reads it."""
    turns = [
        {"role": "user", "content": f"{index} + 1 = ?"},
        {"role": "assistant", "content": str(index + 1)},
    ]
    return {"messages": turns, "id": str(index), **changes}


def write_parquet(path: Path, rows: Sequence[dict[str, Any]], group: int | None = None) -> Path:
    """A real Parquet file; `group` rows to a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=group)
    return path


def write_safetensors(path: Path, shapes: dict[str, list[int]], missing: int = 0) -> Path:
    """A real safetensors file of zeros in fp32; `missing` bytes are left off its end."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(offset - missing))
    return path


def write_model(folder: Path, *, template: str | None = CHATML, **changes: Any) -> Path:
    """A tiny Qwen2 folder: configuration, weights of 96 × 8 parameters, byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 96,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
        "vocab_size": 256,
        "max_position_embeddings": 512,
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", {"embed": [96, 8]})
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {"eos_token": "!", **({"chat_template": template} if template else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The writers above, for test modules that cannot import a sibling (importmode=importlib)."""
    return SimpleNamespace(
        rl_row=rl_row,
        sft_row=sft_row,
        write_parquet=write_parquet,
        write_safetensors=write_safetensors,
        write_model=write_model,
        chatml=CHATML,
    )
