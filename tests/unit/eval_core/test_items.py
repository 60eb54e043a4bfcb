"""Items: what is read from Parquet, and the seeded stratified sample."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import DataError
from eval.items import choose, left, read_items


def _row(index: int, source: str = "a", level: str = "1") -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": f"question {index}"}],
        "data_source": source,
        "reward_model": {"style": "rule", "ground_truth": str(index)},
        "extra_info": {"id": f"row-{index}", "index": str(index), "level": level},
    }


def _file(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "test.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_rows_become_items_in_the_files_order(tmp_path: Path) -> None:
    items = read_items(_file(tmp_path, [_row(0), _row(1, "b")]))
    assert [(i.index, i.id, i.ground_truth, i.stratum) for i in items] == [
        (0, "row-0", "0", "a"),
        (1, "row-1", "1", "b"),
    ]
    assert items[1].prompt == [{"role": "user", "content": "question 1"}]


def test_rows_without_extra_info_are_named_by_their_number(tmp_path: Path) -> None:
    rows = [{k: v for k, v in _row(i).items() if k != "extra_info"} for i in range(2)]
    assert [item.id for item in read_items(_file(tmp_path, rows))] == ["0", "1"]


def test_a_sample_has_each_stratums_share(tmp_path: Path) -> None:
    rows = [_row(i, "a" if i < 70 else "b" if i < 90 else "c") for i in range(100)]
    items = read_items(_file(tmp_path, rows))
    chosen = choose(items, 10, seed=3)
    assert Counter(item.stratum for item in chosen) == {"a": 7, "b": 2, "c": 1}
    assert [i.index for i in chosen] == sorted({i.index for i in chosen})
    # 11 places: 7.7, 2.2, 1.1; the remaining one goes to the largest fraction.
    assert Counter(i.stratum for i in choose(items, 11, 3)) == {"a": 8, "b": 2, "c": 1}


def test_a_sample_is_that_of_its_seed(tmp_path: Path) -> None:
    items = read_items(_file(tmp_path, [_row(i) for i in range(100)]))
    ids = [item.id for item in choose(items, 20, seed=1)]
    assert ids == [item.id for item in choose(items, 20, seed=1)]
    assert ids != [item.id for item in choose(items, 20, seed=2)]
    assert choose(items, 100, seed=1) == items == choose(items, 101, seed=9)


def test_rows_may_be_left_out(tmp_path: Path) -> None:
    items = read_items(_file(tmp_path, [_row(i) for i in range(5)]))
    listed = tmp_path / "rows.json"
    listed.write_text("[0, 3, 99]")
    assert [item.index for item in left(items, listed)] == [1, 2, 4]
    for text, said in (
        ("[0, 1, 2, 3, 4]", "leaves none of 5 rows"),
        ('{"rows": []}', "no list of row numbers"),
        ("[0.5]", "no list of row numbers"),
        ("[0", "cannot read leave_out="),
    ):
        listed.write_text(text)
        with pytest.raises(DataError, match=said):
            left(items, listed)


def test_strata_may_be_a_part_of_a_column(tmp_path: Path) -> None:
    path = _file(tmp_path, [_row(i, level=str(i % 2)) for i in range(10)])
    chosen = choose(read_items(path, "extra_info.level"), 4, seed=1)
    assert Counter(item.stratum for item in chosen) == {"0": 2, "1": 2}
    with pytest.raises(DataError, match=r"extra_info\.nix"):
        read_items(path, "extra_info.nix")


def test_further_fields_of_a_row_reach_the_grader(tmp_path: Path) -> None:
    rows = [_row(0), _row(1)]
    rows[0]["extra_info"] |= {"category": None, "more": '{"rubric": "be kind", "parts": [1, 2]}'}
    rows[1]["extra_info"] |= {"category": "sums", "more": None}
    first, second = read_items(_file(tmp_path, rows), "extra_info.category")
    known = {"id": "row-0", "index": "0", "level": "1"}
    assert first.extra_info == {**known, "rubric": "be kind", "parts": [1, 2]}
    assert [first.stratum, second.stratum] == ["None", "sums"]


def test_what_cannot_be_used_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_items(tmp_path / "nix.parquet")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="as Parquet"):
        read_items(broken)
    with pytest.raises(DataError, match="no rows"):
        read_items(_empty(tmp_path))
    with pytest.raises(DataError, match="no column prompt"):
        read_items(_file(tmp_path, [{"messages": "x"}]))
    with pytest.raises(DataError, match="row 0: prompt"):
        read_items(_file(tmp_path, [{**_row(0), "prompt": "text"}]))
    with pytest.raises(DataError, match="ground_truth"):
        read_items(_file(tmp_path, [{**_row(0), "reward_model": {"style": "rule"}}]))


def _empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.parquet"
    pq.write_table(pa.Table.from_pylist([_row(0)]).slice(0, 0), path)
    return path
