"""Many sources into one set of files.

1. Stages and a plain conversion write the same Parquet bytes.
2. Every row is accounted for: in = kept + dropped, per source; each drop has its line of evidence.
3. The mix in the files is the mix in the manifest, exactly, and the seed decides it.
4. Cut off at any write, the next attempt ends in the same bytes; nothing half-written is seen.
5. One question under two templates is one question.
6. A plain conversion reads its source once, whatever order its splits come in.
7. In stages, too, training rows are compared with test questions by n-grams.
8. Shards, JSON lines, dry runs, curricula, licences, and what is refused.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conf.errors import ConfigError, DataError
from data_prep import work
from data_prep.manifest import Manifest, read_manifest
from data_prep.prepare import main, prepare
from data_prep.rows_schema import from_table

SOURCE = """
def rows(spec):
    for split, n in (("train", spec.options["n"]), ("test", 10)):
        for i in range(n):
            text = f"{spec.options['word']} {split} {i} " + "x" * (i * 7 % 50)
            yield {"split": split, "prompt": text, "gold": str(i), "answer": f"#### {i}"}
"""
FILTERS = """
from data_prep.filters.base import Finding, RowFilter, text_of

class Odd(RowFilter):
    name = "odd"
    reasons = {"odd": "its number is odd", "seven": "it has a seven"}
    flag_sevens: bool = False

    def judge_row(self, row):
        number = text_of(row, "prompt").split()[2]
        if int(number) % 2:
            return self.found("odd", f"{number} is odd")
        return Finding("seven", number, "flag") if self.flag_sevens and "7" in number else None
"""


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    """Two sources of a user's own, of 300 and 40 training examples."""
    found = []
    for name, n in (("big", 300), ("small", 40)):
        (tmp_path / f"{name}.py").write_text(SOURCE)
        options = {"options": {"n": n, "word": name}, "licence": "MIT", "ability": "math"}
        found.append({"name": f"{tmp_path / name}.py:rows", "options": options})
    (tmp_path / "mine.py").write_text(FILTERS)
    return {"source": found, "decontaminate": False}


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def rows(folder: Path, name: str = "train") -> list[dict[str, Any]]:
    kind = name.rpartition("_")[0] or "rl"
    found = []
    for path in sorted(folder.glob(f"{name}*.parquet")):
        found += from_table(kind, pq.read_table(path))  # type: ignore[arg-type]
    return found


def origin(row: dict[str, Any]) -> str:
    return (row.get("extra_info") or row)["id"].split("/")[0]


def test_stages_write_the_bytes_of_a_plain_conversion(tmp_path: Path) -> None:
    sizes = {"train_size": 5000, "test_size": 50, "sft_size": 20, "sft_test_size": 5}
    spec = {"source": "arithmetic", "max_operand": 120, **sizes, "seed": 3}
    prepare({**spec, "out": tmp_path / "plain"})
    prepare({**spec, "out": tmp_path / "staged", "decontaminate": False})
    plain, staged = digests(tmp_path / "plain"), digests(tmp_path / "staged")
    assert plain.keys() == staged.keys() and len(plain) == 5
    assert {n for n in plain if plain[n] != staged[n]} == {"manifest.json"}


def test_every_row_is_accounted_for(tmp_path: Path, sources: dict[str, Any]) -> None:
    filters = {f"{tmp_path / 'mine'}.py:Odd": {"flag_sevens": True}}
    manifest, _ = prepare({**sources, "filters": filters, "out": tmp_path / "out"})
    assert manifest.sources is not None and manifest.flagged is not None
    entry = manifest.sources["big"]
    assert entry.rows_in == {"train": 300, "test": 10, "sft_train": 300, "sft_test": 10}
    assert entry.rows_kept == {"train": 150, "test": 10, "sft_train": 150, "sft_test": 10}
    assert entry.rows_dropped == {"odd": 300} and entry.rows_flagged == {"odd": 10, "seven": 30}
    for one in manifest.sources.values():
        assert sum(one.rows_in.values()) == sum(one.rows_kept.values()) + sum(
            one.rows_dropped.values()
        )
        assert sum(one.licences.values()) == sum(one.rows_in.values())
    # of big, in RL and in SFT rows: 70, 72, …, 78 and 170, …, 178 and 270, …, 278
    assert manifest.flagged == {"seven": 2 * 15, "odd": 2 * 10}  # test rows stay
    lines = [json.loads(line) for line in (tmp_path / "out" / "findings.jsonl").open()]
    assert Counter(line["reason"] for line in lines if line["action"] == "drop") == manifest.dropped
    assert Counter(line["reason"] for line in lines if line["action"] == "flag") == manifest.flagged
    dropped = {line["id"] for line in lines if line["action"] == "drop"}
    written = {row["extra_info"]["id"] for row in rows(tmp_path / "out")}
    assert not dropped & written and len(written) == 170
    assert manifest.files["findings.jsonl"].rows == len(lines)


def test_a_filter_that_is_named_for_it_drops_test_rows(
    tmp_path: Path, sources: dict[str, Any]
) -> None:
    odd = f"{tmp_path / 'mine'}.py:Odd"
    spec = {**sources, "filters": odd, "test_filters": [odd], "out": tmp_path / "out"}
    assert prepare(spec)[0].dropped == {"odd": 2 * (155 + 25)}


def test_the_mix_is_what_the_manifest_says(tmp_path: Path, sources: dict[str, Any]) -> None:
    mix = {"ratio": {"big": 0.75, "small": 0.25}, "total": 240, "epochs": {"small": 2}}
    manifest, _ = prepare({**sources, "mix": mix, "out": tmp_path / "a"})
    assert manifest.mix is not None
    portions = manifest.mix["train"].sources
    assert (portions["big"].taken, portions["small"].taken) == (180, 60)
    assert portions["small"].epochs == 1.5 and portions["big"].share == 0.75
    made = rows(tmp_path / "a")
    assert Counter(map(origin, made)) == {"big": 180, "small": 60}
    uses = Counter(row["extra_info"]["id"] for row in made if origin(row) == "small")
    assert Counter(uses.values()) == {1: 20, 2: 20}
    runs = sum(origin(a) != origin(b) for a, b in itertools.pairwise(made))
    assert 60 < runs < 120  # shuffled: 239 × 2 × 3/4 × 1/4 is about 90
    prepare({**sources, "mix": mix, "out": tmp_path / "b"})
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    prepare({**sources, "mix": mix, "seed": 2, "out": tmp_path / "c"})
    assert digests(tmp_path / "a")["train.parquet"] != digests(tmp_path / "c")["train.parquet"]
    assert [r["extra_info"]["id"] for r in rows(tmp_path / "a", "test")] == [
        f"{name}/test/{n}" for name in ("big", "small") for n in range(10)
    ]


def test_shards_and_lines_hold_the_same_rows(tmp_path: Path, sources: dict[str, Any]) -> None:
    spec = {**sources, "mix": {}, "kinds": ["sft"]}
    prepare({**spec, "out": tmp_path / "one"})
    manifest, _ = prepare({**spec, "out": tmp_path / "many", "shard_rows": 100, "jsonl": True})
    names = [f"sft_train-{n:05}-of-00004" for n in range(4)]
    expected = {
        f"{name}.{suffix}" for name in [*names, "sft_test"] for suffix in ("parquet", "jsonl")
    }
    assert set(manifest.files) == expected
    assert [manifest.files[f"{name}.parquet"].rows for name in names] == [100, 100, 100, 40]
    assert rows(tmp_path / "many", "sft_train") == rows(tmp_path / "one", "sft_train")
    lines = [json.loads(line) for line in (tmp_path / "many" / f"{names[3]}.jsonl").open()]
    assert lines == rows(tmp_path / "one", "sft_train")[300:]


@pytest.mark.parametrize("curriculum", ["length", "-length", ["small", "big"]])
def test_curriculum(tmp_path: Path, sources: dict[str, Any], curriculum: Any) -> None:
    spec = {**sources, "mix": {"curriculum": curriculum}, "kinds": ["sft"]}
    prepare({**spec, "out": tmp_path / "out"})
    made = rows(tmp_path / "out", "sft_train")
    assert len(made) == 340
    if isinstance(curriculum, list):
        assert list(map(origin, made)) == ["small"] * 40 + ["big"] * 300
        assert [r["index"] for r in made[:40]] != sorted((r["index"] for r in made[:40]), key=int)
        return
    lengths = [sum(len(m["content"]) for m in row["messages"]) for row in made]
    assert lengths == sorted(lengths, reverse=curriculum.startswith("-"))


def test_a_curriculum_by_a_field_that_nobody_has_is_refused(
    tmp_path: Path, sources: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match=r"train: .* no row of big has a number in that field"):
        prepare({**sources, "mix": {"curriculum": "difficulty"}, "out": tmp_path / "out"})


def test_a_dry_run_goes_beside_and_is_small(
    tmp_path: Path, sources: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.json").write_text(json.dumps({**sources, "mix": {"total": 300}}))
    words = ["--spec", str(tmp_path / "spec.json"), f"out={tmp_path / 'out'}"]
    main([*words, "--dry-run", "dry_run=8"])
    assert "train 8, test 8, sft_train 8, sft_test 8" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "out-dry-run")
    assert manifest.sources is not None and manifest.sources["big"].rows_in["train"] == 32
    main(words)
    assert read_manifest(tmp_path / "out").files["train.parquet"].rows == 300


def test_licences(tmp_path: Path, sources: dict[str, Any]) -> None:
    assert prepare({**sources, "commercial": True, "out": tmp_path / "a"})[1]
    sources["source"][1]["options"]["licence"] = "CC-BY-NC-4.0"
    with pytest.raises(DataError, match=r"small \(CC-BY-NC-4.0: non-commercial\)"):
        prepare({**sources, "commercial": True, "out": tmp_path / "b"})
    with pytest.raises(DataError, match="do not permit"):
        prepare({**sources["source"][1]["options"], "source": sources["source"][1]["name"],
                 "commercial": True, "out": tmp_path / "b"})  # fmt: skip
    assert not list(tmp_path.glob("b*[!y]")) and not list(tmp_path.glob(".b*"))


class Cut(OSError):
    """Stands for a process that dies: nothing after it runs."""


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.full)])
def test_cut_off_at_any_write_it_goes_on_to_the_same_bytes(
    tmp_path: Path, sources: dict[str, Any], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    filters = [f"{tmp_path / 'mine'}.py:Odd", "exact_duplicates"]
    spec = {**sources, "filters": filters, "mix": {}, "kinds": ["rl"]}
    reference, _ = prepare({**spec, "out": tmp_path / "whole"})
    real = Path.replace
    calls = {"left": 0, "made": 0}

    def counted(self: Path, target: Any) -> Path:
        if calls["left"] == 0:
            raise Cut(5, "cut")
        calls["left"] -= 1
        calls["made"] += 1
        return real(self, target)

    monkeypatch.setattr(Path, "replace", counted)
    made: list[int] = []
    for cut_at in range(0, 100, step):
        out = tmp_path / f"out{cut_at}"
        calls.update(left=cut_at, made=0)
        try:
            prepare({**spec, "out": out})
        except DataError as error:
            assert "cut" in str(error) and not out.exists()
        else:
            break  # it needs no more writes than this
        calls.update(left=10**9, made=0)
        manifest, written = prepare({**spec, "out": out})
        made.append(calls["made"])
        assert written and manifest == reference
        assert digests(out) == digests(tmp_path / "whole")
        assert not work.work_path(out).exists()
    assert len(made) * step >= 19  # key, parts, verdicts, signatures
    assert made == sorted(made, reverse=True) and made[-1] < made[0]  # what is done stays done


def test_two_at_once_are_refused(tmp_path: Path, sources: dict[str, Any]) -> None:
    out = tmp_path / "out"
    with work.work_folder(out, "other"), pytest.raises(DataError, match="another process"):
        prepare({**sources, "out": out})
    assert prepare({**sources, "out": out})[1]  # what the other left is of no use, and gone


def test_the_same_again_does_nothing_and_another_is_refused(
    tmp_path: Path, sources: dict[str, Any]
) -> None:
    spec = {**sources, "out": tmp_path / "out"}
    first: Manifest = prepare(spec)[0]
    assert prepare({**spec, "engine": "local"}) == (first, False)
    with pytest.raises(DataError, match="another specification"):
        prepare({**spec, "mix": {}})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filters": ["odd_one"]}, "no filter 'odd_one'"),
        ({"filters": ["nowhere.py:X"]}, "no file 'nowhere.py'"),
        ({"filters": {"exact_duplicates": {"acton": "drop"}}}, "exact_duplicates: acton"),
        ({"kinds": ["rll"]}, "no kind of row 'rll'"),
        ({"engine": "spark"}, "engine: got 'spark'"),
        ({"mix": {"rato": {}}}, "mix.rato is no key"),
        ({"mixx": {}}, "did you mean 'mix'"),
        ({"local": {"z": "x"}}, "local.z: no such source"),
        ({"local": "x"}, "is one place, and there are 2"),
        ({"source": "gsm8k,gsm8k"}, "named twice"),
        ({"source": "gsm8c,arithmetic"}, "did you mean 'gsm8k'"),
        ({"data": "gsm8k"}, "the same word"),
        ({"test_filters": ["gild"]}, "names 'gild', which is none of filters"),
        ({"eval_sets": "x"}, "eval_sets is given and decontaminate=false: leave one out"),
        ({"kinds": ["preference"]}, "source big gives rl, sft rows, none of kinds=preference"),
    ],
)
def test_bad_requests(
    tmp_path: Path, sources: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        prepare({**sources, **change, "out": tmp_path / "out"})
    assert says in str(error.value) and not (tmp_path / "out").exists()


def test_words_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "+data=arithmetic",
        "mix.total=30",
        "mix.caps.arithmetic=40",
        "kinds=rl",
        "test_size=20",
    ]
    main([*words, "decontaminate=false", "--jsonl", f"out={tmp_path / 'out'}"])
    assert "arithmetic: train 30, test 20 →" in capsys.readouterr().out
    assert len((tmp_path / "out" / "train.jsonl").read_text().splitlines()) == 30


def test_an_evaluation_question_and_a_test_row_are_not_trained_on(tmp_path: Path) -> None:
    """Two overlaps are planted: with a set in the folder, and with the preparation's own test."""
    sets = tmp_path / "sets" / "gsm8k"
    sets.mkdir(parents=True)
    asked = "Janet has 16 ducks that lay eggs every day and she bakes muffins with four of them."
    (sets / "test.jsonl").write_text(json.dumps({"question": asked, "answer": "#### 1"}) + "\n")
    (tmp_path / "own.py").write_text(
        "def rows(spec):\n"
        f"    texts = ['one', {asked.upper()!r}, 'the held out question', 'two']\n"
        "    for n, text in enumerate(texts):\n"
        "        yield {'split': 'train', 'prompt': text, 'gold': str(n)}\n"
        "    yield {'split': 'test', 'prompt': 'The held-out question?', 'gold': '2'}\n"
    )
    spec = {"source": f"{tmp_path / 'own.py'}:rows", "out": tmp_path / "out", "reward": None}
    manifest, _ = prepare({**spec, "eval_sets": tmp_path / "sets", "mix": {}})
    assert manifest.dropped == {"contaminated_exact": 2}
    assert manifest.decontaminated == {"gsm8k": 1, "test rows": 1}
    assert "aime24" in (manifest.not_found or [])
    kept = {row["prompt"][0]["content"] for row in rows(tmp_path / "out")}
    assert kept == {"one", "two"} and len(rows(tmp_path / "out", "test")) == 1


def _declared(folder: Path, name: str, template: str, **files: list[dict[str, str]]) -> str:
    """The path of a declaration of `question` and `answer`, its data beside it."""
    for split, found in files.items():
        text = "".join(json.dumps(row) + "\n" for row in found)
        (folder / f"{name}_{split}.jsonl").write_text(text)
    declared = {
        "kind": ["rl", "sft"],
        "files": {split: f"{name}_{split}.jsonl" for split in files},
        "template": template,
        "answer": "answer",
        "response": "answer",
    }
    (folder / f"{name}.yaml").write_text(json.dumps(declared))  # JSON is YAML
    return str(folder / f"{name}.yaml")


def test_one_question_under_two_templates_is_one(tmp_path: Path) -> None:
    """Planted: a duplicate, a conflict, a test question; in a declaration and in a function."""
    asked = ["What is 3 + 4?", "How many legs has a spider?", "Name a prime above 7."]
    steps = _declared(
        tmp_path,
        "steps",
        "Question: {question}\nLet's think step by step.",
        train=[{"question": asked[0], "answer": "7"}, {"question": asked[1], "answer": "8"}],
        test=[{"question": asked[2], "answer": "11"}],
    )
    boxed = _declared(
        tmp_path,
        "boxed",
        "{question} Put your answer in \\boxed{}.",
        train=[
            {"question": "what is 3+4", "answer": "7.0"},
            {"question": asked[1], "answer": "six"},
            {"question": asked[2], "answer": "13"},
            {"question": "What is 3 - 4?", "answer": "-1"},
        ],
    )
    (tmp_path / "own.py").write_text(
        "def rows(spec):\n"
        "    for text, gold in (('What is 3 + 4?', '7'), ('What is 4 + 4?', '8')):\n"
        "        prompt = f'Solve this: {text} Write only the number.'\n"
        "        yield {'split': 'train', 'prompt': prompt, 'gold': gold, 'asks': text}\n"
    )
    own = {"name": f"{tmp_path / 'own.py'}:rows", "options": {"reward": None}}
    spec = {"source": [steps, boxed, own], "filters": "exact_duplicates", "kinds": "rl"}
    manifest, _ = prepare({**spec, "out": tmp_path / "out"})
    assert manifest.dropped == {"duplicate_exact": 2, "contaminated_exact": 1}
    assert manifest.flagged == {"conflicting_answers": 2}
    kept = [row["prompt"][0]["content"] for row in rows(tmp_path / "out")]
    assert kept == [
        "Question: What is 3 + 4?\nLet's think step by step.",
        "Question: How many legs has a spider?\nLet's think step by step.",
        "How many legs has a spider? Put your answer in \\boxed{}.",
        "What is 3 - 4? Put your answer in \\boxed{}.",
        "Solve this: What is 4 + 4? Write only the number.",
    ]
    assert all("asks" not in {**row, **row["extra_info"]} for row in rows(tmp_path / "out"))
    # The comparison with test rows is on by itself and sees through templates too, of SFT rows too.
    manifest, _ = prepare({"source": [steps, boxed], "out": tmp_path / "plain"})
    assert manifest.dropped == {"contaminated_exact": 2}  # an RL row and an SFT row
    manifest, _ = prepare({**spec, "source": [steps, boxed], "kinds": "sft", "out": tmp_path / "s"})
    assert manifest.dropped == {}  # 7 and 7.0 are two responses; 11 and 13 are two lessons


def test_a_plain_conversion_reads_its_source_once(tmp_path: Path) -> None:
    """The function says something else each time; its test question comes last."""
    calls = tmp_path / "calls"
    (tmp_path / "own.py").write_text(
        "from pathlib import Path\n"
        "def rows(spec):\n"
        f"    calls = Path({str(calls)!r})\n"
        "    calls.write_text((calls.read_text() if calls.exists() else '') + '.')\n"
        "    time = len(calls.read_text())\n"
        "    chat = [{'role': 'user', 'content': 'the held out question'}]\n"
        "    yield {'split': 'train', 'prompt': f'time {time}', 'gold': '1'}\n"
        "    yield {'split': 'train', 'prompt': chat, 'gold': '2'}\n"
        "    yield {'split': 'test', 'prompt': 'The held-out question?', 'gold': '2'}\n"
    )
    spec = {"source": f"{tmp_path / 'own.py'}:rows", "reward": None, "out": tmp_path / "out"}
    manifest, _ = prepare(spec)
    assert calls.read_text() == "."
    assert manifest.examples_in == {"train": 2, "test": 1}
    assert manifest.dropped == {"contaminated_exact": 1}
    assert [row["prompt"][0]["content"] for row in rows(tmp_path / "out")] == ["time 1"]
    assert set(digests(tmp_path / "out")) == {
        "train.parquet", "test.parquet", "manifest.json", "findings.jsonl",
    }  # fmt: skip
    assert prepare(spec) == (manifest, False) and calls.read_text() == "."


TRAIN = "A train travels 270 miles in 3 hours. How many further hours does it need for 180 miles?"
PLANE = "A plane travels 270 miles in 3 hours. How many further hours does it need for 180 miles?"


@pytest.mark.parametrize(("most", "other"), [(2, "contaminated_exact"), (1, "duplicate_held_out")])
def test_in_stages_n_grams_of_test_questions_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, other: str
) -> None:
    """Of so many questions at most; one beyond is compared as a whole. Generated ones are apart."""
    monkeypatch.setattr("data_prep.held_out.MOST", most)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "own.py").write_text(
        "def rows(spec):\n"
        f"    for text in ({TRAIN!r}, 'the second question'):\n"
        "        yield {'split': 'train', 'prompt': text, 'gold': '0'}\n"
        f"    for text in ({PLANE!r}, {PLANE!r}, 'The second question!'):\n"
        "        yield {'split': 'test', 'prompt': f'Solve: {text}', 'gold': '0', 'asks': text}\n"
    )
    sizes = {"train_size": 5, "test_size": 5, "sft_size": 1, "sft_test_size": 1}
    drawn = {"name": "arithmetic", "options": sizes}
    own = {"name": f"{tmp_path / 'own.py'}:rows", "options": {"reward": None}}
    manifest, _ = prepare({"source": [own, drawn], "kinds": "rl", "out": tmp_path / "out"})
    assert manifest.decontaminated == {"test rows": most}
    assert manifest.dropped == {"contaminated_ngram": 1, other: 1}
    assert manifest.sources is not None and manifest.sources["arithmetic"].rows_dropped == {}
