"""Numbers that lie in the data as text, as in every CSV file.

1. A text is read as the number that a person reads in it, however that is written.
2. One that says several numbers, or one that is not sure, costs its row and is counted.
3. What is no number of the data's is not made up: no digit, no number.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.judge import measure_of
from data_prep.numbers import number_in
from data_prep.sources.base import Drop
from data_prep.sources.open import open_source


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (".5", 0.5), ("-.5", -0.5), ("5e-1", 0.5), ("1e-3", 0.001), ("1E+2", 100), ("1,200", 1200),
        ("1,234,567.5", 1234567.5), ("50%", 0.5), ("94.00 %", 0.94), ("Level 3", 3), ("Level-3", 3),
        ("Level 3.", 3), ("level3", 3), ("+2", 2), ("\u22122", -2), (" 7. ", 7), ("Level ?", None),
        ("", None), ("...", None), ("n/a", None),
    ],
)  # fmt: skip
def test_a_text_is_its_number(text: str, number: float | None) -> None:
    assert number_in(text) == pytest.approx(number)


@pytest.mark.parametrize(
    "text", ["0,5", "1,20", "3/5", "1 2", "1-3", "1.2.3", "1e999", "12,34,567"]
)
def test_a_text_that_says_no_one_number_is_no_guess(text: str) -> None:
    with pytest.raises(ValueError):
        number_in(text)


def test_weights_of_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "kind: sft\nfiles: data.csv\nprompt: q\nresponse: a\nweight: w\n"
    )
    weights = [".5", "5e-1", '"1,200"', "", "2", '"0,5"', "-1"]
    lines = "".join(f"q{n},a,{weight}\n" for n, weight in enumerate(weights))
    (tmp_path / "data.csv").write_text(f"q,a,w\n{lines}")
    *rows, unsure, negative = open_source(tmp_path / "mine.yaml")
    assert [row.get("weight") for row in rows] == [0.5, 0.5, 1200, None, 2]
    assert isinstance(unsure, Drop) and unsure.reason == "bad_number" and "0,5" in unsure.detail
    assert isinstance(negative, Drop) and negative.reason == "bad_row"


def test_a_range_and_a_curriculum_read_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "kind: rl\nfiles: data.csv\nprompt: q\nanswer: a\nkeep: {n: {min: 1000}}\n"
    )
    (tmp_path / "data.csv").write_text('q,a,n\nx,1,"1,200"\ny,2,200\nz,3,1e4\n')
    kept = [not isinstance(item, Drop) for item in open_source(tmp_path / "mine.yaml")]
    assert kept == [True, False, True]
    values = [measure_of({"extra_info": {"d": text}}, "d") for text in (".5", "1e-3", "0,5")]
    assert values[:2] == [0.5, 0.001] and values[2] != values[2]
