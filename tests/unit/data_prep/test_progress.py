"""The progress line: rate, time left, and when it is written; row estimates of real files."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.progress import Progress, estimated_rows


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_rate_and_time_left() -> None:
    line = Progress("reading", 10_000, stream=io.StringIO()).line(2000, 10.0)
    assert line == "reading: 2,000 of 10,000 rows, 200/s, 0:40 left"
    line = Progress("reading", 8_000_000, estimate=True, stream=io.StringIO()).line(1000, 1.0)
    assert line == "reading: 1,000 of ~8,000,000 rows, 1,000/s, 2:13:19 left"
    line = Progress("reading", stream=io.StringIO()).line(5, 2.0)
    assert line == "reading: 5 rows, 2/s"


def test_a_terminal_is_written_five_times_a_second_and_left_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("data_prep.progress.time.monotonic", lambda: now[0])
    terminal, log = Terminal(), io.StringIO()
    both = [Progress("x", 1000, stream=terminal), Progress("x", 1000, stream=log)]
    for done in range(1000):  # 125 seconds
        now[0] += 0.125
        for progress in both:
            progress.show(done)
    for progress in both:
        progress.end()
    assert terminal.getvalue().count("x: ") == 500  # each second of the steps of 0.125 s
    assert terminal.getvalue().endswith("\r\x1b[K")
    lines = log.getvalue().splitlines()
    assert len(lines) == 4 and "\r" not in log.getvalue() and lines[0].startswith("x: 239 of")


def test_nothing_is_said_of_quick_work() -> None:
    terminal = Terminal()
    progress = Progress("x", 10, stream=terminal)
    progress.show(1)
    progress.end()
    assert terminal.getvalue() == ""


def test_rows_are_estimated_without_reading(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"n": n, "text": "x" * 50}) + "\n" for n in range(5000))
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({"n": range(77)}), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text("[]")
    assert abs(estimated_rows([tmp_path / "a.jsonl"]) - 5000) < 100
    assert abs(estimated_rows([tmp_path / "a.jsonl.gz"]) - 5000) < 100
    assert estimated_rows([tmp_path / "a.parquet", tmp_path / "a.parquet"]) == 154
    assert estimated_rows([tmp_path / "a.json"]) is None
    assert estimated_rows([tmp_path / "gone.jsonl"]) is None
