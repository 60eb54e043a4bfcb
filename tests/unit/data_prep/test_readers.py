"""Local files row by row: kinds, places in messages, memory.

1. The same rows come out of JSONL, JSON, CSV and Parquet, plain or gzipped, chunk borders anywhere.
2. What is broken is named with file and row, in one line; nothing is skipped.
3. Memory does not grow with the file.
"""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.errors import DataError
from data_prep import readers
from data_prep.readers import find_files, read_rows

ROWS = [{"q": 'a "b", {c}\n', "a": "1"}, {"q": "é ∑ 漢", "a": "]"}, {"q": "x" * 300, "a": "\\"}]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_same_rows_from_every_kind(tmp_path: Path, suffix: str, packed: str) -> None:
    texts = {
        ".jsonl": "\n".join(map(json.dumps, ROWS)),
        ".json": json.dumps(ROWS, indent=1),
        ".csv": "q,a\n" + "".join(
            ",".join('"{}"'.format(v.replace('"', '""')) for v in row.values()) + "\n"
            for row in ROWS
        ),
    }  # fmt: skip
    assert rows_of(write(tmp_path / f"a{suffix}{packed}", texts[suffix])) == ROWS
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == ROWS


def test_json_lines_under_a_json_name_and_a_mark_at_the_start(tmp_path: Path) -> None:
    lines = "\ufeff" + "\n".join(map(json.dumps, ROWS))
    assert rows_of(write(tmp_path / "a.json", lines)) == ROWS
    assert rows_of(write(tmp_path / "b.json", " [ ] ")) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=4), _JSON, max_size=4), max_size=6),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_json_whatever_the_chunk(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], chunk: int, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "chunks.json"
    path.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "JSON_CHUNK", chunk)
        assert rows_of(path) == rows


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", '[{"q": 1}, {"q": ', "not JSON after row 1"),
        ("a.json", '[{"q": 1}', "ends after row 1 without ]"),
        ("a.json", "[1, 2]", "row 1: got a JSON int, need an object"),
        ("a.json", "", None),
        ("a.csv", "q,a\n1,2,3\n", "row 1: has more fields than the header"),
        ("a.csv", "q,a\n1\n", "row 1: has fewer fields than the header"),
        ("a.csv", 'q,a\n1,"2\n', "not CSV after row 0"),
        ("a.txt", "x", "unknown kind of file"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, name: str, text: str, says: str | None) -> None:
    path = write(tmp_path / name, text)
    if says is None:
        assert rows_of(path) == []
        return
    with pytest.raises(DataError, match=says) as caught:
        rows_of(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_archive_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps([{"q": str(n)} for n in range(5000)]).encode())
    (tmp_path / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.json\.gz: unreadable after row \d+"):
        rows_of(tmp_path / "a.json.gz")


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str) -> None:
    """5 MB are read within 1 MB: a list of the rows would need more than the file has."""
    path, text = tmp_path / f"a{suffix}", "word " * 200
    row = json.dumps({"q": text})
    with path.open("w", encoding="utf-8") as file:
        file.write({".json": "[\n", ".jsonl": "", ".csv": "q\n"}[suffix])
        for n in range(5_000):
            end = ",\n" if suffix == ".json" and n < 4_999 else "\n"
            file.write((text if suffix == ".csv" else row) + end)
        file.write("]" if suffix == ".json" else "")
    assert path.stat().st_size > 5_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000 and peak < 1_000_000


def test_the_first_pattern_that_matches_is_taken(tmp_path: Path) -> None:
    for name in ("train-2.parquet", "train-1.parquet", "other.jsonl"):
        (tmp_path / name).touch()
    found = find_files(tmp_path, ("train.jsonl", "train-*.parquet", "*.jsonl"))
    assert [path.name for path in found] == ["train-1.parquet", "train-2.parquet"]
    assert find_files(tmp_path, ("test*",)) == []
    assert find_files(Path("elsewhere"), (f"{tmp_path}/o*.jsonl",)) == [tmp_path / "other.jsonl"]
