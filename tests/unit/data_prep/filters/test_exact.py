"""Exact duplicates, conflicts, and what the public data really holds of them."""

from __future__ import annotations

import json

import pytest

from data_prep.duplicates.exact import ExactDuplicates, same_answer_form
from data_prep.filters.base import Finding, Row, concatenate, id_of


def judged(rows: list[Row], step: ExactDuplicates | None = None) -> dict[str, Finding]:
    step = step or ExactDuplicates()
    batches = [step.signatures(rows[i : i + 500]) for i in range(0, len(rows), 500)]
    return step.resolve(concatenate(batches), [id_of(row) for row in rows])


def reasons(rows: list[Row]) -> dict[str, str]:
    return {name: finding.reason for name, finding in judged(rows).items()}


def test_equal_rows_leave_the_first(make) -> None:
    rows = [
        make.rl("What is 3+4?", "7", "a"),
        make.rl("what is 3 + 4", "7.0", "b"),
        make.rl("What is 3-4?", "-1", "c"),
    ]
    found = judged(rows)
    assert {k: v.reason for k, v in found.items()} == {"b": "duplicate_exact"}
    assert found["b"].evidence == {"kept": "a"}


def test_conflicting_answers_are_reported_on_every_row_that_stays(make) -> None:
    rows = [
        make.rl("How many?", "7", "a"),
        make.rl("How many?", "8", "b"),
        make.rl("how many", "7", "c"),
    ]
    found = judged(rows)
    assert {k: (v.reason, v.action) for k, v in found.items()} == {
        "a": ("conflicting_answers", "flag"),
        "b": ("conflicting_answers", "flag"),
        "c": ("duplicate_exact", "drop"),
    }
    assert found["a"].evidence == {"answer_1": ["a", "c"], "answer_2": ["b"]}
    dropped = judged(rows, ExactDuplicates(conflicts="drop"))
    assert {v.action for v in dropped.values()} == {"drop"}


def test_two_responses_to_one_prompt_are_no_conflict(make) -> None:
    rows = [make.sft("Tell a joke", "One.", "a"), make.sft("Tell a joke", "Two.", "b")]
    assert judged(rows) == {}


def test_a_preference_and_its_opposite_conflict(make) -> None:
    rows = [make.pair("x", "y", id="a"), make.pair("y", "x", id="b"), make.pair("x", "z", id="c")]
    assert reasons(rows) == {"a": "conflicting_preference", "b": "conflicting_preference"}


def test_kinds_are_kept_apart(make) -> None:
    rows = [make.rl("How many?", "7", "a"), make.sft("How many?", "7", "b")]
    assert judged(rows) == {}


def test_the_same_task_in_another_order_is_a_duplicate(make) -> None:
    def countdown(numbers: list[int], target: int, id: str, split: str = "train") -> Row:
        gold = json.dumps({"numbers": numbers, "target": target})
        return make.rl(f"Using the numbers {numbers}, reach {target}.", gold, id, split)

    rows = [
        countdown([3, 5, 7], 22, "a"),
        countdown([7, 3, 5], 22, "b"),
        countdown([3, 5, 22], 7, "c"),
        countdown([9, 8], 17, "test/d", "test"),
        countdown([8, 9], 17, "e"),
    ]
    assert reasons(rows) == {"b": "duplicate_task", "e": "duplicate_held_out"}


def test_the_same_constraint_on_two_prompts_is_no_duplicate(make) -> None:
    rows = [
        make.rl("Write about cats.", '{"check": "no_comma"}', "a"),
        make.rl("Write about dogs.", '{"check": "no_comma"}', "b"),
    ]
    assert judged(rows) == {}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1,000", "1000.0", True),
        ("\\frac{1}{2}", "0.5", True),
        ("Paris", "paris.", True),
        ("(1,2)", "(2,1)", False),
        ("?", "!", False),
    ],
)
def test_answers_that_say_the_same(left: str, right: str, same: bool) -> None:
    assert (same_answer_form(left) == same_answer_form(right)) is same
