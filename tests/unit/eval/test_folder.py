"""An evaluation read from a single records file: its numbers are those of the evaluation."""

from __future__ import annotations

import json
from pathlib import Path

from eval.folder import read_evaluation


def test_several_samples_are_not_read_as_so_many_items(tmp_path: Path) -> None:
    records = [
        {"task": "t", "label": "m", "index": i, "id": str(i), "sample": sample, "tokens": 3,
         "seconds": 0.1, "finish_reason": "stop", "response": "x", "cluster": f"c{i // 5}",
         "verdict": {"status": "correct" if i < 30 else "wrong", "acc": 1.0, "pred": "",
                     "detail": ""}}
        for i in range(50)
        for sample in range(4)
    ]  # fmt: skip
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    [found] = read_evaluation(file).results.values()
    assert (found["n_items"], found["samples"], found["n"]) == (50, 4, 200)
    assert (found["clusters"], found["accuracy"], found["metric"]) == (10, 0.6, "accuracy")
