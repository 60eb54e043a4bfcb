"""Planted failures land in their class; right answers in none.

1. Of at least 30 failures of each class, made of real data by breaking a right response in one way,
   95% and more are found; the rows are ones that the rules were not written on.
2. Right answers are no failures, however they look.
3. The first class whose evidence is there counts.
4. Wrong answers: a changed result is a slip, a left-out step is logic, and true working is rarely
   taken for false.
"""

from collections import Counter

import pytest

from eval.failures.classify import KINDS, classify
from eval.failures.signals import foreign, loop, refusal


def record(response, status="wrong", **more):
    return {
        "prompt": [{"role": "user", "content": "How many apples does she have in the end?"}],
        "ground_truth": "8",
        "response": response,
        "finish_reason": "stop",
        "reward": {"name": "math"},
        "verdict": {"status": status, "pred": "", "detail": ""},
        **more,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_planted_failures_land_in_their_class(planted, kind):
    records = planted.PLANTED[kind]()
    found = Counter(failure and failure.kind for failure in map(classify, records))
    assert len(records) >= 30
    assert found[kind] >= 0.95 * len(records), found


def test_right_answers_are_no_failures(planted):
    records = planted.right()
    wrong = [r for r in records if r["verdict"]["status"] != "correct"]
    assert len(records) == 120 and len(wrong) <= 2  # MATH's own answers, graded as they are
    assert [classify(r) for r in records if r not in wrong] == [None] * (len(records) - len(wrong))


def test_the_cause_of_a_wrong_answer(planted):
    slips = Counter(found and found.sort for found in map(classify, planted.slips()))
    logic = Counter(found and found.sort for found in map(classify, planted.logic()))
    assert slips.total() == logic.total() == 60
    assert slips["slip"] >= 57 and slips["logic"] == 0
    assert logic["logic"] >= 54 and logic["slip"] == 0


def test_another_class_follows_from_a_loop():
    looped = "The answer grows. " * 60
    assert classify(record(looped, "unparseable", finish_reason="length")).kind == "repetition"
    assert classify(record(looped, "correct")) is None
    assert classify(record(looped, "verifier_error")).kind == "verifier_failed"


def test_a_cut_response_is_cut_whatever_it_holds():
    cut = record("She has 3 + 5 = 8 apples, and then", "unparseable", finish_reason="length")
    assert classify(cut).kind == "truncated"
    assert classify({**cut, "finish_reason": "stop"}).kind != "truncated"


@pytest.mark.parametrize(
    ("reward", "status", "detail", "response", "expected"),
    [
        ("code", "wrong", "test 1 of 3: failed: SyntaxError: invalid syntax", "```\nx\n```",
         ("wrong_answer", "syntax")),
        ("code", "wrong", "test 2 of 3: failed: IndexError: list index", "```\nx\n```",
         ("wrong_answer", "exception")),
        ("code", "wrong", "test 2 of 3: failed: AssertionError", "```\nx\n```",
         ("wrong_answer", "logic")),
        ("code", "timeout", "test 1 of 3: timeout: 10 s", "```\nx\n```",
         ("wrong_answer", "too slow")),
        ("code", "unparseable", "no fenced Python program", "def f(x):\n    return x",
         ("wrong_format", None)),
        ("math", "timeout", "5 s", "\\boxed{9^{9^{9}}}", ("wrong_format", None)),
        ("ifeval", "wrong", "not followed: punctuation:no_comma", "a, b", ("wrong_format", None)),
        ("ifeval", "wrong", "not followed: keywords:existence", "a b",
         ("wrong_answer", "instruction")),
        ("ifeval", "wrong", "not followed: language:response_language", "hello",
         ("wrong_language", None)),
        ("choice", "wrong", "", "The answer is B, Paris.", ("wrong_answer", "knowledge")),
        ("math", "wrong", "", "It is -8 in the end.", ("wrong_answer", "unclear")),
        ("math", "gold_error", "empty", "8", ("verifier_failed", None)),
        ("math", "unparseable", "", "   ", ("no_answer", None)),
        ("json_schema", "unparseable", "", '{"a": 1', ("wrong_format", None)),
        ("json_schema", "unparseable", "", "a is one", ("no_answer", None)),
    ],
)  # fmt: skip
def test_what_a_grader_says_decides(reward, status, detail, response, expected):
    verdict = {"status": status, "pred": "", "detail": detail}
    found = classify(record(response, reward={"name": reward}, verdict=verdict))
    assert (found.kind, found.sort) == expected


@pytest.mark.parametrize(("pred", "sort"), [("-8", "slip"), ("80", "slip"), ("9", "unclear")])
def test_the_sign_or_a_power_of_ten_is_a_slip(pred, sort):
    verdict = {"status": "wrong", "pred": pred, "detail": ""}
    assert classify(record("So it is.", verdict=verdict)).sort == sort


@pytest.mark.parametrize(
    "text",
    [
        "I can't find 3 in the list, so there are 7 left. #### 7",
        "She cannot buy more than 4. As a language teacher she earns 5.",
        "It won't help to add them: 3 * 4 = 12.",
    ],
)
def test_what_only_sounds_like_a_refusal(text):
    assert refusal(text) == ""


def test_what_repeats_on_purpose_is_no_loop():
    table = "\n".join(f"{i} * {j} = {i * j}" for i in range(1, 13) for j in range(1, 13))
    assert loop(table) == ""
    assert loop("ha " * 20) == ""  # too short to be a loop
    assert "again" not in loop("ha " * 400) and loop("ha " * 400)


def test_a_translation_is_not_the_wrong_language():
    prompt = "Translate this sentence to Spanish for me, please: where is the station?"
    answer = "¿Dónde está la estación? " + "Es una frase muy corta que todos entienden. " * 3
    assert foreign(prompt, answer) == ""
    assert "es" in foreign(prompt.replace("Spanish", "plain words"), answer)
    assert foreign("How many are there?", "#### 5") == ""
