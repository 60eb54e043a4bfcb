"""Raw examples in the manifest: each counts once, whatever kinds and splits read it.

1. Of a file that all splits read, each example counts where it went; one that none has counts once.
2. An example of two kinds is one example; what it lacks for one of them is told.
3. An interrupted preparation that goes on has the same counts.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from data_prep.intake import Tally
from data_prep.manifest import SourceEntry
from data_prep.parts import Read, load_read, save_read
from data_prep.prepare import prepare

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def entry(folder: Path, text: str, rows: list[dict[str, Any]], **words: Any) -> SourceEntry:
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(text)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"source": str(folder / "mine.yaml"), "decontaminate": False, "out": folder / "out"}
    manifest, _ = prepare({**spec, **words})
    assert manifest.sources is not None
    return manifest.sources["mine"]


def test_a_file_that_holds_all_splits(tmp_path: Path) -> None:
    text = (
        "kind: rl\nfiles: {train: data.jsonl, test: data.jsonl}\nprompt: q\nanswer: a\n"
        "keep_in: {train: {n: {min: 7}}, test: {n: {min: 3, max: 5}}}\n"
    )
    rows = [{"q": f"q{n}", "a": "" if n in (4, 9) else "1", "n": n} for n in range(10)]
    found = entry(tmp_path / "mine", text, rows)
    # 7 8 to train, 3 5 to test; 9 and 4 have no answer; 0 1 2 6 belong to no split.
    assert found.examples_kept == {"train": 2, "test": 2}
    assert found.examples_dropped == {"no_answer": 2, "other_split": 4}
    assert found.examples_in == {"train": 2 + 1 + 4, "test": 2 + 1}
    assert sum(found.examples_in.values()) == len(rows)


def test_an_example_of_two_kinds_is_one(tmp_path: Path) -> None:
    text = "kind: [rl, sft]\nfiles: data.jsonl\nprompt: q\nanswer: a\nresponse: r\n"
    rows = [
        {"q": "both", "a": "1", "r": "one"},
        {"q": "rl", "a": "2", "r": ""},
        {"q": "sft", "a": None, "r": "three"},
        {"q": "none", "a": None, "r": ""},
    ]
    found = entry(tmp_path / "mine", text, rows)
    assert found.examples_in == {"train": 4} and found.examples_kept == {"train": 3}
    assert found.examples_dropped == {"no_answer": 1}
    assert found.examples_lacking == {"sft: empty_answer": 1, "rl: no_answer": 1}
    assert found.rows_in == {"train": 2, "sft_train": 2}
    alone = entry(tmp_path / "alone", text, rows, kinds="sft")
    assert alone.examples_dropped == {"empty_answer": 2} and alone.examples_lacking == {}


def test_counts_outlast_an_interruption(tmp_path: Path) -> None:
    tally = Tally(*map(Counter, ({"train": 3}, {"train": 2}, {"x": 1}, {"sft: y": 1})))
    save_read(tmp_path, Read(tally))
    assert load_read(tmp_path) == Read(tally)


@pytest.mark.parametrize(
    ("name", "came"), [("mbpp", (374, 500, 974)), ("mbpp_sanitized", (120, 257, 427))]
)
def test_mbpp_has_as_many_examples_as_lines(
    tmp_path: Path, name: str, came: tuple[int, int, int]
) -> None:
    if not (DATA / "mbpp").is_dir():
        pytest.skip("the shared data are not here")
    source = {"name": name, "local": str(DATA / "mbpp")}
    manifest, _ = prepare({"source": [source], "decontaminate": False, "out": tmp_path / "out"})
    train, test, all_of_them = came
    assert manifest.examples_kept == {"train": train, "test": test}
    assert sum(manifest.examples_in.values()) == all_of_them
    assert manifest.dropped == {"other_split": all_of_them - train - test}
