"""Tokens a second of an evaluation, and of bare `LLM.generate`: a script for the bench.

`python eval_throughput.py FOLDER bare|paired` answers the same prompts with the same random model,
which the first call builds in FOLDER, and prints one JSON line. `bare`: `LLM.generate` as vLLM sets
it up by itself. `paired`, turn about in one process: `LLM.generate` with the engine in its process,
as an evaluation has it on a CPU (`uniproc`), an evaluation's back end alone (`engine`), and with
grading and records (`whole`). Medians over turns after a warm-up.
"""

from __future__ import annotations

import importlib.util
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.generation.backend import EngineOptions, Request, Sampling
from eval.generation.engine import open_vllm
from eval.items import Item
from eval.responses import Job, Pending
from rewards.registry import load_correctness

PROMPTS, TOKENS, TURNS, ROWS = 128, 128, 5, 32
ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> None:
    """A random model of 5 million parameters, with the tokenizer of the end-to-end test's."""
    if (folder / "config.json").is_file():
        return
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path = ROOT / "tests" / "e2e_cpu" / "test_eval.py"
    spec = importlib.util.spec_from_file_location("eval_models", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._build(folder, tied=True, seed=1)
    config = AutoConfig.from_pretrained(folder)
    shape = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 8,
             "num_attention_heads": 4, "num_key_value_heads": 4, "layer_types": None}  # fmt: skip
    for name, value in shape.items():
        setattr(config, name, value)
    config.layer_types = ["full_attention"] * 8
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)


def medians(turns: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Tokens a second of the median turn of each, one turn of each after the other."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(TURNS + 1):
        for name, turn in turns.items():
            began = time.perf_counter()
            tokens = turn()
            found[name].append(tokens / (time.perf_counter() - began))
    return {name: statistics.median(values[1:]) for name, values in found.items()}


def generation(folder: Path, chats: list[Any], *, uniproc: bool) -> Callable[[], int]:
    """A turn of `LLM.generate` on the rendered prompts."""
    from vllm import LLM, SamplingParams
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    llm = LLM(
        model=str(folder), max_model_len=256, max_num_seqs=ROWS, enforce_eager=True,
        kv_cache_memory_bytes=2**29, seed=0, dtype="float32",
        distributed_executor_backend=UniProcExecutor if uniproc else None,
    )  # fmt: skip
    tokenizer = llm.get_tokenizer()
    prompts = [
        {
            "prompt_token_ids": tokenizer.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=False
            )
        }
        for chat in chats
    ]
    how = SamplingParams(temperature=0.0, max_tokens=TOKENS)

    def turn() -> int:
        outputs = llm.generate(prompts, how, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    return turn


def paired(folder: Path, chats: list[Any], records: Path) -> dict[str, float]:
    """An evaluation's back end, alone and with what it is for, beside `LLM.generate`."""
    how = Sampling(0.0, TOKENS)
    requests = [Request(chat, how) for chat in chats]
    options = EngineOptions("auto", "auto", ROWS, 0.5, 0.5, True, None)
    items = [Item(i, str(i), chat, str(8 * i), "sums", {}, "sums") for i, chat in enumerate(chats)]
    reward = load_correctness("math")
    names = iter(range(100))
    with open_vllm(folder, options, requests, {}) as engine:

        def whole() -> int:
            name = next(names)
            job = Job("sums", "m", f"turn {name}", items, how, {}, 1, False, reward, {}, ROWS)
            with Pending(job, records / f"{name}.jsonl", io.StringIO()) as pending:
                return sum(record["tokens"] for record in pending.complete(lambda: engine))

        def alone() -> int:
            return sum(one.tokens for one in engine.generate(requests))

        bare = generation(folder, chats, uniproc=True)
        return medians({"uniproc": bare, "engine": alone, "whole": whole})


def main(folder: Path, mode: str) -> None:
    """Measure and print."""
    build(folder / "model")
    chats = [[{"role": "user", "content": f"{7 * i}+{i}="}] for i in range(PROMPTS)]
    if mode == "paired":
        told = paired(folder / "model", chats, folder)
    else:
        told = medians({"bare": generation(folder / "model", chats, uniproc=False)})
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
