"""SFT through verl's own trainer on rows with loss weights, which its own class cannot read.

Preflight lets such rows pass though their `messages` is null, and two steps train on them from the
loss that random weights have. What the weights do to the loss, `tests/contract` shows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_prep.rows import sft_row
from data_prep.rows_schema import to_table

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]


def row(n: int) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": f"{n}+1="},
        {"role": "assistant", "content": f"#### {n + 1}"},
        {"role": "user", "content": "Again?"},
        {"role": "assistant", "content": "no" * 20, "weight": 0},
    ]
    common = {"data_source": "mine", "split": "train", "index": n, "licence": "MIT"}
    return dict(sft_row(messages=turns, id=f"mine/{n}", weight=0.5, **common))


def test_weighted_rows_train(
    run_job: Callable[..., Any], metrics_of: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(to_table("sft", [row(n) for n in range(64)]), path)
    words = ["run.name=weights", f"data.train_files={path}", f"data.val_files={path}"]
    words += ["data.max_length=128", "trainer.total_training_steps=2", "trainer.test_freq=2"]
    _, run = run_job("sft", words, tmp_path / "cwd")
    assert json.loads(run.preflight_file.read_text())
    first = metrics_of(run)[1]
    # 0.36 million random weights: near to the log of 262 tokens, whatever the initial spread adds.
    assert first["train/loss"] == pytest.approx(math.log(262), rel=0.25)
