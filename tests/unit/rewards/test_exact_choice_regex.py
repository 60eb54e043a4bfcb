r"""The `exact`, `choice` and `regex` rewards, on answers judged by hand.

1. Exact: white space, case and Unicode's compatible forms aside; any of several golds.
2. Choice: the ways to name an option, and those that name none or two.
3. Regex: the answer or the response, a group to compare, and a pattern that would never end.
4. An answer that is taken back is none, for each of them.
"""

from __future__ import annotations

import threading
import time

import pytest

from rewards.choice import grade_choice
from rewards.exact import grade_exact
from rewards.pattern import grade_regex
from rewards.registry import load_reward
from rewards.verdict import Verdict


@pytest.mark.parametrize(
    ("response", "gold", "status"),
    [
        ("#### New  York", "new york", "correct"),
        ("<answer>\uff30aris</answer>", "paris", "correct"),  # a full-width P
        ("The answer is **Paris**.", "Paris", "correct"),
        ("#### Paris, France", "Paris", "wrong"),
        ("Paris", "Paris", "unparseable"),
        ("####", "Paris", "unparseable"),
        ("#### b", ["a", "B"], "correct"),
        ("#### c", ["a", "B"], "wrong"),
        ("The answer is 5. No wait, that is wrong.", "5", "unparseable"),
        ("The answer is 5. No wait, 6", "5", "unparseable"),
        ("The answer is Paris. It is not wrong.", "Paris", "correct"),
        ("#### a", "", "gold_error"),
        ("#### a", [], "gold_error"),
        ("#### a", ["a", ""], "gold_error"),
        ("#### a", None, "gold_error"),
    ],
)
def test_exact(response: str, gold: object, status: str) -> None:
    assert grade_exact(response, gold).status == status


def test_exact_options() -> None:
    assert grade_exact("#### paris", "Paris", ignore_case=False).status == "wrong"
    assert grade_exact(" Paris ", "Paris", require_anchor=False).status == "correct"


CAPITALS = ["Berlin", "Paris", "A", "None of these"]


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{B}",
        r"\boxed{\text{B}}",
        r"\boxed{(b)}",
        "Answer: B",
        "The answer is (B).",
        "The answer is B) Paris.",
        "**Answer: B**",
        "#### B. Paris",
        "#### option B",
        "<answer>[B]</answer>",
        "<answer>paris</answer>",
        "The answer is B, because A is the capital of nothing",
        "The answer is A. Wait.\nThe answer is B.",
    ],
)
def test_a_choice_of_b(response: str) -> None:
    verdict = grade_choice(response, "B", choices=CAPITALS)
    assert (verdict.status, verdict.pred) == ("correct", "B")


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ("#### A", "wrong"),  # the letter of the first, not the text of the third
        ("#### D", "wrong"),
        ("#### E", "unparseable"),
        ("B", "unparseable"),
        ("#### A or B", "unparseable"),
        ("#### B, C", "unparseable"),
        ("#### B and D", "unparseable"),
        ("#### B/C", "unparseable"),
        ("#### B. Berlin", "unparseable"),  # a letter and another option's text
        ("#### Be careful", "unparseable"),
        ("####", "unparseable"),
        (r"\boxed{ABCD}", "unparseable"),
        ("The answer is B. No wait, C.", "unparseable"),
        (r"\boxed{B}, or maybe \text{A}. It is not right.", "correct"),
        ("Answer: B\nNo, that is wrong.", "unparseable"),
    ],
)
def test_no_choice_of_b(response: str, status: str) -> None:
    assert grade_choice(response, "B", choices=[*CAPITALS[:2], "Rome", "Oslo"]).status == status


def test_gold_as_number_letter_or_neither() -> None:
    assert grade_choice("#### B", 1, options_count=4).status == "correct"
    assert grade_choice("#### B", "2", options_count=4, first_index=1).status == "correct"
    assert grade_choice("#### B", "(b)", options_count=4).status == "correct"
    for gold in ("E", 4, "", "AB", None, True, 2.0):
        assert grade_choice("#### B", gold, options_count=4).status == "gold_error", gold
    assert grade_choice("#### B", "B", choices={"text": ["a", "b"], "label": ["A", "B"]}).acc == 1.0
    assert grade_choice("#### B", "B", choices={"B": "b", "A": "a"}).acc == 1.0
    assert grade_choice("#### B", "B", choices=7).status == "gold_error"


def test_a_pattern_from_gold_or_option() -> None:
    assert grade_regex("#### 2024-01-31", r"\d{4}-\d\d-\d\d").status == "correct"
    assert grade_regex("#### on 2024-01-31", r"\d{4}-\d\d-\d\d").status == "wrong"
    assert grade_regex("no anchor 1", r"\d", where="answer").status == "unparseable"
    taken_back = "#### 2024\nNo wait, that is wrong."
    assert grade_regex(taken_back, r"\d{4}").status == "unparseable"
    assert grade_regex(taken_back, r"\d{4}", where="response", full=False).status == "correct"
    assert grade_regex("a 1 b", r"\d", where="response", full=False).status == "correct"
    group = {"pattern": r".*id=(?P<answer>\w+).*", "where": "response"}
    assert grade_regex("x id=Ab y", "ab", ignore_case=True, **group).status == "correct"
    assert grade_regex("x id=Ab y", "ab", **group).status == "wrong"
    assert grade_regex("x", "", **group).status == "gold_error"


def test_what_is_no_pattern_is_the_rows_or_the_options_fault() -> None:
    assert grade_regex("#### a", "(").status == "gold_error"
    for gold in (None, "", 5, ["a"]):
        assert grade_regex("#### a", gold).status == "gold_error"
    verdict = load_reward("regex", {"pattern": "("}).judge("#### a", "a")
    assert verdict.status == "verifier_error" and "option pattern" in verdict.detail


def test_a_pattern_that_would_not_end_is_a_time_out_in_any_thread() -> None:
    said: list[Verdict] = []

    def judge() -> None:
        hostile = "#### " + "ab" * 40 + "!"
        said.append(grade_regex(hostile, r"(?:(?:ab|a|b)+)+c?(?<!x)$", limit_s=0.2))

    begun = time.process_time()
    thread = threading.Thread(target=judge)
    thread.start()
    thread.join(60)
    assert time.process_time() - begun < 3
    assert (said[0].status, said[0].score) == ("timeout", 0.0)
