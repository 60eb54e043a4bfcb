"""How long `data_prep.check` takes for 100,000 rows, beside reading them alone.

The ratio says what checking costs over `pyarrow`'s own conversion to Python; the seconds are
reported against the promise of 10.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_prep.check import check
from data_prep.rows import Row, rl_row, sft_row
from data_prep.writer import ParquetSink

pytestmark = pytest.mark.bench
ROWS, PROMISED = 100_000, 10.0


def question(n: int) -> str:
    return f"At the caf\u00e9 Ann buys {n} cakes for {n % 17} guests. How many has each? " * 3


def rl(n: int) -> Row:
    return dict(
        rl_row(
            prompt=[{"role": "user", "content": question(n)}], ground_truth=str(n),
            data_source="openai/gsm8k", ability="math", id=f"a/train/{n}", split="train", index=n,
            licence="MIT",
        )
    )  # fmt: skip


def sft(n: int) -> Row:
    chat = [
        {"role": "user", "content": question(n)},
        {"role": "assistant", "content": f"{n} \u00f7 {n % 17 + 1}, so: " + question(n)},
    ] * 2
    return dict(
        sft_row(
            messages=chat, data_source="s", id=f"s/{n}", split="train", index=n, licence="MIT",
            weight=0.5 if n % 2 else None,
        )
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "make"), [("rl", rl), ("sft", sft)])
def test_100k_rows(kind: str, make: object, tmp_path: Path, aims: Any) -> None:
    path = tmp_path / "train.parquet"
    with ParquetSink(path, kind) as sink:  # type: ignore[arg-type]
        for n in range(ROWS):
            sink.add(make(n))  # type: ignore[operator]
    start = time.perf_counter()
    for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
        batch.to_pylist()
    reading = time.perf_counter() - start
    start = time.perf_counter()
    report = check([path])
    took = time.perf_counter() - start
    assert (report.errors, report.rows) == (0, {str(path): ROWS})
    print(json.dumps({"kind": kind, "check_s": round(took, 2), "over_reading": took / reading}))
    aims.report(f"checking {ROWS} rows, {kind}", took, most=PROMISED, unit="s")
