"""Rewards that ask a model, against real vLLM servers: a judge, a rubric, a reward model.

The models are tiny and their weights random, so a verdict's value says nothing; its form, its
repeatability and its agreement with transformers do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rewards.registry import load_reward

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
QUESTION = "What is 2 + 2?"
RESPONSES = [f"It is {n}." for n in range(8)]
# A random model closes a JSON string by chance: it needs room and more than one attempt.
SAMPLED = {"temperature": 1.0, "max_tokens": 500, "form_retries": 2}


def server_of(served: Any, **options: Any) -> dict[str, Any]:
    return {"base_url": served.base_url, "model": served.model, **SAMPLED, **options}


def test_a_judge_gives_a_grade_or_abstains(vllm_server: Any) -> None:
    judge = load_reward("judge", {"server": server_of(vllm_server)}).judge
    verdicts = [judge(response, "4", {"question": QUESTION}) for response in RESPONSES]
    graded = [verdict for verdict in verdicts if verdict.status != "verifier_error"]
    assert len(graded) >= len(RESPONSES) // 2
    for verdict in graded:
        assert int(verdict.pred or "") in range(11)
        assert verdict.score == int(verdict.pred or "") / 10
        assert verdict.status == ("correct" if verdict.score >= 0.5 else "wrong")
    assert len({verdict.pred for verdict in graded}) > 1  # it sees the response


def test_it_abstains_where_the_answer_is_cut(vllm_server: Any) -> None:
    options = {"server": server_of(vllm_server, max_tokens=5, form_retries=0)}
    verdict = load_reward("judge", options).judge("4", "4", {"question": QUESTION})
    assert verdict.status == "verifier_error" and "abstained" in verdict.detail


def test_a_kept_answer_is_not_asked_for_again(vllm_server: Any, tmp_path: Path) -> None:
    kept = {"server": server_of(vllm_server, cache_dir=str(tmp_path))}
    judge = load_reward("judge", kept).judge
    first = [judge(response, "4", {"question": QUESTION}) for response in RESPONSES[:3]]
    asked = vllm_server.requests()
    known = [n for n, verdict in enumerate(first) if verdict.status != "verifier_error"]
    again = [judge(RESPONSES[n], "4", {"question": QUESTION}) for n in known]
    assert again == [first[n] for n in known]
    assert vllm_server.requests() == asked


def test_a_rubric_weighs_its_points(vllm_server: Any) -> None:
    rubric = [{"criterion": "It is short.", "weight": 3}, {"criterion": "It is 4.", "weight": 1}]
    judge = load_reward("rubric", {"server": server_of(vllm_server)}).judge
    row = {"question": QUESTION, "rubric": rubric}
    verdicts = [judge(response, "4", row) for response in RESPONSES]
    graded = [verdict for verdict in verdicts if verdict.status != "verifier_error"]
    assert len(graded) >= len(RESPONSES) // 2
    assert {verdict.score for verdict in graded} <= {0.0, 0.25, 0.75, 1.0}


BUILD = """
import sys
from pathlib import Path
from launch.bridge.tiny_policy import build
build(Path(sys.argv[1]), 1)
"""
REWARD_MODEL = """
import sys, torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForSequenceClassification
policy, folder = sys.argv[1:]
torch.manual_seed(3)
config = Qwen2Config.from_pretrained(policy, num_labels=1)
config.architectures = ["Qwen2ForSequenceClassification"]
model = Qwen2ForSequenceClassification(config).float()
with torch.no_grad():
    model.score.weight.normal_(std=1.0)
model.save_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(policy)
tokenizer.save_pretrained(folder)
"""
SCORE = """
import json, sys, torch
from transformers import AutoTokenizer, Qwen2ForSequenceClassification
model = Qwen2ForSequenceClassification.from_pretrained(sys.argv[1]).float().eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
scores = []
for chat in json.loads(sys.argv[2]):
    tokens = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        scores.append(model(tokens["input_ids"]).logits.item())
print(json.dumps(scores))
"""


def script(code: str, *words: str) -> str:
    """What a script prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def reward_model(
    tmp_path_factory: pytest.TempPathFactory, serve_model: Callable[..., Any]
) -> Iterator[tuple[Any, Path]]:
    """A served reward model with one score, and its folder."""
    folder = tmp_path_factory.mktemp("reward_model")
    script(BUILD, str(folder / "policy"))
    script(REWARD_MODEL, str(folder / "policy"), str(folder / "model"))
    with serve_model(folder, folder / "model", "--runner", "pooling") as served:
        yield served, folder / "model"


def test_a_reward_models_score_is_that_of_transformers(reward_model: tuple[Any, Path]) -> None:
    served, folder = reward_model
    asked = [{"role": "user", "content": QUESTION}]
    chats = [[*asked, {"role": "assistant", "content": response}] for response in RESPONSES]
    expected = json.loads(script(SCORE, str(folder), json.dumps(chats)).splitlines()[-1])
    judge = load_reward("reward_model", {"model": served.model}).judge
    address = served.base_url.removeprefix("http://").removesuffix("/v1")
    row = {"prompt": asked, "reward_router_address": address}
    verdicts = [judge(response, None, row) for response in RESPONSES]
    assert [verdict.score for verdict in verdicts] == pytest.approx(expected, abs=1e-3)
    assert [verdict.acc for verdict in verdicts] == [float(score > 0) for score in expected]
    assert len(set(expected)) == len(expected)
