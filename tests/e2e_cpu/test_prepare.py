"""`data_prep.prepare` end to end, on generated and on real data.

1. GSM8K: 7,473 and 1,319 rows, each gold answer equal to one derived here by other means; three
   training problems ask what a test problem asks and are dropped, with the evidence.
2. The same specification gives the same bytes in another process, and does nothing the second time.
3. Bad input: one line, the documented exit code, and nothing written.
4. Kill -9 at any point leaves no target folder, and the next run succeeds and tidies up.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import ConfigError, DataError
from data_prep.manifest import read_manifest
from data_prep.prepare import prepare

ROOT = Path(__file__).parents[2]
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
SMALL = {
    "source": "arithmetic",
    "train_size": 20,
    "test_size": 20,
    "sft_size": 20,
    "sft_test_size": 5,
}


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "data_prep.prepare", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.fixture(scope="module")
def gsm8k(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gsm8k") / "out"
    prepare({"source": "gsm8k", "out": out, "local": GSM8K, "decontaminate": False})
    return out


def raw(name: str) -> list[dict[str, str]]:
    opener = gzip.open if name.endswith(".gz") else open
    with opener(GSM8K / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("split", "name", "rows"), [("train", "train.jsonl.gz", 7473), ("test", "test.jsonl", 1319)]
)
def test_gsm8k_rows(gsm8k: Path, split: str, name: str, rows: int) -> None:
    made = pq.read_table(gsm8k / f"{split}.parquet").to_pylist()
    talks = pq.read_table(gsm8k / f"sft_{split}.parquet").to_pylist()
    originals = raw(name)
    assert len(made) == len(talks) == len(originals) == rows
    for row, talk, original in zip(made, talks, originals, strict=True):
        gold = original["answer"].split("#### ")[1].replace(",", "").strip()
        assert row["reward_model"]["ground_truth"] == gold
        assert row["prompt"][0]["content"].startswith(original["question"])
        assert row["prompt"][0]["content"].endswith('output the final answer after "####".')
        answer = talk["messages"][1]["content"]
        assert "<<" not in answer and answer.endswith(original["answer"].split("\n")[-1])
    assert len({row["extra_info"]["id"] for row in made}) == rows
    assert [row["extra_info"]["index"] for row in made] == [str(n) for n in range(rows)]


def test_gsm8k_manifest(gsm8k: Path) -> None:
    manifest = read_manifest(gsm8k)
    assert manifest.examples_in == manifest.examples_kept == {"train": 7473, "test": 1319}
    assert manifest.dropped == {} and manifest.licence == "MIT"
    for name, entry in manifest.files.items():
        assert hashlib.sha256((gsm8k / name).read_bytes()).hexdigest() == entry.sha256
        assert pq.read_metadata(gsm8k / name).num_rows == entry.rows
    assert manifest.inputs.keys() == {"train.jsonl.gz", "test.jsonl"}


def test_training_problems_that_test_asks_are_dropped_with_evidence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest, _ = prepare({"source": "gsm8k", "out": out, "local": GSM8K})
    assert manifest.dropped == {"contaminated_ngram": 2, "contaminated_paraphrase": 1}
    assert manifest.examples_kept == {"train": 7470, "test": 1319}
    assert manifest.decontaminated is not None and manifest.decontaminated["gsm8k"] == 1319
    assert manifest.not_found is not None and "gsm8k" not in manifest.not_found
    lines = (out / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["evidence"] for line in lines]
    tests = raw("test.jsonl")
    assert [tests[int(one["question_id"])]["question"] for one in found] == [
        one["question"] for one in found
    ]
    assert [" ".join(one["question"].split()[:4]) for one in found] == [
        "A plane travels 1200", "A plane travels 1200", "Bob needs to buy",
    ]  # fmt: skip


def test_evaluation_sets_of_a_folder_join_the_test_rows(tmp_path: Path) -> None:
    asked = [f"How many legs do {n} spiders and {n + 1} hens have together?" for n in range(20)]
    rows = [{"question": q, "answer": f"#### {10 * n + 2}"} for n, q in enumerate(asked)]
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sets = tmp_path / "sets" / "math"
    sets.mkdir(parents=True)
    (sets / "math500.jsonl").write_text(json.dumps({"problem": asked[7].upper()}))
    spec = {"source": "gsm8k", "local": tmp_path / "raw.jsonl", "test_size": 3}
    whole, _ = prepare({**spec, "out": tmp_path / "a"})
    less, _ = prepare({**spec, "out": tmp_path / "b", "eval_sets": tmp_path / "sets"})
    assert (whole.examples_kept["train"], less.examples_kept["train"]) == (17, 16)
    assert less.dropped == {"contaminated_exact": 1}
    assert less.decontaminated is not None and less.not_found is not None
    assert {k: less.decontaminated[k] for k in ("gsm8k", "math500")} == {"gsm8k": 3, "math500": 1}
    (sets / "math500.jsonl").write_text(json.dumps({"problem": asked[8]}))
    with pytest.raises(DataError, match="changed"):
        prepare({**spec, "out": tmp_path / "b", "eval_sets": tmp_path / "sets"})


def test_outputs_of_two_sources_concatenate(gsm8k: Path, tmp_path: Path) -> None:
    prepare({**SMALL, "out": tmp_path / "a"})
    for name in ("train", "test", "sft_train", "sft_test"):
        tables = [pq.read_table(folder / f"{name}.parquet") for folder in (gsm8k, tmp_path / "a")]
        assert pa.concat_tables(tables).num_rows == tables[0].num_rows + tables[1].num_rows


def test_same_spec_same_bytes_in_another_process(tmp_path: Path) -> None:
    words = [f"{key}={value}" for key, value in SMALL.items()]
    assert command(*words, f"out={tmp_path / 'a'}").returncode == 0
    (tmp_path / "spec.json").write_text(json.dumps(SMALL))
    again = command("--spec", str(tmp_path / "spec.json"), f"out={tmp_path / 'b'}")
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_twice_is_once_and_another_spec_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "a"
    first = prepare({**SMALL, "out": out})
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    second = prepare({**SMALL, "out": out})
    assert (first[1], second[1]) == (True, False) and first[0] == second[0]
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    with pytest.raises(DataError, match="seed: 1 there, 2 asked"):
        prepare({**SMALL, "out": out, "seed": 2})
    (out / "train.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"train\.parquet is not the file"):
        prepare({**SMALL, "out": out})


def test_changed_input_is_noticed(tmp_path: Path) -> None:
    local = tmp_path / "raw.jsonl"
    line = json.dumps({"question": "1+1?", "answer": "#### 2"}) + "\n"
    local.write_text(line * 4)
    spec = {"source": "gsm8k", "local": local, "test_size": 1, "out": tmp_path / "out",
            "decontaminate": False}  # fmt: skip
    assert prepare(spec)[0].examples_in == {"train": 3, "test": 1}
    local.write_text(line * 5)
    with pytest.raises(DataError, match="changed"):
        prepare(spec)


def test_options_of_the_composed_node(tmp_path: Path) -> None:
    manifest, _ = prepare(
        {
            "source": "arithmetic",
            "local": None,
            "out": tmp_path / "a",
            "seed": 1,
            "train_size": None,
            "test_size": None,
            "sft_size": 10,
            "options": {"word_share": 0.0},
        }
    )
    assert manifest.files["train.parquet"].rows == 2000
    assert manifest.spec["word_share"] == 0.0


def test_parquet_and_plain_jsonl_give_the_same_rows(tmp_path: Path) -> None:
    rows = raw("test.jsonl")[:50]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a" / f"{split}.parquet")
        text = "\n\n".join(json.dumps(row) for row in rows)
        (tmp_path / "b" / f"{split}.jsonl").write_text(text)
        prepare_from = {"source": "gsm8k", "decontaminate": False}
    made = []
    for name in ("a", "b"):
        prepare({**prepare_from, "local": tmp_path / name, "out": tmp_path / f"out_{name}"})
        made.append((tmp_path / f"out_{name}" / "train.parquet").read_bytes())
    assert made[0] == made[1]


def test_gold_that_fails_and_missing_answers_are_counted(tmp_path: Path) -> None:
    good = {"question": "1+1?", "answer": "It is 2.\n#### 2"}
    bad = {"question": "Digits?", "answer": "#### " + "9" * 20_001}  # longer than any answer
    none = {"question": "1+1?", "answer": "two"}
    (tmp_path / "raw.jsonl").write_text("\n".join(map(json.dumps, [good, good, bad, none, good])))
    manifest, _ = prepare(
        {
            "source": "gsm8k",
            "local": tmp_path / "raw.jsonl",
            "test_size": 1,
            "out": tmp_path / "out",
            "decontaminate": False,
        }
    )
    assert manifest.dropped == {"gold_unusable": 1, "no_final_answer": 1}
    assert manifest.examples_kept == {"test": 1, "train": 2}
    rows = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert [row["extra_info"]["index"] for row in rows] == ["0", "3"]  # of the raw rows


def test_a_users_own_source(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def rows(spec):\n"
        "    for split in ('train', 'test'):\n"
        "        for n in range(spec.options['n']):\n"
        "            yield {'split': split, 'prompt': f'{split}: {n}+0=', 'gold': str(n)}\n"
    )
    manifest, _ = prepare(
        {
            "source": f"{tmp_path / 'mine.py'}:rows",
            "out": tmp_path / "out",
            "options": {"n": 3},
            "licence": "CC0-1.0",
            "system": "Add.",
        }
    )
    assert manifest.files.keys() == {"train.parquet", "test.parquet"}
    row = pq.read_table(tmp_path / "out" / "test.parquet").to_pylist()[2]
    assert [m["role"] for m in row["prompt"]] == ["system", "user"]
    assert row["data_source"] == "mine" and row["extra_info"]["licence"] == "CC0-1.0"


def broken_inputs(folder: Path) -> dict[str, str]:
    """Name → what the message must say."""
    line = json.dumps({"question": "1+1?", "answer": "#### 2"})
    (folder / "json.jsonl").write_text(f"{line}\n{line}\n{{broken\n")
    (folder / "list.jsonl").write_text(f"{line}\n[1]\n")
    (folder / "bytes.jsonl").write_bytes(line.encode() + b"\n\xff\xfe\n")
    (folder / "column.jsonl").write_text(f'{line}\n{{"q": "1"}}\n')
    (folder / "type.jsonl").write_text(f'{line}\n{{"question": 1, "answer": "#### 1"}}\n')
    (folder / "empty.jsonl").write_text("")
    (folder / "notes.txt").write_text("x")
    whole = gzip.compress((line + "\n").encode() * 500)
    (folder / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "not.jsonl.gz").write_bytes(b"hello")
    (folder / "bad.parquet").write_bytes(b"PAR1 no")
    return {
        "json.jsonl": "json.jsonl:3",
        "list.jsonl": "list.jsonl:2",
        "bytes.jsonl": "bytes.jsonl:2",
        "column.jsonl": "column.jsonl:2: no column 'question'",
        "type.jsonl": "type.jsonl:2, column question",
        "empty.jsonl": "no train rows",
        "notes.txt": "unknown kind of file",
        "cut.jsonl.gz": "cut.jsonl.gz",
        "not.jsonl.gz": "not.jsonl.gz",
        "bad.parquet": "bad.parquet",
        "absent.jsonl": "does not exist",
    }


def test_unreadable_files_name_the_place_and_leave_nothing(tmp_path: Path) -> None:
    raw_folder, outs = tmp_path / "raw", tmp_path / "outs"
    raw_folder.mkdir()
    for name, says in broken_inputs(raw_folder).items():
        with pytest.raises(DataError) as error:
            prepare(
                {
                    "source": "gsm8k",
                    "local": raw_folder / name,
                    "test_size": 1,
                    "out": outs / name,
                }
            )
        assert says in str(error.value) and "\n" not in str(error.value), name
    assert list(outs.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"source": "arithmetics"}, "did you mean 'arithmetic'?"),
        ({"source": None}, "source is not given"),
        ({"trian_size": 1}, "did you mean 'train_size'?"),
        ({"train_size": 0}, "data_prep.train_size: got 0"),
        ({"ops": ["/"]}, "data_prep.ops"),
        ({"options": {"max_oprand": 9}}, "did you mean 'max_operand'?"),
        ({"options": {"train_size": 9}}, "given twice"),
        ({"source": "no_file.py:rows"}, "no_file.py"),
    ],
)
def test_bad_specifications(tmp_path: Path, change: dict, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        prepare({**SMALL, "out": tmp_path / "a", **change})
    assert says in str(error.value) and list(tmp_path.iterdir()) == []


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match="not made by data_prep"):
        prepare({**SMALL, "out": tmp_path / "a"})
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["source=arithmetic", "out=x", "nonsense=1"], 2),
        (["source=arithmetic", "out=x", "max_operand=3"], 3),
        (["source=arithmetic", "out=x", "reward=mth"], 4),
        (["source"], 2),
        ([], 2),
    ],
)
def test_command_line_failures(tmp_path: Path, arguments: list[str], code: int) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_kill_at_any_point_leaves_no_target(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["source=gsm8k", f"local={GSM8K}", f"out={out}"]
    for delay in (0.0, 0.05, 0.1, 0.2, 0.4):  # after the staging folder came to be
        others = set(tmp_path.glob(".out.*.partial"))
        victim = subprocess.Popen(
            [sys.executable, "-m", "data_prep.prepare", *words],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while victim.poll() is None and not set(tmp_path.glob(".out.*.partial")) - others:
            time.sleep(0.005)
        time.sleep(delay)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        if out.exists():  # the machine was faster than the delay: then it is whole
            assert prepare({"source": "gsm8k", "local": GSM8K, "out": out})[1] is False
            shutil.rmtree(out)
        else:
            assert list(tmp_path.glob(".out.*.partial"))
    done = command(*words)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
