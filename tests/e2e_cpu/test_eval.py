"""Evaluation with real vLLM on tiny models that are built here.

1. Greedy texts equal those of transformers, for a model with tied and one with untied embeddings,
   though both were evaluated one after the other in one process.
2. After two times `kill -9` in the middle, the same command ends with the same records as an
   evaluation that nobody disturbed, and generates only what was missing.
3. A suite of tasks gives the texts that a file of the same rows gave; sampled ones are the same
   again; two replicas under Ray give the same ones too (all in the full run).
4. When all is recorded, another grader is applied without loading a model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eval.evaluate import evaluate
from eval.records import read_records
from eval.spec import check

N = 60
MAX_TOKENS = 48
pytestmark = pytest.mark.timeout(600)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _build(folder: Path, *, tied: bool, seed: int) -> None:
    """A random Qwen2 with a byte-level tokenizer; weights large enough for texts that vary."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

    specials = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(specials + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
        initializer_range=0.3,
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)


def _greedy_by_transformers(folder: Path, chats: list[list[dict[str, str]]]) -> list[str]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    texts = []
    for chat in chats:
        ids = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=MAX_TOKENS, do_sample=False, pad_token_id=0)
        texts.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    return texts


class World:
    """Two models, data, and the undisturbed evaluation of both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "test.parquet"
        rows = [
            {
                "prompt": [{"role": "user", "content": f"{7 * i}+{i}="}],
                "data_source": "sums",
                "reward_model": {"style": "rule", "ground_truth": str(8 * i)},
                "extra_info": {"id": f"sum-{i}", "index": str(i)},
            }
            for i in range(N)
        ]
        pq.write_table(pa.Table.from_pylist(rows), self.data)
        self.models = {"untied": root / "untied", "tied": root / "tied"}
        _build(self.models["untied"], tied=False, seed=1)
        _build(self.models["tied"], tied=True, seed=2)

    def spec(self, out: str, *labels: str, **more: Any) -> dict[str, Any]:
        return {
            "out": str(self.root / out),
            "data": str(self.data),
            "models": {label: str(self.models[label]) for label in labels},
            "reward": "math",
            "max_tokens": MAX_TOKENS,
            "max_num_seqs": 4,  # many small groups: something to interrupt
            "kv_cache_gb": 0.1,
            **more,
        }

    def start(self, spec: dict[str, Any]) -> subprocess.Popen[str]:
        path = self.root / "spec.json"
        path.write_text(json.dumps(spec))
        command = [sys.executable, "-m", "eval.run", "--spec", str(path)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )

    def records(self, out: str, label: str) -> list[dict[str, Any]]:
        return read_records(self.root / out / f"records-{label}.jsonl")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("eval"))
    run = world.start(world.spec("both", "untied", "tied"))
    out, err = run.communicate(timeout=400)
    assert run.returncode == 0, err
    assert "untied → tied: " in out
    yield world


def _said(records: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What must not depend on how often an evaluation was interrupted."""
    return {
        record["id"]: (
            record["response"],
            record["tokens"],
            record["prompt_tokens"],
            record["finish_reason"],
            record["verdict"],
            record["key"],
        )
        for record in records
    }


@pytest.mark.parametrize("label", ["untied", "tied"])
def test_texts_of_both_models_are_those_of_transformers(world: World, label: str) -> None:
    by_id = {record["id"]: record for record in world.records("both", label)}
    assert len(by_id) == N
    some = [by_id[f"sum-{i}"] for i in range(0, N, 6)]
    expected = _greedy_by_transformers(world.models[label], [record["prompt"] for record in some])
    assert [record["response"] for record in some] == expected
    assert len(set(expected)) > 1  # else equality would say little


def test_results_can_be_computed_again_from_the_records(world: World) -> None:
    results = json.loads((world.root / "both" / "results.json").read_text())
    for label in ("untied", "tied"):
        records = world.records("both", label)
        assert results[label]["n"] == N
        assert results[label]["tokens"] == sum(r["tokens"] for r in records)
        cut = sum(r["finish_reason"] == "length" for r in records)
        assert results[label]["truncation_share"] == cut / N
        assert sum(results[label]["status"].values()) == N
    assert results["verdict"]["n"] == N
    assert any("n=500" in text for text in results["warnings"])
    items = json.loads((world.root / "both" / "items.json").read_text())["items"]
    assert [item["id"] for item in items] == [f"sum-{i}" for i in range(N)]


def test_a_killed_evaluation_resumes_to_the_same_records(world: World) -> None:
    spec = world.spec("killed", "tied")
    path = world.root / "killed" / "records-tied.jsonl"
    survived: list[dict[str, Any]] = []
    for more in (4, 12):
        run = world.start(spec)
        wanted = len(survived) + more
        deadline = time.monotonic() + 300
        while not (path.is_file() and len(read_records(path)) >= wanted):
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=30)  # both pipes closed: no child of it holds them
        before, survived = survived, read_records(path)
        assert survived[: len(before)] == before
        assert wanted <= len(survived) < N
    again = world.start(spec)
    _, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    assert f"{N - len(survived)} of {N} items to generate" in err
    records = read_records(path)
    assert records[: len(survived)] == survived
    assert len(records) == N
    assert _said(records) == _said(world.records("both", "tied"))


def _suite(world: World, out: str, *words: str) -> list[dict[str, Any]]:
    """The records of a suite of one task over the same rows."""
    command = [sys.executable, "-m", "eval.run", f"model={world.models['tied']}", "label=tied"]
    command += [f"suite=[{world.data}]", "set.test.grader=math", f"out={world.root / out}"]
    command += [f"max_tokens={MAX_TOKENS}", "max_num_seqs=4", "kv_cache_gb=0.1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return read_records(world.root / out / "tasks" / "test" / "records.jsonl")


@pytest.mark.full
def test_a_suite_gives_the_same_texts(world: World) -> None:
    records = _suite(world, "suite")
    assert _said(records) == _said(world.records("both", "tied"))
    drawn = [
        {r["key"]: r["response"] for r in _suite(world, out, "samples=2", "temperature=1.0", "n=8")}
        for out in ("drawn", "again")
    ]
    assert len(drawn[0]) == 16 and drawn[0] == drawn[1]
    assert len(set(drawn[0].values())) > 8  # two samples of an item differ


@pytest.mark.full
def test_replicas_under_ray_give_the_same_texts(world: World) -> None:
    records = _suite(world, "replicas", "replicas=2", "device=cpu")
    assert _said(records) == _said(world.records("both", "tied"))


@pytest.mark.full
def test_a_server_gives_the_same_texts_whoever_renders(
    world: World, serve_model: Callable[..., Any], tmp_path: Path
) -> None:
    def seen(records: list[dict[str, Any]]) -> dict[int, tuple[Any, ...]]:
        # A server leaves out half a character at the end, random weights end in one often.
        names = ("tokens", "prompt_tokens", "finish_reason")
        return {
            record["index"]: (
                record["response"].rstrip("\ufffd"),
                record["verdict"]["status"],
                *(record[name] for name in names),
            )
            for record in records
        }

    with serve_model(tmp_path, world.models["tied"], "--max-model-len", "256") as server:
        asked = (f"endpoint.base_url={server.base_url}", f"endpoint.model={server.model}")
        here, there = (
            _suite(world, f"render-{who}", *asked, f"endpoint.render={who}")
            for who in ("here", "server")
        )
    assert seen(here) == seen(there) == seen(world.records("both", "tied"))


def test_another_grader_needs_no_model_in_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr("eval.responses.open_backend", refused)
    grader = world.root / "grader.py"
    grader.write_text("def length(response, gold):\n    return float(len(response) > 5)\n")
    before = world.records("both", "tied")
    spec = check(world.spec("both", "untied", "tied", reward=f"{grader}:length"))
    results = evaluate(spec)
    records = world.records("both", "tied")
    assert [r["response"] for r in records] == [
        r["response"] for r in sorted(before, key=lambda r: r["index"])
    ]
    assert results["tied"]["correct"] == sum(len(r["response"]) > 5 for r in records)
