"""IFBench's rows: each of the published ones can be graded; impossible arguments are refused.

1. All 300 rows ask for the 58 constraints alone, and give them what they need.
2. Arguments that no response can follow are a defect of the row.
3. A row is judged strictly and loosely as IFEval's are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewards.ifeval.arguments import GoldProblem
from rewards.ifeval.grade import grade_ifeval
from rewards.ifeval.ifbench import IDS
from rewards.ifeval.instructions import IFEVAL_IDS, KINDS, instruction
from rewards.ifeval.rows import instructions

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "ifbench" / "IFBench_test.jsonl"


@pytest.mark.skipif(not DATA.is_file(), reason="no shared data beside the checkout")
def test_every_published_row_can_be_graded() -> None:
    rows = [json.loads(line) for line in DATA.read_text(encoding="utf-8").split("\n") if line]
    asked = [one.id for row in rows for one in instructions(row)]
    assert (len(rows), len(asked)) == (300, 344)
    assert set(asked) == IDS
    assert {grade_ifeval("A response.", row).status for row in rows} <= {"correct", "wrong"}


def test_there_are_58_and_none_is_ifevals() -> None:
    assert len(IDS) == 58
    assert not IDS & IFEVAL_IDS
    assert KINDS.keys() >= IDS | IFEVAL_IDS


@pytest.mark.parametrize(
    ("id", "arguments", "said"),
    [
        ("count:word_count_range", {"min_words": 9, "max_words": 8}, "at least 9 and at most 8"),
        ("count:words_japanese", {"N": 0}, "counts from 1"),
        (
            "repeat:repeat_span",
            {"prompt_to_repeat": "a b", "n_start": 1, "n_end": 2},
            "1 to 2 of 2",
        ),
        (
            "repeat:repeat_span",
            {"prompt_to_repeat": "a b", "n_start": 1, "n_end": 0},
            "1 to 0 of 2",
        ),
        ("ratio:stop_words", {"percentage": 101}, "percentage from 0 to 100"),
        ("ratio:stop_words", {"percentage": "9"}, "percentage from 0 to 100"),
        ("format:options", {"options": "yes"}, "at least two options"),
        ("format:list", {"sep": " "}, "not empty"),
    ],
)
def test_a_row_that_no_response_can_follow_is_refused(id: str, arguments: Any, said: str) -> None:
    with pytest.raises(GoldProblem, match=said):
        instruction(id, arguments)


def test_a_row_of_two_constraints_strictly_and_loosely() -> None:
    gold = {
        "instruction_id_list": ["format:no_whitespace", "words:start_verb"],
        "kwargs": [{"N": None}, {}],
    }
    verdict = grade_ifeval("Sure:\nWrite", gold)
    assert verdict.pred == "00"
    assert verdict.components == {
        **{"strict_all": 0.0, "strict_share": 0.0, "loose_all": 1.0, "loose_share": 1.0},
    }
    assert grade_ifeval("Write", gold).status == "correct"
