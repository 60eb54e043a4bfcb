"""Synthesis and the server-side filters through a real vLLM server with the tiny model.

The model's weights are random, so what it writes is noise: what is tested is that every text goes
where it should. The server's own count of requests says what was asked.

1. Answers: best of N by a verifier, and pairs of a better and a worse one, through filters and
   decontamination; nothing that the server wrote is altered or lost without a reason.
2. The same command again asks nothing and writes the same bytes; more answers ask for those alone.
3. Magpie: tasks out of the template's opening alone, then their answers.
4. Perplexity by the server's log-probs is that of the same model here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_prep.filters.perplexity import Perplexity
from data_prep.rows_schema import from_table
from data_prep.synthesize import synthesize

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
# Noise has signs of a wrong decoding; the other filters may say what they like.
FILTERS = {"degenerate": {"mojibake": 10_000}, "repetition": {}, "exact_duplicates": {}}
REWARD = """
def even(response, gold):
    return float(len(response) % 2 == 0)
"""
QUESTIONS, ANSWERS = 6, 4


def spec(server: Any, out: Path, **more: Any) -> dict[str, Any]:
    asked = {"base_url": server.base_url, "model": server.model, "max_tokens": 256, "parallel": 8}
    return {"out": str(out), "server": asked, "filters": FILTERS, "seed": 3, **more}


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def kept_answers(work: Path) -> list[str]:
    """The whole texts that the server gave, as they were kept."""
    found = [json.loads(path.read_text()) for path in (work / "answers").glob("*/*.json")]
    return [one["text"].strip() for one in found if not one["problem"]]


def test_answers_graded_filtered_and_kept(vllm_server: Any, tmp_path: Path) -> None:
    reward = tmp_path / "mine.py"
    reward.write_text(REWARD)
    questions = [{"question": f"What is {n} plus {n}?", "answer": "1"} for n in range(QUESTIONS)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, questions)))
    asked = {
        "method": "answers", "tasks": str(tmp_path / "tasks.jsonl"), "n": ANSWERS,
        "kinds": "sft,preference", "reward": f"{reward}:even", "per_task": 2,
    }  # fmt: skip
    before = vllm_server.requests()
    out = tmp_path / "out"
    manifest, lost = synthesize(spec(vllm_server, out, **asked))
    assert vllm_server.requests() - before == QUESTIONS * ANSWERS

    said = kept_answers(tmp_path / "out-work")
    assert len(said) + lost["cut"] + lost["empty"] == QUESTIONS * ANSWERS
    sft = from_table("sft", pq.read_table(out / "sft_train.parquet"))
    texts = [row["messages"][-1]["content"] for row in sft]
    assert texts and set(texts) <= set(said) and all(len(text) % 2 == 0 for text in texts)
    for row in from_table("preference", pq.read_table(out / "preference_train.parquet")):
        (better,), (worse,) = row["chosen"], row["rejected"]
        assert {better["content"], worse["content"]} <= set(said)
        assert len(better["content"]) % 2 == 0 and len(worse["content"]) % 2 == 1
    raw = json.loads((tmp_path / "out-work" / "synthesis.json").read_text())["rows"]
    written = sum(entry.rows or 0 for name, entry in manifest.files.items() if "train" in name)
    assert sum(raw.values()) == written + sum(manifest.dropped.values())
    assert manifest.decontaminated is not None  # it was on, whatever sets there are

    out.rename(tmp_path / "first")
    before = vllm_server.requests()
    synthesize(spec(vllm_server, out, **asked))
    assert vllm_server.requests() == before and digests(out) == digests(tmp_path / "first")
    out.rename(tmp_path / "second")
    synthesize(spec(vllm_server, out, **{**asked, "n": ANSWERS + 1}))
    assert vllm_server.requests() - before == QUESTIONS


def test_magpie_makes_tasks_of_the_templates_opening(vllm_server: Any, tmp_path: Path) -> None:
    asked = {"method": "magpie", "count": 4, "prefix": "<|user|>"}
    manifest, _ = synthesize(spec(vllm_server, tmp_path / "out", **asked))
    rows = from_table("sft", pq.read_table(tmp_path / "out" / "sft_train.parquet"))
    said = kept_answers(tmp_path / "out-work")
    assert rows and len({row["messages"][0]["content"] for row in rows}) == len(rows)
    for row in rows:
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert {turn["content"] for turn in row["messages"]} <= set(said)
    assert manifest.sources is not None and set(manifest.sources) == {"synthetic_sft"}


def test_perplexity_is_the_same_from_the_server(vllm_server: Any) -> None:
    texts = ["seven plus five is twelve", "one two three four five six seven", "x" * 100]
    rows = [{"messages": [{"role": "assistant", "content": text}]} for text in texts]
    here = Perplexity(model=str(vllm_server.policy), high=1e9)
    there = Perplexity(model=vllm_server.model, server=vllm_server.base_url, high=1e9)
    assert list(there.perplexities(rows)) == pytest.approx(list(here.perplexities(rows)), rel=1e-3)
