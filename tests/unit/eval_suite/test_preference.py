"""Win rates: ties, lengths held equal, another model's responses, and the whole path."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conf.errors import ConfigError, DataError
from eval.items import Item
from eval.suite.flow import evaluate_suite
from eval.suite.preference import length_controlled, with_baseline
from eval.suite.results import task_result
from eval.suite.task import load_task


def test_without_a_difference_of_length_nothing_is_controlled() -> None:
    scores = np.array([1.0] * 70 + [0.0] * 30)
    assert length_controlled(scores, np.zeros(100)) == pytest.approx(0.70, abs=0.01)  # the ridge


def test_a_judge_that_only_counts_words_sees_no_better_model() -> None:
    # Ours is longer 80% of the time, and the length alone decides, with some noise.
    generator = np.random.default_rng(0)
    longer = np.where(generator.random(2000) < 0.8, 1.0, -1.0) * generator.uniform(0.5, 1.5, 2000)
    chance = 1 / (1 + np.exp(-2 * np.tanh(longer / longer.std())))
    scores = (generator.random(2000) < chance).astype(float)
    assert scores.mean() > 0.65
    assert length_controlled(scores, longer) == pytest.approx(0.5, abs=0.05)


def test_the_fit_is_the_maximum_of_the_likelihood() -> None:
    from scipy.optimize import minimize

    generator = np.random.default_rng(1)
    longer = generator.normal(0.4, 1.0, 400)
    term = np.tanh(longer / longer.std())
    chance = 1 / (1 + np.exp(-(0.3 + 1.1 * term)))
    scores = (generator.random(400) < chance).astype(float)

    def loss(weights: Any) -> float:
        z = weights[0] + weights[1] * term
        return float(np.sum(np.logaddexp(0, z) - scores * z) + 0.25 * np.sum(weights**2))

    best = minimize(loss, np.zeros(2), tol=1e-12).x
    expected = 1 / (1 + np.exp(-best[0]))
    assert length_controlled(scores, longer) == pytest.approx(expected, abs=1e-5)


def _won(scores: list[float], cluster: str | None = None) -> dict[str, Any]:
    """The entry of a preference task with these pairs, ours now longer and now shorter."""
    records = [
        {"index": i, "id": str(i), "sample": 0, "stratum": "s", "tokens": 5, "prompt_tokens": 3,
         "cluster": cluster, "seconds": 0.5, "finish_reason": "stop",
         "verdict": {"status": "correct" if score == 1 else "wrong", "acc": score, "score": score,
                     "pred": "", "detail": "", "components": {
                         "win": float(score == 1), "tie": float(score == 0.5), "order_first": 0.0,
                         "order_second": 0.0, "longer": 0.1 * (-1) ** i, "characters": 9.0,
                         "baseline_characters": 9.0}}}
        for i, score in enumerate(scores)
    ]  # fmt: skip
    return task_result(load_task("mt_bench"), {"name": "m", "fingerprint": "f"}, records)


def test_ten_wins_of_ten_are_not_certain() -> None:
    found = _won([1.0] * 10)
    assert (found["win_rate"]["value"], found["method"]) == (1.0, "wilson")
    # Wilson at 10 of 10: 10/(10 + 1.96²) = 0.7225.
    assert found["win_rate"]["ci95"] == pytest.approx([0.7225, 1.0], abs=1e-4)
    low, high = found["length_controlled"]["ci95"]
    assert low < 0.75 and found["length_controlled"]["value"] < high
    low, high = _won([1.0])["win_rate"]["ci95"]
    assert low == pytest.approx(1 / (1 + 1.96**2), abs=1e-4) and high == 1.0
    low, high = _won([1.0])["length_controlled"]["ci95"]
    assert low < 0.3 and high > 0.9


def test_ties_have_the_interval_of_shares() -> None:
    # Five wins, ten ties, five losses: mean 1/2, SE² = s²/20 with s² = 2.5/19, so that
    # p(1−p)/SE² = 38, held to the 20 pairs; t of 19 degrees, 2.0930: 1/2 ∓ t/(2·√(20 + t²)).
    found = _won([1.0] * 5 + [0.5] * 10 + [0.0] * 5)
    half = 2.0930 / (2 * (20 + 2.0930**2) ** 0.5)
    assert found["win_rate"]["ci95"] == pytest.approx([0.5 - half, 0.5 + half], abs=1e-4)
    assert found["ci95"] == found["win_rate"]["ci95"]
    assert found["length_controlled"]["value"] == pytest.approx(0.5, abs=0.01)
    low, high = found["length_controlled"]["ci95"]
    assert 0.2 < low < 0.42 and 0.58 < high < 0.8


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    rows = [{"id": i, "turns": [f"a{i}", f"b{i}"]} for i in range(6)]
    (tmp_path / "talk.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "talk.yaml"
    path.write_text(
        "source: {files: {test: talk.jsonl}, prompt: turns.0, answer_is: none}\nturns: turns\n"
        "grader: eval.graders.pairwise:grade_pairwise\ngold: baseline\n"
        "metric: win_rate\ncluster: id\n"
    )
    return path


def test_two_models_are_compared_turn_by_turn(
    serve: Callable[..., Any], spec: Callable[..., Any], talk: Path, tmp_path: Path
) -> None:
    judge = serve({})
    words = [f"judge.base_url={judge.url}", "judge.model=longer"]
    said = {f"{turn}{i}": "short" for turn in "ab" for i in range(6)}
    plain = talk.with_name("plain") / "talk.yaml"  # the baseline answers without a judge
    plain.parent.mkdir()
    plain.write_text(
        talk.read_text()
        .replace("talk.jsonl", "../talk.jsonl")
        .replace("gold: baseline\nmetric: win_rate\n", "")
        .replace("eval.graders.pairwise:grade_pairwise", "exact")
    )
    evaluate_suite(spec(serve(said).url, str(plain), out="base"), io.StringIO())
    ours = {**said, **{f"a{i}": "a longer answer" for i in range(5)}, "a5": "no"}
    server = serve(ours)
    with pytest.raises(ConfigError, match="baseline="):
        evaluate_suite(spec(server.url, str(talk), *words), io.StringIO())
    with pytest.raises(ConfigError, match=r"judge\.base_url"):
        evaluate_suite(spec(server.url, str(talk)), io.StringIO())
    with pytest.raises(DataError, match="no records of task talk"):
        evaluate_suite(spec(server.url, str(talk), *words, baseline="none"), io.StringIO())
    full = spec(server.url, str(talk), *words, baseline=str(tmp_path / "base"))
    task = evaluate_suite(full, io.StringIO())["tasks"]["talk"]
    # First turns: 5 won, 1 lost. Second turns: the same last answer, but whole conversations are
    # shown: 5 are longer than the baseline's, 1 is shorter.
    assert (task["wins"], task["ties"], task["losses"]) == (10, 0, 2)
    assert task["win_rate"]["value"] == pytest.approx(10 / 12)
    # Six questions of two turns, five won whole: SE² = (5/36)/5, t of 5 degrees is 2.5706, and the
    # lower end (5/6 + t²/10 − t·√((5/36)/5 + (t/10)²)) / (1 + t²/5).
    low, high = task["win_rate"]["ci95"]
    assert low == pytest.approx(0.3044, abs=1e-4) and 10 / 12 < high <= 1.0
    assert task["accuracy"] == task["win_rate"]["value"]
    assert 0 < task["length_controlled"]["value"] < 1
    assert task["mean_characters"] > task["baseline_mean_characters"]


def _answers(ids: list[str]) -> list[dict[str, Any]]:
    return [
        {"index": i, "id": name, "prompt": f"p{i}", "response": f"r{i}", "tokens": 1,
         "seconds": 0.1, "finish_reason": "stop", "verdict": {"status": "correct"}}
        for i, name in enumerate(ids)
    ]  # fmt: skip


def _golds(folder: Path, ids: list[str], asked: list[Item]) -> list[str]:
    records = _answers(ids)
    folder.write_text("".join(json.dumps(record) + "\n" for record in records))
    task = load_task("alpaca_eval")
    return [item.ground_truth["response"] for item in with_baseline(task, asked, folder)]


def test_a_baseline_is_paired_by_row_where_ids_repeat(tmp_path: Path) -> None:
    def item(index: int, name: str, **more: Any) -> Item:
        return Item(index, name, [], None, "d", {}, "d", **more)

    file = tmp_path / "records.jsonl"
    twice = ["0", "1", "0", "1"]
    assert _golds(file, twice, [item(i, twice[i]) for i in (0, 2, 3)]) == ["r0", "r2", "r3"]
    assert _golds(file, ["a", "b"], [item(5, "b"), item(6, "a")]) == ["r1", "r0"]
    with pytest.raises(DataError, match="no response to 1 of task alpaca_eval"):
        _golds(file, twice, [item(0, "1")])  # row 0 is another item there
    turns = ["q", "q#2", "q", "q#2"]
    two = [item(i, "q", turns=("x", "y")) for i in (0, 2)]
    assert _golds(file, turns, two) == ["r0", "r2"]
    assert [
        gold["response"] for gold in with_baseline(load_task("mt_bench"), two, file)[1].golds or ()
    ] == ["r2", "r3"]
