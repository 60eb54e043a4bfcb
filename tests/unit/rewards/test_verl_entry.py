"""verl's call: fixed keys, loud failures, threads, and no heavy import."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from conf.errors import RewardError
from rewards.verl_entry import Breaker, acompute_score, compute_score, drain

ROOT = Path(__file__).parents[3]
INFO = {"id": "arithmetic/train/7", "index": "7", "split": "train", "num_turns": 2}


def call(response: str, gold: str = "42", **kwargs: object) -> dict[str, float | str]:
    return compute_score(
        data_source="arithmetic",
        solution_str=response,
        ground_truth=gold,
        extra_info=INFO,
        **kwargs,
    )


def test_scores() -> None:
    right, wrong, none = (call(text, reward="math") for text in ("#### 42", "#### 41", "forty-two"))
    assert [one["score"] for one in (right, wrong, none)] == [1.0, 0.0, 0.0]
    assert [one["status"] for one in (right, wrong, none)] == ["correct", "wrong", "unparseable"]
    assert right.keys() == wrong.keys() == none.keys() >= {"score", "acc", "pred", "status"}


def test_options_nested_or_beside() -> None:
    response = "#### 42\nNo, I was wrong.\n#### 43"
    assert call(response, reward="math")["score"] == 0.0
    assert call(response, reward="math", several="first")["score"] == 1.0
    assert call(response, reward="math", options={"several": "first"})["score"] == 1.0


def test_failures_name_the_sample_and_never_score() -> None:
    with pytest.raises(RewardError, match=r"arithmetic/train/7.*gold_error"):
        call("#### 42", gold="", reward="math")
    with pytest.raises(RewardError, match="without a reward"):
        call("#### 42")


def test_components_must_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shifty.py"
    path.write_text(
        "from rewards.verdict import Verdict\n"
        "def score(response, gold):\n"
        "    return Verdict(1.0, 1.0, 'correct', components={response: 1.0})\n"
    )
    assert call("a", reward=f"{path}:score")["component_a"] == 1.0
    assert call("a", reward=f"{path}:score")["component_a"] == 1.0
    with pytest.raises(RewardError, match=r"components \['b'\] anew"):
        call("b", reward=f"{path}:score")


def test_many_threads_load_once(tmp_path: Path) -> None:
    path = tmp_path / "counted.py"
    path.write_text(
        "import pathlib, time\n"
        "log = pathlib.Path(__file__).with_suffix('.log')\n"
        "log.write_text((log.read_text() if log.exists() else '') + 'x')\n"
        "time.sleep(0.05)\n"
        "def score(response, gold):\n    return response == gold\n"
    )
    with ThreadPoolExecutor(16) as pool:
        scores = list(
            pool.map(lambda n: call(str(n), gold="3", reward=f"{path}:score")["score"], range(64))
        )
    assert scores == [float(n == 3) for n in range(64)]
    assert path.with_suffix(".log").read_text() == "x"


def test_control_arms_hide_correctness_from_the_score_only() -> None:
    constant = [call(f"#### {n}", reward="constant", value=0.25) for n in (41, 42)]
    assert [one["score"] for one in constant] == [0.25, 0.25]
    assert [one["acc"] for one in constant] == [0.0, 1.0]
    drawn = [call(f"#### {n}", reward="random", seed=1)["score"] for n in range(2000)]
    assert set(drawn) == {0.0, 1.0}
    assert abs(sum(drawn) / 2000 - 0.5) < 0.045  # 4 standard errors
    assert drawn == [call(f"#### {n}", reward="random", seed=1)["score"] for n in range(2000)]
    assert drawn != [call(f"#### {n}", reward="random", seed=2)["score"] for n in range(2000)]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, rewards.verl_entry as v, rewards.check\n"
        "for name in ('math', 'exact', 'constant', 'random'):\n"
        "    v.compute_score('x', '#### 4', '4', {}, reward=name)\n"
        "heavy = {'torch', 'verl', 'ray', 'vllm', 'transformers', 'pandas', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["math"], 0, "reward math: correct, score 1"),
        (["constant", "value=0.5"], 0, "score 0.5"),
        (["recipes.custom_reward.reward:score"], 0, "correct"),
        (["mth"], 4, "did you mean 'math'?"),
        (["math", "svral=1"], 4, "did you mean 'several'?"),
    ],
)
def test_check_command(arguments: list[str], code: int, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rewards.check", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stdout + done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1


COUNTED = """
calls = []
def once(response, gold):
    calls.append(response)
    if response in calls[:-1]:
        return 1.0
    raise ConnectionError("not at the first try")
def never(response, gold):
    calls.append(response)
    raise ConnectionError("never")
"""


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "tries.py"
    path.write_text(COUNTED)
    drain()
    yield str(path)
    drain()


def test_a_broken_verdict_is_asked_for_exactly_once_more(counted: str) -> None:
    assert call("a", reward=f"{counted}:once")["score"] == 1.0
    with pytest.raises(RewardError, match="ConnectionError: never"):
        call("b", reward=f"{counted}:never")
    (module,) = (m for m in sys.modules.values() if getattr(m, "__file__", None) == counted)
    assert module.calls == ["a", "a", "b", "b"]


def test_every_verdict_is_counted(counted: str) -> None:
    for response in ("#### 42", "#### 41", "none"):
        call(response, reward="math")
    call("a", reward=f"{counted}:once")
    with pytest.raises(RewardError):
        call("b" * 1000, reward=f"{counted}:never")
    handed = drain()
    assert [(event[1], event[3]) for event in handed["events"]] == [
        ("correct", False),
        ("wrong", False),
        ("unparseable", False),
        ("correct", True),
        ("verifier_error", True),
    ]
    assert all(event[2] > 0 for event in handed["events"])
    (sample,) = handed["samples"]
    assert sample["id"] == "arithmetic/train/7" and sample["gold"] == "42"
    assert "tries.py:" in sample["detail"]


def test_the_breaker_trips_on_what_was_counted(counted: str) -> None:
    breaker = Breaker(share=0.1, window=20)
    for n in range(3):
        with pytest.raises(RewardError):
            call(f"b{n}", reward=f"{counted}:never")
    handed = drain()
    fault = breaker.add(handed["events"], handed["samples"])
    assert fault is not None and "3 of the last 3 verdicts" in fault and "(×3)" in fault


def test_changed_components_are_counted_as_broken(counted: str) -> None:
    path = Path(counted).with_name("shifty2.py")
    path.write_text(
        "from rewards.verdict import Verdict\n"
        "def score(response, gold):\n"
        "    return Verdict(1.0, 1.0, 'correct', components={response: 1.0})\n"
    )
    call("a", reward=f"{path}:score")
    with pytest.raises(RewardError):
        call("b", reward=f"{path}:score")
    assert [event[1] for event in drain()["events"]] == ["correct", "verifier_error"]


def test_control_arms_of_the_configuration(tmp_path: Path) -> None:
    rows = [{"style": "rule", "ground_truth": gold} for gold in ("42", "43")]
    file = tmp_path / "train.parquet"
    pq.write_table(pa.table({"reward_model": rows}), file)
    arm = {"reward": "math", "control": "shuffled_gold", "control_files": str(file)}
    assert [call(f"#### {n}", **arm)["score"] for n in (42, 43)] == [0.0, 1.0]
    assert [call(f"#### {n}", **arm)["acc"] for n in (42, 43)] == [1.0, 0.0]
    listed = {**arm, "control_files": OmegaConf.create([str(file)])}
    assert call("#### 43", **listed)["score"] == 1.0
    assert call("#### 41", reward="math", control="constant", control_files=str(file))[
        "score"
    ] == pytest.approx(0.5)


def test_compositions_and_the_model_server(tmp_path: Path) -> None:
    path = tmp_path / "served.py"
    path.write_text(
        "def score(response, gold, reward_router_address, reward_model_tokenizer):\n"
        "    assert reward_model_tokenizer is not None\n"
        "    return float(reward_router_address == '10.0.0.1:8000')\n"
    )
    flat = call(
        "#### 42",
        reward="0.5*math + 0.5*served",
        options={"served": {"use": f"{path}:score"}},
        reward_router_address="10.0.0.1:8000",
        reward_model_tokenizer=object(),
    )
    assert flat["component_served"] == flat["component_math"] == flat["score"] == 1.0


def test_from_a_coroutine() -> None:
    async def several() -> list[object]:
        calls = [
            acompute_score("x", f"#### {n}", "42", {"id": str(n)}, reward="math")
            for n in range(40, 45)
        ]
        return [one["score"] for one in await asyncio.gather(*calls)]

    assert asyncio.run(several()) == [0.0, 0.0, 1.0, 0.0, 0.0]
