"""`policy=tiny`: a random Qwen2 of 0.36 million parameters with a byte-level tokenizer.

In: a folder and a seed (`python -m launch.bridge.tiny_policy FOLDER SEED`). Out: a Hugging Face
folder that verl, vLLM and transformers read like any other. Nothing is downloaded; the same seed
gives the same weights. It is a stand-in to run whole pipelines, not a model to use.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

PAD, END, ASSISTANT = "<|pad|>", "<|end|>", "<|assistant|>"
SPECIAL = (PAD, END, ASSISTANT, "<|user|>", "<|system|>", "<|tool|>")
# One token for each role, not ChatML's dozen: with a byte a token, the frame would be most of the
# sequence.
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Qwen2's 0.02 is meant for widths above a thousand; at 96 it costs a third of the training.
INIT_STD = 0.08


def build(folder: Path, seed: int) -> None:
    """Write the model and its tokenizer, all or nothing.

    Args:
        folder: must not exist yet.
        seed: of torch's generator for the weights.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *alphabet))}
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
        vocab_size=len(vocabulary),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        # Heads of 32: vLLM's CPU attention has kernels for few sizes.
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        # Tied, like Qwen2.5-0.5B: the weight sync has to get this right.
        tie_word_embeddings=True,
        bos_token_id=None,
        initializer_range=INIT_STD,
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
    build(Path(sys.argv[1]), int(sys.argv[2]))
