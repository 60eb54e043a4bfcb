"""Whatever decides the rows is an input: change it, and what was made of it is refused.

1. Each data file counts, also where two have one name; so do the declaration, the code that it
   names, the files of filters, and in a plain conversion the code, its data and its reward.
2. What decides no row is no input, and the same inputs in another place are the same.
3. Half-made work of other inputs is not gone on with, and nothing of it is kept in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conf.errors import DataError
from data_prep import work
from data_prep.inputs import data_names, files_at, named_files, tail_names
from data_prep.prepare import prepare
from data_prep.rows_schema import from_table

DECLARATION = """
kind: rl
licence: MIT
about: mine
files: {train: "g/*/data.jsonl"}
template: "Solve: {q}"
answer: a
code: adapt.py:twice
reward: grade.py:grade
reward_options: {known: KNOWN}
"""
ADAPTER = """
from data_prep.sources.fields import mapped

def twice(declared, kind, raw, where):
    made = mapped(declared, raw, where)
    made.answer = str(2 * raw["a"])
    return made
"""
FILTER = """
from data_prep.filters.base import RowFilter, text_of

class Short(RowFilter):
    name = "short"
    reasons = {"short": "it is short"}
    most: int = 0

    def judge_row(self, row):
        return self.found("short") if len(text_of(row, "prompt")) < self.most else None
"""


def lay(folder: Path) -> dict[str, Any]:
    """A declared source of two files of one name, its adapter, a filter and a list of words."""
    for name in ("a", "b"):
        (folder / "g" / name).mkdir(parents=True)
        line = json.dumps({"q": f"question {name}", "a": 1})
        (folder / "g" / name / "data.jsonl").write_text(line + "\n")
    (folder / "mine.yaml").write_text(DECLARATION.replace("KNOWN", f"{folder}/known.txt"))
    (folder / "grade.py").write_text("def grade(response, gold, known):\n    return 1.0\n")
    (folder / "known.txt").write_text("2\n")
    (folder / "adapt.py").write_text(ADAPTER)
    (folder / "words.txt").write_text("darn\n")
    (folder / "filters.py").write_text(FILTER)
    filters = {
        f"{folder}/filters.py:Short": {},
        "toxic": {"words": str(folder / "words.txt")},
    }
    return {"source": str(folder / "mine.yaml"), "filters": filters, "decontaminate": False}


def swap(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return edit


EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "first file": (swap("g/a/data.jsonl", "question", "riddle"), "mine/a/data.jsonl differs"),
    "second file": (swap("g/b/data.jsonl", "question", "riddle"), "mine/b/data.jsonl differs"),
    "a file less": (
        lambda f: (f / "g/b/data.jsonl").unlink(),
        "mine/a/data.jsonl is gone, and 2 more",
    ),
    "template": (swap("mine.yaml", "Solve:", "Please solve:"), "mine/declaration differs"),
    "licence": (swap("mine.yaml", "MIT", "CC-BY-4.0"), "mine/declaration differs"),
    "adapter": (swap("adapt.py", "2 *", "30 *"), "mine/adapt.py differs"),
    "reward": (swap("grade.py", "1.0", "2.0  # right"), "mine/grade.py differs"),
    "what its options name": (swap("known.txt", "2", "3"), "mine/known.txt differs"),
    "filter": (
        swap("filters.py", "most: int = 0", "most: int = 1"),
        "filters: filters.py differs",
    ),
    "words": (swap("words.txt", "darn", "question"), "filters: words.txt differs"),
}


@pytest.mark.parametrize("name", EDITS)
def test_each_thing_that_decides_the_rows_is_noticed(tmp_path: Path, name: str) -> None:
    spec = {**lay(tmp_path), "out": tmp_path / "out"}
    assert prepare(spec)[1] and not prepare(spec)[1]
    edit, says = EDITS[name]
    edit(tmp_path)
    with pytest.raises(DataError, match=says) as error:
        prepare(spec)
    assert "have changed since" in str(error.value)
    assert prepare({**spec, "out": tmp_path / "other"})[1]


def test_what_decides_no_row_is_no_input(tmp_path: Path) -> None:
    spec = {**lay(tmp_path), "out": tmp_path / "out"}
    made = prepare(spec)
    swap("mine.yaml", "about: mine", "about: words  # and more")(tmp_path)
    assert prepare(spec) == (made[0], False)


def test_the_same_inputs_elsewhere_are_the_same(tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        folder = tmp_path / name
        lay(folder)
        swap("mine.yaml", f"{folder}/known.txt", "2")(folder)  # the place that it says itself
        source = {"name": str(folder / "mine.yaml"), "local": str(folder)}
        out = folder / "out"
        manifest, _ = prepare({"source": [source], "decontaminate": False, "out": out})
        found.append((manifest.inputs, (out / "train.parquet").read_bytes()))
        assert set(manifest.inputs) == {
            "mine/a/data.jsonl", "mine/b/data.jsonl", "mine/declaration", "mine/adapt.py",
            "mine/grade.py",
        }  # fmt: skip
    assert found[0] == found[1]


def test_work_on_other_inputs_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {**lay(tmp_path), "out": tmp_path / "out"}

    def cut(folder: Path, out: Path) -> None:
        raise OSError(5, "cut")

    with monkeypatch.context() as patch:
        patch.setattr("data_prep.curate.publish", cut)
        with pytest.raises(DataError, match="cut"):
            prepare(spec)
    assert work.work_path(tmp_path / "out").exists()  # all is read and judged
    for name in ("first file", "template", "adapter", "words"):
        EDITS[name][0](tmp_path)
    prepare(spec)
    rows = from_table("rl", pq.read_table(tmp_path / "out" / "train.parquet"))
    assert [row["prompt"][0]["content"] for row in rows] == [
        "Please solve: riddle a", "Please solve: question b",
    ]  # fmt: skip
    assert {row["reward_model"]["ground_truth"] for row in rows} == {"30"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "findings.jsonl").open()]
    assert [line["id"] for line in lines] == ["mine/train/1"]  # of `question`, flagged


@pytest.mark.parametrize("word", ["eval_sets", "folders"])
def test_evaluation_sets_that_were_named(tmp_path: Path, word: str) -> None:
    spec = {**lay(tmp_path), "decontaminate": True, "out": tmp_path / "out"}
    sets = tmp_path / "sets" / "gsm8k"
    sets.mkdir(parents=True)
    line = json.dumps({"question": "Another question altogether?", "answer": "#### 1"}) + "\n"
    (sets / "test.jsonl").write_text(line)
    named = {word: str(tmp_path / "sets")}
    if word == "folders":
        named = {"filters": {**spec["filters"], "decontamination": {word: [named[word]]}}}
    assert prepare({**spec, **named})[1] and not prepare({**spec, **named})[1]
    swap("sets/gsm8k/test.jsonl", "Another question", "Some question")(tmp_path)
    with pytest.raises(DataError, match="evaluation sets differs"):
        prepare({**spec, **named})


PLAIN = """
from pathlib import Path

def rows(spec):
    told = Path(spec.options["more"]).read_text()
    for path in sorted(spec.local.rglob("data.txt")):
        for split in ("train", "test"):
            yield {"split": split, "prompt": split + path.read_text() + told, "gold": "1"}
"""
PLAIN_EDITS = {
    "raw/a/data.txt": "a/data.txt differs",
    "raw/b/data.txt": "b/data.txt differs",
    "mine.py": "mine.py differs",
    "more.txt": "more.txt differs",
    "grade.py": "grade.py differs",
}


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("name", PLAIN_EDITS)
def test_a_source_in_code(tmp_path: Path, name: str, staged: bool) -> None:
    for part in ("a", "b"):
        (tmp_path / "raw" / part).mkdir(parents=True)
        (tmp_path / "raw" / part / "data.txt").write_text(part)
    (tmp_path / "mine.py").write_text(PLAIN)
    (tmp_path / "more.txt").write_text("!")
    (tmp_path / "grade.py").write_text("def grade(response, gold):\n    return 1.0\n")
    spec = {
        "source": f"{tmp_path}/mine.py:rows", "local": str(tmp_path / "raw"),
        "reward": f"1.0*{tmp_path}/grade.py:grade", "decontaminate": False,
        "options": {"more": str(tmp_path / "more.txt")}, "out": tmp_path / "raw" / "out",
    }  # fmt: skip
    if staged:
        spec["kinds"] = "rl"
    assert prepare(spec)[1]
    assert not prepare(spec)[1]  # the folder made within `local` is none of the data
    with (tmp_path / name).open("a") as file:
        file.write("\n# changed\n")
    with pytest.raises(DataError, match=PLAIN_EDITS[name]):
        prepare(spec)


def test_names_say_no_more_of_a_path_than_is_needed(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("x/a/d.jsonl", "x/b/d.jsonl", "x/e.jsonl"))
    assert list(data_names([one, two, one])) == ["a/d.jsonl", "b/d.jsonl"]
    assert list(data_names([one, two, three])) == ["a/d.jsonl", "b/d.jsonl", "e.jsonl"]
    assert list(data_names([two])) == ["d.jsonl"] and data_names([]) == {}
    assert set(data_names([Path("/p/d.jsonl"), Path("/q/e.jsonl")])) == {"d.jsonl", "e.jsonl"}
    assert list(tail_names([one, three])) == ["d.jsonl", "e.jsonl"]
    assert list(tail_names([one, two])) == ["a/d.jsonl", "b/d.jsonl"]


def test_files_that_names_and_options_spell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "my b.py", "c.txt", ".hidden"):
        Path(name).write_text("")
    Path("model").mkdir()
    said = ["0.5*a.py:f + 'my b.py:g' if none.py:h", {"x": ["c.txt", 3, None, "\0", "y" * 9999]}]
    assert {path.name for path in named_files(said)} == {"a.py", "my b.py", "c.txt"}
    assert list(named_files({"model": "model", "other": "model"})) == [Path("model")]
    assert [path.name for path in files_at(tmp_path)] == ["a.py", "c.txt", "my b.py"]
    assert [path.name for path in files_at(Path("*.py"))] == ["a.py", "my b.py"]
