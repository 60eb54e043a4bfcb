"""Random models built on the spot: `policy=tiny`, and the shape of a real one to measure with.

In: a folder, a seed and a shape (`python -m launch.bridge.tiny_policy FOLDER SEED [SHAPE]`). Out: a
Hugging Face folder that verl, vLLM and transformers read like any other, with a byte-level
tokenizer. Nothing is downloaded; the same seed gives the same weights. They are stand-ins to run
whole pipelines with, not models to use: throughput, memory and the log-prob match do not depend on
trained weights.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

PAD, END, ASSISTANT = "<|pad|>", "<|end|>", "<|assistant|>"
SPECIAL = (PAD, END, ASSISTANT, "<|user|>", "<|system|>", "<|tool|>")
# One token for each role, not ChatML's dozen: with a byte a token, the frame would be most of the
# sequence.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SHAPES: dict[str, dict[str, float]] = {
    # 0.36 million parameters. Heads of 32, since vLLM's CPU attention has kernels for few sizes;
    # an initial spread of 0.08, since Qwen2's 0.02, meant for widths above a thousand, would cost
    # a third of the training.
    "tiny": {
        "hidden_size": 96,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "initializer_range": 0.08,
    },
    # Qwen2.5-0.5B's config.json.
    "qwen2.5-0.5b": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "initializer_range": 0.02,
        "rope_theta": 1e6,
        "vocab_size": 151936,
    },
}


def build(folder: Path, seed: int, shape: str = "tiny") -> None:
    """Write the model and its tokenizer, all or nothing.

    Args:
        folder: must not exist yet.
        seed: of torch's generator for the weights.
        shape: a key of `SHAPES`.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *alphabet))}
    shaped: dict[str, Any] = {"vocab_size": len(vocabulary), **SHAPES[shape]}
    # verl's rollout never samples past the tokenizer's vocabulary, its trainer counts the whole of
    # the model's: a tokenizer that is smaller makes the two disagree about each token.
    for index in range(len(vocabulary), int(shaped["vocab_size"])):
        vocabulary[f"<|unused{index}|>"] = index
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    # No regex, so that every byte is one token, "\n" included: verl's agent loop wants that.
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(SPECIAL[2:]),
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    config = Qwen2Config(
        **shaped,
        # Tied, like Qwen2.5-0.5B: the weight sync has to get this right.
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
