"""Saved responses: reading them, scoring them again, and holding two graders against each other.

1. Training dumps, evaluation records and plain pairs are read; what is none names its line.
2. Re-scoring says who changed sides, and writes each line again.
3. An audit's counts and error estimates are those worked by hand; verl's graders are the installed
   ones, in a child, and the one that runs model text only on demand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import DataError, RewardError
from rewards import audit, score
from rewards.agreement import ErrorRate, Judged, error_rates, wilson
from rewards.rollouts import read_rollouts

ROOT = Path(__file__).parents[3]
# gold, response, right?, what verl's gsm8k scorer says of it (knowledge of its source: the number
# right after "#### ", compared as a string)
CASES = [
    ("42", "#### 42", 1, 1),
    ("42", "#### 42.", 1, 0),
    ("42", "#### $42", 1, 0),
    ("42", "\\boxed{42}", 1, 0),
    ("42", "#### 41", 0, 0),
    ("42", "forty-two", 0, 0),
    ("7", "#### 7 or 8", 0, 1),
    ("1000", "#### 1,000", 1, 1),
]


def write(folder: Path, records: list[dict[str, Any]], name: str = "1.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path, [{"gold": g, "response": r} for g, r, _, _ in CASES])


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return write(tmp_path, [{"gold": g, "response": r, "label": y} for g, r, y, _ in CASES])


def test_what_is_read(tmp_path: Path) -> None:
    dump = {"input": "q", "output": "#### 4", "gts": "4", "score": 1.0, "acc": 1.0, "uid": "a_0_0"}
    dump |= {"extra_info": {"id": "s/1", "tests": [1]}, "response_tokens": 7.0, "status": "correct"}
    record = {"index": "3", "ground_truth": "5", "response": "#### 6", "tokens": 4}
    record["verdict"] = {"score": None, "acc": None, "status": "gold_error"}
    folder = tmp_path / "rollouts"
    folder.mkdir()
    write(folder, [dump], "10.jsonl")
    write(folder, [record], "2.jsonl")
    first, second = read_rollouts(folder)  # step 2 comes before step 10
    assert (first.response, first.gold, first.acc, first.row) == (
        "#### 6",
        "5",
        None,
        {"index": "3"},
    )
    assert (second.response, second.gold, second.score, second.acc) == ("#### 4", "4", 1.0, 1.0)
    assert second.row["tests"] == [1] and second.row["response_tokens"] == 7.0
    assert second.where.endswith("10.jsonl:1") and len(read_rollouts(folder, 1)) == 1


def test_a_rollout_gets_its_row_back(tmp_path: Path) -> None:
    info = {"id": "s/1", "tests": ["t"]}
    row = {"prompt": "q", "data_source": "s", "extra_info": info}
    row["reward_model"] = {"ground_truth": "the whole gold"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    dump = write(tmp_path, [{"output": "a", "gts": "cut", "id": "s/1", "response_tokens": 3.0}])
    (one,) = read_rollouts(dump, rows=[str(tmp_path / "rows.parquet")])
    assert one.gold == "the whole gold"
    assert one.row == {"id": "s/1", "tests": ["t"], "data_source": "s", "response_tokens": 3.0}
    other = write(tmp_path, [{"output": "a", "gts": "b", "id": "s/2"}], "2.jsonl")
    with pytest.raises(DataError, match="of row 's/2'"):
        read_rollouts(other, rows=[str(tmp_path / "rows.parquet")])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"response": "a"}', ":1 has response; a rollout needs"),
        ('{"gold": "a", "response": 3}', "a rollout needs"),
        ('{"gold": "a", "response": "b"}\n{"gold"', ":2 is no JSON"),
        ("[1]", "no JSON object"),
        ("", "holds no rollouts"),
    ],
)
def test_what_is_no_rollout(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(DataError) as error:
        read_rollouts(tmp_path / "r.jsonl")
    assert says in str(error.value)
    with pytest.raises(DataError, match="no file"):
        read_rollouts(tmp_path / "none.jsonl")


def test_rescoring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump = [
        {"output": "#### 42.", "gts": "42", "score": 0.0, "acc": 0.0},  # a false negative of old
        {"output": "#### 41", "gts": "42", "score": 1.0, "acc": 1.0},  # a false positive of old
        {"output": "#### 1", "gts": "1", "score": 1.0, "acc": 1.0},
        {"output": "#### 1", "gts": "", "score": 0.0, "acc": 0.0},
    ]
    out = tmp_path / "new.jsonl"
    score.main([str(write(tmp_path, dump)), "math", "several=first", "--out", str(out)])
    said = capsys.readouterr().out
    assert "recorded: score 0.5000, acc 0.5000" in said
    assert "now:      score 0.6667, acc 0.6667; right 2 of 3" in said
    assert "correct 2" in said and "gold_error 1" in said
    assert "right before, not now: 1" in said and "not right before, right now: 1" in said
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["rescored"]["status"] for line in lines] == [
        "correct",
        "wrong",
        "correct",
        "gold_error",
    ]
    assert lines[0]["output"] == "#### 42." and lines[0]["acc"] == 0.0


def test_wilson_as_worked_elsewhere() -> None:
    # Newcombe 1998, table I: 81/263 and 15/148; 0/20 and 1/29.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_error_rates_by_hand() -> None:
    both = [Judged(True, True)] * 5 + [Judged(False, False)] * 3 + [Judged(None, True)]
    apart = [Judged(True, False, True), Judged(True, False, False), Judged(False, True, True)]
    a, b = error_rates([*both, *apart, Judged(True, False)], labelled=False)
    assert a == ErrorRate(false_positives=1, false_negatives=1, undecided=1, n=12)
    assert b == ErrorRate(false_positives=0, false_negatives=1, undecided=1, n=12)
    assert a.interval() == pytest.approx((wilson(2, 12)[0], wilson(3, 12)[1]))
    # With labels an agreement can be wrong too, and a response without one does not count.
    a, b = error_rates([Judged(True, True, False), Judged(True, True), *apart], labelled=True)
    assert (a.errors, b.errors, a.n) == (3, 2, 4)


def test_an_audit_with_a_referee(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit.main([str(pairs), "--a", "math", "--b", "verl_gsm8k", "--referee", "math_verify"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["a", "right", "2", "3"]
    assert lines[3].split() == ["a", "wrong", "1", "2"]
    assert lines[4].startswith("disagree: 4 of 8, 50.00%")
    assert "  math: 0.00%" in lines[6]
    assert "verl_gsm8k: 50.00%" in lines[7]
    assert "1 false positives, 3 false negatives" in lines[7]
    assert any("#### $42" in line for line in lines[8:])


def test_an_audit_with_labels(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit.main([str(labelled), "--a", "verl_gsm8k", "--b", "math", "--limit", "6"])
    said = capsys.readouterr().out
    assert "errors by the file's labels:" in said
    assert "verl_gsm8k: 50.00%" in said and "0 false positives, 3 false negatives" in said


def test_the_oracles_are_the_installed_graders(pairs: Path) -> None:
    answers = audit.verdicts("verl_gsm8k", {}, read_rollouts(pairs), 10.0)
    assert [one and one["acc"] for one in answers] == [float(said) for *_, said in CASES]


def test_model_text_is_run_only_on_demand(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        audit.main([str(pairs), "--a", "math", "--b", "verl_prime_math"])
    assert stopped.value.code == RewardError.exit_code
    assert "--allow-unsafe" in capsys.readouterr().err


def test_the_commands_stand_alone(pairs: Path) -> None:
    words = ["-m", "rewards.audit", str(pairs), "--a", "exact", "--b", "maht"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == RewardError.exit_code
    assert done.stderr.startswith("error: no reward named 'maht' → did you mean 'math'?")
