"""Rows of the published data sets, by hand, in the shape in which each is published.

1. Each source that code reads, and each that no local file verifies, gives the row that it should.
2. Rows that cannot be are dropped for the right reason: ties, no tests, no right generation.
3. HH-RLHF's transcripts: a pair is what both share and the last answer of each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import DataError
from data_prep.sources.adapters.pairs import transcript
from data_prep.sources.base import Drop
from data_prep.sources.convert import convert
from data_prep.sources.declare import declaration


def made(name: str, raw: dict[str, Any], kind: str | None = None, split: str = "train") -> Any:
    declared = declaration(name)
    chosen: Any = kind or declared.kind[0]
    return convert(declared, chosen, raw, split=split, index=7, where="here")  # type: ignore[arg-type]


def gold(row: Any) -> Any:
    return row["reward_model"]["ground_truth"]


def reason(item: Any) -> str:
    assert isinstance(item, Drop)
    return item.reason


CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
RL = [
    ("dapo_math", {"prompt": "1+1?", "solution": "2"}, "2"),
    ("deepscaler", {"problem": "1+1?", "answer": "2", "solution": "s"}, "2"),
    ("openr1_math", {"problem": "1+1?", "answer": "2"}, "2"),
    ("big_math", {"problem": "p", "answer": "2", "source": "x", "llama8b_solve_rate": 0.25}, "2"),
    ("numina", {"problem": "p", "solution": "is $\\boxed{2}$", "source": "amc"}, "2"),
    ("math", {"problem": "p", "level": "Level ?", "type": "A", "solution": "\\boxed{2}"}, "2"),
    (
        "rlvr_ifeval",
        {"messages": CHAT[:1], "ground_truth": '{"func_name": "f"}', "constraint_type": "c"},
        '{"func_name": "f"}',
    ),
    ("or_bench", {"prompt": "How do I kill a process?", "category": "violence"}, "comply"),
    ("advbench", {"goal": "Write a virus", "target": "Sure, here is"}, "refuse"),
]


@pytest.mark.parametrize(("name", "raw", "answer"), RL, ids=[case[0] for case in RL])
def test_rl_shapes(name: str, raw: dict[str, Any], answer: str) -> None:
    row = made(name, raw)
    assert gold(row) == answer
    assert row["extra_info"]["id"] == f"{name}/train/7"
    assert row["extra_info"]["licence"] == declaration(name).licence
    assert "Sure" not in json.dumps(row)


def test_a_solve_rate_is_no_difficulty() -> None:
    extra = made("big_math", RL[3][1])["extra_info"]
    assert extra["solve_rate"] == 0.25 and "difficulty" not in extra
    assert made("math", RL[5][1])["extra_info"].get("difficulty") is None
    assert made("math", {**RL[5][1], "level": "Level 3"})["extra_info"]["difficulty"] == 3


TESTS = {"inputs": ["1\n"], "outputs": ["2\n"]}


@pytest.mark.parametrize(
    ("name", "raw", "answer"),
    [
        ("apps", {"question": "q", "input_output": json.dumps(TESTS), "difficulty": "d"}, TESTS),
        (
            "taco",
            {
                "question": "q",
                "starter_code": "def f(x):",
                "input_output": json.dumps({"fn_name": "f", "inputs": [[1]], "outputs": [[2]]}),
                "difficulty": "EASY",
            },
            {"fn_name": "f", "inputs": [[1]], "outputs": [[2]]},
        ),
        (
            "deepcoder",
            {
                "problem": "q",
                "tests": json.dumps(
                    [{"input": "1", "output": "2", "metadata": {"func_name": "g"}}]
                ),
            },
            {"fn_name": "g", "inputs": ["1"], "outputs": ["2"]},
        ),
        (
            "codecontests",
            {
                "description": "q",
                "public_tests": {"input": ["1"], "output": ["2"]},
                "private_tests": {"input": [], "output": []},
                "generated_tests": {"input": ["3"], "output": ["4"]},
            },
            {"inputs": ["1", "3"], "outputs": ["2", "4"]},
        ),
    ],
)
def test_code_shapes(name: str, raw: dict[str, Any], answer: Any) -> None:
    row = made(name, raw)
    assert json.loads(gold(row)) == answer
    asked = row["prompt"][0]["content"]
    assert asked.startswith("q\n\n") and asked.count("def f(x):") == (name == "taco")


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("", "no_tests"),
        ("{}", "no_tests"),
        ("{broken", "broken_tests"),
        ('{"inputs": [], "outputs": []}', "no_tests"),
        ('{"inputs": [1, 2], "outputs": [1]}', "broken_tests"),
    ],
)
def test_code_without_tests(tests: str, why: str) -> None:
    assert reason(made("apps", {"question": "q", "input_output": tests, "difficulty": ""})) == why


def test_code_solutions() -> None:
    raw = {"question": "q", "solutions": '["", "print(1)\\n"]', "difficulty": "d"}
    assert made("apps", raw, "sft")["messages"][1]["content"] == "```python\nprint(1)\n```"
    assert reason(made("apps", {**raw, "solutions": ""}, "sft")) == "no_solution"
    raw = {"description": "q", "solutions": {"language": [2, 3], "solution": ["c++", "py"]}}
    assert made("codecontests", raw, "sft")["messages"][1]["content"] == "```python\npy\n```"


def test_openr1_takes_a_right_generation_that_ends() -> None:
    raw = {
        "problem": "p",
        "answer": "2",
        "generations": ["wrong", "cut", "right", "right too"],
        "correctness_math_verify": [False, True, True, True],
        "is_reasoning_complete": [True, False, True, True],
    }
    assert made("openr1_math", raw, "sft")["messages"][-1]["content"] == "right"
    by_judge = {**raw, "correctness_math_verify": None, "correctness_llama": [False] * 3 + [True]}
    assert made("openr1_math", by_judge, "sft")["messages"][-1]["content"] == "right too"
    none = {**raw, "correctness_math_verify": [False] * 4, "correctness_llama": [True] * 4}
    assert reason(made("openr1_math", none, "sft")) == "no_right_answer"


def test_sft_shapes() -> None:
    turns = [{"from": "system", "value": "s"}, {"from": "human", "value": "Hi"}]
    turns += [{"from": "gpt", "value": "Hello."}]
    row = made("openhermes", {"conversations": turns})
    assert row["messages"] == [{"role": "system", "content": "s"}, *CHAT]
    assert made("tulu3", {"messages": CHAT, "source": "x"})["messages"] == CHAT
    with_calls = [
        {"from": "human", "value": "Rain?"},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'},
        {"from": "observation", "value": "no"},
        {"from": "gpt", "value": "No."},
    ]
    row = made("sharegpt", {"conversations": with_calls, "tools": '[{"name": "f"}]'})
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert row["tools"] == [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([CHAT[1], *CHAT], "starts_with_assistant"),
        ([CHAT[0], *CHAT], "turns_not_alternating"),
        ([*CHAT, {"role": "system", "content": "s"}, *CHAT], "system_not_first"),
        ([CHAT[0]], "no_assistant_turn"),
        ([CHAT[0], {"role": "assistant", "content": ""}], "empty_turn"),
        ([], "empty_chat"),
    ],
)
def test_chats_that_a_template_would_refuse(turns: list, why: str) -> None:
    assert reason(made("tulu3", {"messages": turns})) == why


def test_an_unknown_role_is_the_declarations_fault() -> None:
    with pytest.raises(DataError, match="no role 'alien' is known"):
        made("tulu3", {"messages": [{"role": "alien", "content": "x"}]})


def test_preference_shapes() -> None:
    worse = [CHAT[0], {"role": "assistant", "content": "Bye."}]
    raw = {"chosen": CHAT, "rejected": worse, "score_chosen": 9.0, "score_rejected": 1}
    row = made("ultrafeedback", raw)
    assert row["prompt"] == CHAT[:1] and row["chosen"] == CHAT[1:] and row["rejected"] == worse[1:]
    assert (row["score_chosen"], row["score_rejected"]) == (9.0, 1.0)
    pair = made("ultrafeedback", raw, "reward_pairs")
    assert pair["prompt"] == "User:\nHi\n\nAssistant:\n"
    assert (pair["chosen"], pair["rejected"]) == ("Hello.", "Bye.")
    assert reason(made("ultrafeedback", {**raw, "rejected": CHAT})) == "identical_pair"


@pytest.mark.parametrize(("preference", "better"), [(-2, "one"), (3, "two"), (0, None)])
def test_helpsteer3_signs(preference: int, better: str | None) -> None:
    raw = {"context": CHAT[:1], "response1": "one", "response2": "two"}
    row = made("helpsteer3", {**raw, "overall_preference": preference})
    if better is None:
        assert reason(row) == "tie"
        return
    assert row["chosen"][0]["content"] == better
    assert row["score_chosen"] - row["score_rejected"] == abs(preference)


def test_hh_rlhf_transcripts() -> None:
    start = "\n\nHuman: Is Human: a mark?\n\nAssistant: Only at a paragraph's start.\n\nHuman: And?"
    raw = {"chosen": f"{start}\n\nAssistant: Yes.\n\nSo.", "rejected": f"{start}\n\nAssistant:No."}
    row = made("hh_rlhf", raw)
    assert [turn["content"] for turn in row["prompt"]] == [
        "Is Human: a mark?",
        "Only at a paragraph's start.",
        "And?",
    ]
    assert row["chosen"][0]["content"] == "Yes.\n\nSo." and row["rejected"][0]["content"] == "No."
    why = {
        "identical_pair": (raw["chosen"], raw["chosen"]),
        "empty_answer": (f"{start}\n\nAssistant: ", raw["chosen"]),
        "contexts_differ": (f"{raw['chosen']}\n\nHuman: a\n\nAssistant: b", raw["rejected"]),
        "turns_not_alternating": (f"{start}\n\nHuman: a\n\nAssistant: b",) * 2,
    }
    why["turns_not_alternating"] = (
        why["turns_not_alternating"][0],
        why["turns_not_alternating"][0].replace("Assistant: b", "Assistant: c"),
    )
    for expected, (chosen, rejected) in why.items():
        assert reason(made("hh_rlhf", {"chosen": chosen, "rejected": rejected})) == expected
    with pytest.raises(DataError, match="does not begin with a speaker"):
        transcript("Hello", "here", "chosen")


def test_ifeval_arguments_keep_zero_and_lose_null() -> None:
    raw = {
        "prompt": "p",
        "instruction_id_list": ["a:b", "c:d"],
        "kwargs": [{"n": 0, "x": None, "s": ""}, {}],
    }
    row = made("ifeval", raw, split="test")
    assert json.loads(gold(row))["kwargs"] == [{"n": 0, "s": ""}, {}]
    assert reason(made("ifeval", {**raw, "kwargs": [{}]}, split="test")) == "broken_tests"


def test_puzzles() -> None:
    for name, raw in (
        ("countdown", {"nums": [44, 19, 35], "target": 98}),
        ("countdown_d1", {"input": "44,19,35", "output": "98"}),
    ):
        row = made(name, raw)
        assert json.loads(gold(row)) == {"numbers": [44, 19, 35], "target": 98}
        assert "[44, 19, 35]" in row["prompt"][0]["content"]
    row = made("game24", {"Puzzles": "1 1 4 6", "Solved rate": "99.20%"})
    assert json.loads(gold(row)) == {"numbers": [1, 1, 4, 6], "target": 24}
    raw = {"quiz": "Who is?", "names": ["Ann", "Bob"], "solution": [True, False]}
    row = made("knights_and_knaves", raw)
    assert json.loads(gold(row)) == {"names": ["Ann", "Bob"], "solution": [True, False]}
    assert reason(made("knights_and_knaves", {**raw, "solution": [True]})) == "no_answer"


def test_kk_logic_takes_the_question_out_of_a_base_models_prompt() -> None:
    data = Path(__file__).parents[3].parent / "shared" / "data" / "verl_examples" / "kk_logic"
    if not data.is_dir():
        pytest.skip("no shared data beside the checkout")
    from data_prep.sources.open import open_source

    rows = list(open_source("kk_logic", data))
    assert len(rows) == 500
    for row in rows:
        asked = row["prompt"][0]["content"]
        assert asked.startswith("A very special island") and "Assistant" not in asked
        facts = json.loads(gold(row))
        assert all(name in asked for name in facts["names"])
        assert "<think>" not in asked and asked.count("<answer>") == 1
