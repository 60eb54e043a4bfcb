"""Filters that ask something else: the verifier, solve rates, a model's log-probs."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from conf.errors import DataError, RewardError
from data_prep.filters.difficulty import Difficulty, read_rates
from data_prep.filters.gold import Gold
from data_prep.filters.perplexity import Perplexity, PerplexityBand, perplexity
from eval.generation.backend import Generation, Request, Sampling
from eval.items import Item
from eval.responses import Job, Pending
from rewards.registry import load_reward


def reason(filter_, row) -> str | None:
    (found,) = filter_.judge([row])
    return None if found is None else found.reason


def test_gold_answers_are_given_to_the_verifier(make) -> None:
    gold = Gold(reward="math")
    assert reason(gold, make.rl("q", "1,234")) is None
    assert (
        reason(gold, make.rl("q", "90\\text{ square\nunits}")) is None
    )  # in a box, not after ####
    assert reason(gold, make.rl("q", r"\boxed{}")) == "gold_unusable"
    assert reason(Gold(reward="exact"), make.rl("q", "a cat")) is None
    # Of a composition, what says what is right: a gold answer need not be long, nor formatted.
    assert reason(Gold(reward="exact if tags"), make.rl("q", "a cat")) is None
    assert reason(Gold(reward="exact", response=r"\boxed{{gold}}"), make.rl("q", "a cat")) is None
    assert reason(gold, make.sft("q", "a")) is None
    assert reason(gold, make.rl("q", None)) == "gold_unusable"


def test_each_row_is_judged_by_its_own_source(make) -> None:
    rows = [make.rl("q", r"\boxed{}"), make.rl("q", r"\boxed{}"), make.rl("q", r"\boxed{}")]
    for row, source in zip(rows, ("problems", "words", "others"), strict=True):
        row["extra_info"]["source"] = source
    gold = Gold(sources={"problems": {"reward": "math"}, "words": {"reward": "exact"}})
    assert [f and f.reason for f in gold.judge(rows)] == ["gold_unusable", None, None]
    assert [f and f.reason for f in Gold(reward="exact").judge(rows)] == [None] * 3


@pytest.mark.parametrize(
    ("reward", "gold", "found"),
    [
        ("countdown", '{"numbers": [3, 3, 8, 8], "target": 24}', None),  # 8/(3 - 8/3)
        ("countdown", '{"numbers": [1, 1, 1, 1], "target": 24}', "gold_fails"),
        ("countdown", '{"numbers": [], "target": 24}', "gold_unusable"),
        ("code", '{"test_list": ["assert f(1) == 2"]}', None),
        ("code", '{"test_list": []}', "gold_unusable"),
        ("code", "#### 4", "gold_unusable"),
        ("ifeval", '{"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}', None),
        ("ifeval", '{"instruction_id_list": ["no:such"], "kwargs": [{}]}', "gold_unusable"),
        ("judge", "anything", None),
    ],
)
def test_golds_that_are_no_answers(make, reward: str, gold: str, found: str | None) -> None:
    assert reason(Gold(reward=reward), make.rl("q", gold)) == found


def test_reference_programs_are_run_where_that_is_asked_for(make) -> None:
    def row(returned: int) -> dict:
        program = f"def f(x):\n    return x + {returned}\n"
        return make.rl("q", json.dumps({"test_list": ["assert f(1) == 2"], "reference": program}))

    options = {"reward": "code", "reward_options": {"allow_unsafe": True}}
    assert [reason(Gold(**options), row(n)) for n in (1, 2)] == [None, None]
    run = Gold(**options, run=True)
    assert [reason(run, row(n)) for n in (1, 2)] == [None, "gold_unusable"]
    assert reason(run, make.rl("q", '{"test_list": ["assert f(1) == 2"]}')) is None


def test_a_gold_answer_that_is_judged_wrong_and_a_verifier_that_breaks(make, tmp_path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "def half(response, gold, data_source=''):\n    return float('4' in response)\n"
        "def broken(response, gold):\n    raise OSError('no sandbox')\n"
    )
    half = Gold(reward=f"{path}:half")
    assert [f and f.reason for f in half.judge([make.rl("q", "4"), make.rl("q", "5")])] == [
        None, "gold_fails",
    ]  # fmt: skip
    with pytest.raises(RewardError, match=r"row a: .*no sandbox"):
        Gold(reward=f"{path}:broken").judge([make.rl("q", "4")])


def test_always_and_never_solved_tasks_are_dropped(make) -> None:
    rows = [make.rl("q", id=str(rate)) for rate in (0, 0.01, 0.5, 0.99, 1)]
    for row in rows:
        row["extra_info"]["solve_rate"] = row["extra_info"]["id"]
    wanted = ["never_solved", None, None, None, "always_solved"]
    assert [f and f.reason for f in Difficulty().judge(rows)] == wanted
    middle = Difficulty(low=0.1, high=0.9).judge(rows)
    assert [f is None for f in middle] == [False, False, True, False, False]


def test_rates_from_graded_samples(make, tmp_path: Path) -> None:
    samples = [
        {"id": "a", "acc": 1}, {"id": "a", "acc": 0.0}, {"id": "b", "correct": True},
        {"id": "b", "score": 1.0}, {"id": "c", "rate": 0.25, "samples": 8},
        {"id": "b", "status": "verifier_error", "acc": None},
    ]  # fmt: skip
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(json.dumps(s) + "\n" for s in samples))
    assert read_rates(path) == {"a": (0.5, 2), "b": (1.0, 2), "c": (0.25, 8)}
    rows = [make.rl("q", id=name) for name in "abcd"]
    found = Difficulty(rates=path).judge(rows)
    assert [f and f.reason for f in found] == [None, "always_solved", None, "rate_unknown"]
    assert found[3] and found[3].action == "flag"  # a file about other rows does not go unseen
    few = Difficulty(rates=path, min_samples=3)
    assert [f and f.reason for f in few.judge(rows)] == [
        *["rate_unknown"] * 2,
        None,
        "rate_unknown",
    ]
    assert few.model_copy(update={"unknown": "keep"}).judge(rows) == [None] * 4


class Replies:
    """A model that says what it is told to, response after response."""

    def __init__(self, said: Sequence[str]) -> None:
        self.said = said

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        for position, text in enumerate(self.said[: len(requests)]):
            yield Generation(position, text, 3, 5, "stop", 0.1, 0.1)


def test_rates_from_the_records_that_an_evaluation_writes(make, tmp_path: Path) -> None:
    """Four samples each of three tasks, graded and written by `eval`; one gold is unusable."""
    golds = {"a": "1", "b": "2", "c": r"\boxed{}"}
    items = [
        Item(n, name, [{"role": "user", "content": name}], gold, "test", {}, "all")
        for n, (name, gold) in enumerate(golds.items())
    ]
    job = Job(None, "model", "f", items, Sampling(1.0, 8), {}, 4, False, load_reward("math"), {}, 8)
    path = tmp_path / "records.jsonl"
    said = ["#### 1", "#### 1", "#### 1", "#### 7", *["#### 2"] * 4, *["#### 3"] * 4]
    with Pending(job, path, io.StringIO()) as pending:
        pending.complete(lambda: Replies(said))
    assert read_rates(path) == {"a": (0.75, 4), "b": (1.0, 4)}
    found = Difficulty(rates=path).judge([make.rl("q", id=name) for name in "abc"])
    assert [f and f.reason for f in found] == [None, "always_solved", "rate_unknown"]


def test_rates_from_the_rollouts_of_a_run(make, tmp_path: Path) -> None:
    """verl's columns with the verdict's beside them: `acc` counts, not the shaped `score`."""
    line = {"input": "q", "output": "r", "gts": "1", "step": 1, "uid": "u", "id": "a"}
    dumped = [
        {**line, "score": 0.6, "acc": 1.0, "status": "correct"},
        {**line, "score": -0.1, "acc": 0.0, "status": "wrong"},
        {**line, "score": 0.0, "acc": 0.0, "status": "verifier_error"},
    ]
    path = tmp_path / "1.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in dumped))
    assert read_rates(path) == {"a": (0.5, 2)}


def test_what_is_wrong_with_rates_is_said(make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"solve rates .*absent\.jsonl"):
        Difficulty(rates=tmp_path / "absent.jsonl").judge([make.rl("q")])
    (tmp_path / "r.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match="line 1: need id, and rate"):
        Difficulty(rates=tmp_path / "r.jsonl").judge([make.rl("q")])
    (tmp_path / "s.jsonl").write_text('{"id": "a", "score": 1.4}\n')
    with pytest.raises(DataError, match=r"line 1: got 1\.4, need a share"):
        Difficulty(rates=tmp_path / "s.jsonl").judge([make.rl("q")])
    (tmp_path / "l.jsonl").write_text('["a", 1]\n')
    with pytest.raises(DataError, match=r"line 1: got .*, need an object"):
        Difficulty(rates=tmp_path / "l.jsonl").judge([make.rl("q")])
    row = make.rl("q")
    row["solve_rate"] = 40
    with pytest.raises(DataError, match="solve_rate is 40, need a share"):
        Difficulty().judge([row])
    with pytest.raises(ValidationError, match="must be below high"):
        Difficulty(low=0.5, high=0.5)


def test_perplexity_by_hand() -> None:
    assert perplexity([math.log(1 / 8)] * 5) == pytest.approx(8)
    assert perplexity([math.log(1 / 2), math.log(1 / 8)]) == pytest.approx(4)
    assert math.isnan(perplexity([])) and perplexity([-1000.0]) == math.inf


def answer(path: str, body: dict) -> tuple[int, object]:
    """Each word is a token, as probable as one over its length, after the first."""
    assert path == "/v1/completions" and body["echo"] and body["max_tokens"] == 1
    words = body["prompt"].split(" ")
    offsets = [sum(len(w) + 1 for w in words[:i]) for i in range(len(words))]
    values = [None, *(-math.log(len(w)) for w in words[1:]), -9.0]
    logprobs = {"token_logprobs": values, "text_offset": [*offsets, len(body["prompt"])]}
    return 200, {"choices": [{"logprobs": logprobs}]}


def words(length: int) -> str:
    return " ".join(["x" * length] * 10)


def test_perplexity_from_a_server_against_bounds(make, serve) -> None:
    step = Perplexity(model="m", server=serve(answer), part="prompt", low=2, high=50)
    rows = [make.rl(words(1)), make.rl(words(7)), make.rl(words(60)), make.rl("too short")]
    found = step.judge(rows)
    assert [f and f.reason for f in found] == ["perplexity_low", None, "perplexity_high", None]
    assert step.perplexities([rows[1]])[0] == pytest.approx(7)


def test_both_tails_of_the_corpus_go(make, serve) -> None:
    step = PerplexityBand(model="m", server=serve(answer), part="prompt", low=0.1, high=0.2)
    rows = [make.rl(words(length), id=str(length)) for length in (5, 3, 9, 2, 7, 4, 8, 6, 11, 10)]
    rows.append(make.rl("short", id="short"))
    ids = [row["extra_info"]["id"] for row in rows]
    found = step.resolve(step.signatures(rows), ids)
    assert {k: v.reason for k, v in found.items()} == {
        "2": "perplexity_low", "10": "perplexity_high", "11": "perplexity_high",
    }  # fmt: skip


def test_a_server_without_prompt_logprobs_is_named(make, serve) -> None:
    step = Perplexity(model="m", server=serve(lambda *_: (200, {"choices": [{}]})), high=9)
    with pytest.raises(DataError, match="gives no log-probs of the prompt"):
        step.judge([make.rl(words(3))])
    with pytest.raises(ValidationError, match="needs low, high or both"):
        Perplexity(model="m")
