"""How long a comparison of 10,000 items takes, against reading its records alone."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from eval.comparison.build import Options, build
from eval.comparison.read import read_all
from eval.records import read_records

pytestmark = pytest.mark.bench
ITEMS = 10_000
FACTOR = 8.0  # of the time that reading takes; measured 3.4


def _write(path: Path, label: str, share: float, seed: int) -> None:
    generator = random.Random(seed)
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8") as file:
        for index in range(ITEMS):
            right = generator.random() < share
            record = {
                "task": "t", "label": label, "index": index, "id": f"t/{index}", "sample": 0,
                "data_source": "t", "prompt": [{"role": "user", "content": "word " * 60}],
                "ground_truth": str(index), "response": "thinking " * 150, "tokens": 170,
                "prompt_tokens": 70, "finish_reason": "stop", "seconds": 0.1,
                "stratum": str(index % 5), "reward": {"name": "math"},
                "verdict": {"status": "correct" if right else "wrong", "acc": float(right),
                            "pred": "1", "detail": "", "components": {}},
            }  # fmt: skip
            file.write(json.dumps(record) + "\n")


def test_a_comparison_costs_little_more_than_reading(tmp_path: Path, aims: Any) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(folders):
        _write(folder / "tasks" / "t" / "records.jsonl", folder.name, 0.6 + 0.03 * seed, seed)
    start = time.perf_counter()
    for folder in folders:
        read_records(folder / "tasks" / "t" / "records.jsonl")
    reading = time.perf_counter() - start
    start = time.perf_counter()
    found = build(read_all(folders), Options())
    comparing = time.perf_counter() - start
    print(f"\nreading {reading:.2f} s, reading and comparing {comparing:.2f} s: "
          f"{comparing / reading:.1f} times")  # fmt: skip
    assert found.content["pairs"][0]["tasks"]["t"]["n"] == ITEMS
    what = f"comparing {ITEMS} items, of the time to read them"
    aims.ratio(what, comparing / reading, most=FACTOR)
