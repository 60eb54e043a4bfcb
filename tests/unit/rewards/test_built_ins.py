"""What every reward of the registry keeps, on one right and one wrong response each.

1. The right one scores its best and the wrong one less, by name, with fixed component names.
2. The same again, off the main thread, and after pickling the verdict.
3. A judged sample becomes the flat dict that verl takes.
4. Loading and judging pulls in no torch, verl or Ray.

`judge`, `rubric` and `reward_model` need a server: they are in the folder `judge`.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rewards.registry import load_reward
from rewards.verdict import Verdict

ROW = {"data_source": "d", "id": "d/0", "index": "0", "split": "test"}
TOKENS = {"response_tokens": 10, "max_response_tokens": 100, "truncated": False}


@dataclass(frozen=True)
class Sample:
    """One reward's right and wrong response.

    Attributes:
        right: scores `best`.
        wrong: scores less.
        gold: the row's.
        options: of the reward.
        best: the best score.
        row: the row's further fields.
        worse_row: those of the wrong response, where they are what is wrong.
    """

    right: str
    wrong: str
    gold: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    best: float = 1.0
    row: dict[str, Any] = field(default_factory=dict)
    worse_row: dict[str, Any] = field(default_factory=dict)


FORM = "<think>a</think><answer>4</answer>"
IFEVAL = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
SAMPLES = {
    "exact": Sample("#### Paris", "#### Rome", "Paris"),
    "choice": Sample("Answer: B", "Answer: C", "B"),
    "regex": Sample("#### 12", "#### a", r"\d+"),
    "json_schema": Sample("[1]", "{}", {"type": "array"}),
    "countdown": Sample("#### 1 + 2", "#### 1 * 2", {"target": 3, "numbers": [1, 2]}),
    "arithmetic": Sample("1+2=3 #### 3", "#### 4", "1+2"),
    "ifeval": Sample("no comma", "a, b", IFEVAL),
    "format": Sample(FORM, "4"),
    "tags": Sample(FORM, "4"),
    "soft_overlong": Sample(
        "a", "a", options={"cache_tokens": 50}, best=0.0, row=TOKENS,
        worse_row={"response_tokens": 90},
    ),
    "cosine": Sample("#### 4", "#### 5", "4", row=TOKENS, best=0.9878),
    "repetition": Sample("a b c d e", "a a a a a", best=0.0),
    "language": Sample("你好", "hello there", options={"language": "zh"}),
}  # fmt: skip
NAMES = sorted(SAMPLES)


def both(name: str) -> tuple[Verdict, Verdict]:
    sample = SAMPLES[name]
    reward = load_reward(name, sample.options)
    right = reward.judge(sample.right, sample.gold, {**ROW, **sample.row})
    wrong = reward.judge(sample.wrong, sample.gold, {**ROW, **sample.row, **sample.worse_row})
    return right, wrong


@pytest.mark.parametrize("name", NAMES)
def test_right_and_wrong(name: str) -> None:
    right, wrong = both(name)
    assert right.score == pytest.approx(SAMPLES[name].best, abs=1e-4)
    assert (right.acc, right.status) == (1.0, "correct")
    assert wrong.score < right.score and wrong.acc == 0.0
    assert wrong.status in {"wrong", "unparseable"}
    assert right.components.keys() == wrong.components.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_again_in_a_thread_and_pickled(name: str) -> None:
    first = both(name)
    found: list[tuple[Verdict, Verdict]] = []
    thread = threading.Thread(target=lambda: found.append(both(name)))
    thread.start()
    thread.join()
    assert found == [first]
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("name", NAMES)
def test_flat_for_verl(name: str) -> None:
    flat = both(name)[0].to_verl()
    assert {"score", "acc", "pred", "status", "detail"} <= flat.keys()
    assert all(isinstance(value, (float, str)) for value in flat.values())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "response", ["", " ", "\x00", "\ud800", "####", "<answer>", "﷽" * 1000, "<think>" * 2000]
)
def test_odd_responses_never_break_a_verifier(name: str, response: str) -> None:
    sample = SAMPLES[name]
    verdict = load_reward(name, sample.options).judge(response, sample.gold, {**ROW, **sample.row})
    assert not verdict.broken, verdict.detail


def test_no_heavy_library_is_loaded(repo: Path) -> None:
    golds = {name: (s.right, s.gold, s.options, s.row) for name, s in SAMPLES.items()}
    code = (
        "import json, sys\n"
        "import rewards.judge.grade, rewards.reward_model\n"
        "from rewards.registry import load_reward\n"
        "for name, (response, gold, options, row) in json.load(sys.stdin).items():\n"
        "    assert load_reward(name, options).judge(response, gold, row).acc == 1.0, name\n"
        "heavy = {'torch', 'verl', 'ray', 'vllm', 'transformers', 'numpy', 'pandas', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(golds),
        cwd=repo,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
