"""Tokens a second of an evaluation against bare `LLM.generate`: a script for the bench.

`python eval_throughput.py FOLDER` builds a small random model, answers the same prompts by
`LLM.generate` and by `eval.suite` (engine, grading, records), takes turns, and prints one JSON line
with the medians. A model as small as this leaves the engine little to do, so the share of what we
add is as large as it can be.
"""

from __future__ import annotations

import importlib.util
import io
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from eval.generate import EngineOptions, Request, Sampling
from eval.generate_vllm import open_vllm
from eval.items import Item
from eval.responses import Job, Pending
from rewards.registry import load_correctness

PROMPTS, TOKENS, TURNS = 192, 96, 5
ROOT = Path(__file__).resolve().parents[2]


def builder() -> Any:
    """The module that builds the tiny models of the end-to-end test."""
    path = ROOT / "tests" / "e2e_cpu" / "test_eval.py"
    spec = importlib.util.spec_from_file_location("eval_models", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(folder: Path) -> None:
    """Measure and print."""
    builder()._build(folder / "model", tied=True, seed=1)
    chats = [[{"role": "user", "content": f"{7 * i}+{i}="}] for i in range(PROMPTS)]
    how = Sampling(0.0, TOKENS)
    requests = [Request(chat, how) for chat in chats]
    options = EngineOptions("auto", "auto", 64, 0.2, 0.5, True, 1)
    items = [Item(i, str(i), chats[i], str(8 * i), "sums", {}, "sums") for i in range(PROMPTS)]
    reward = load_correctness("math")
    ours, bare = [], []
    with open_vllm(folder / "model", options, requests, {}) as engine:
        from vllm import LLM, SamplingParams

        llm = LLM(
            model=str(folder / "model"),
            max_model_len=256,
            max_num_seqs=64,
            enforce_eager=True,
            kv_cache_memory_bytes=int(0.2 * 2**30),
            dtype="auto",
            seed=0,
        )
        prompts = [
            {"prompt_token_ids": llm.get_tokenizer().apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=False)}
            for chat in chats
        ]  # fmt: skip
        parameters = SamplingParams(temperature=0.0, max_tokens=TOKENS)
        for turn in range(TURNS + 1):
            began = time.perf_counter()
            outputs = llm.generate(prompts, parameters, use_tqdm=False)
            seconds = time.perf_counter() - began
            bare.append(sum(len(o.outputs[0].token_ids) for o in outputs) / seconds)
            job = Job("sums", "m", f"turn {turn}", items, how, {}, 1, False, reward, {}, 64)
            with Pending(job, folder / f"{turn}.jsonl", io.StringIO()) as pending:
                began = time.perf_counter()
                records = pending.complete(lambda: engine)
                seconds = time.perf_counter() - began
            ours.append(sum(record["tokens"] for record in records) / seconds)
    told = {"bare": statistics.median(bare[1:]), "ours": statistics.median(ours[1:])}
    print(json.dumps({**told, "ratio": told["ours"] / told["bare"]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
