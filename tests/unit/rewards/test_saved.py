"""Saved responses under graders: files of either kind, and graders that give no verdict.

1. Parquet is read like JSON lines, with a gold answer where verl's rows have it; what is neither is
   a DataError that says what is read.
2. The rows that a Parquet file holds are written again under `--out`, each with its new verdict.
3. A grader that gives no verdict is an error that says why, after all that was found; one that
   gives some is a result, and the reasons of the others are counted.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import DataError, RewardError
from rewards import audit, score
from rewards.rollouts import read_rollouts


def parquet(file: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def test_parquet_is_read_like_json_lines(tmp_path: Path) -> None:
    rows = [{"response": "#### 4", "gold": "4", "acc": 1.0}, {"response": "x", "gold": "5"}]
    file = parquet(tmp_path / "r.parquet", rows)
    lines = tmp_path / "r.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [[(one.response, one.gold, one.acc) for one in read_rollouts(f)] for f in (file, lines)]
    assert said[0] == said[1] == [("#### 4", "4", 1.0), ("x", "5", None)]
    assert [one.where for one in read_rollouts(file)] == [f"{file}:1", f"{file}:2"]
    assert len(read_rollouts(file, limit=1)) == 1
    assert len(read_rollouts(tmp_path)) == 4  # of a folder, both


def test_a_row_of_verl_s_with_a_response(tmp_path: Path) -> None:
    row = {"response": "7", "data_source": "s", "reward_model": {"ground_truth": "7"}}
    row["extra_info"] = {"id": "s/1", "index": None, "more": json.dumps({"tests": ["t"]})}
    (one,) = read_rollouts(parquet(tmp_path / "r.parquet", [row]))
    assert (one.gold, one.row) == ("7", {"id": "s/1", "tests": ["t"], "data_source": "s"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x28\xb5\x2f\xfd\x90 packed", ":1 is no JSON"),
        (b'{"response": "a", "gold": "b"}\n\x90\n', ":2 is no JSON"),
        (b"PAR1 and no more", "cannot read"),
    ],
)
def test_what_is_neither(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(data)
    with pytest.raises(DataError, match=says):
        read_rollouts(file)


def test_parquet_without_responses_says_what_it_has(tmp_path: Path) -> None:
    file = parquet(tmp_path / "train.parquet", [{"prompt": "q", "data_source": "s"}])
    with pytest.raises(DataError, match=r":1 has prompt, data_source; a rollout needs one of"):
        read_rollouts(file)


def test_rescoring_parquet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = datetime.date(2026, 1, 2)  # Parquet holds what JSON does not
    file = parquet(tmp_path / "r.parquet", [{"response": "#### 4", "gold": "4", "day": day}])
    out = tmp_path / "new.jsonl"
    score.main([str(file), "exact", "--out", str(out)])
    assert "right 1 of 1" in capsys.readouterr().out
    (line,) = map(json.loads, out.read_text().splitlines())
    assert (line["day"], line["rescored"]["status"]) == ("2026-01-02", "correct")


BROKEN = """
def raises(response, gold):
    raise IndexError("no words")

def nothing(response, gold):
    return None

def sometimes(response, gold):
    return float("nan") if response == "#### 5" else 1.0
"""


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.py"
    file.write_text(BROKEN)
    lines = [{"response": f"#### {n}", "gold": "4"} for n in (4, 5)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize(("name", "why"), [("raises", "IndexError: no words"), ("nothing", "None")])
def test_a_reward_that_judges_nothing_is_an_error(
    name: str, why: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = broken.parent / "new.jsonl"
    with pytest.raises(SystemExit) as stopped:
        score.main([str(broken.parent / "r.jsonl"), f"{broken}:{name}", "--out", str(out)])
    said = capsys.readouterr()
    assert stopped.value.code == RewardError.exit_code
    assert f"{name} gives none of 2 responses a verdict: verifier_error: " in said.err
    assert why in said.err and "(×2)" in said.err and why in said.out
    assert len(out.read_text().splitlines()) == 2  # the details are there all the same


def test_an_audit_with_a_grader_that_judges_nothing(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        audit.main([str(broken.parent / "r.jsonl"), "--a", f"{broken}:raises", "--b", "exact"])
    said = capsys.readouterr()
    assert stopped.value.code == RewardError.exit_code
    assert "no verdict of one of them: 2" in said.out
    assert "raises gives none of 2 responses a verdict" in said.err and "no words" in said.err


def test_some_verdicts_are_a_result_and_the_others_are_explained(
    broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score.main([str(broken.parent / "r.jsonl"), f"{broken}:sometimes"])
    said = capsys.readouterr().out
    assert "right 1 of 1" in said
    assert "broken:   verifier_error: " in said and "nan" in said and "(×1)" in said


def test_reasons_are_counted_and_late_ones_too() -> None:
    def answer(status: str, detail: str) -> dict[str, Any]:
        return {"status": status, "detail": detail, "acc": 1.0 if status == "correct" else None}

    given = [answer("gold_error", "no\n number"), None, answer("gold_error", "no number")]
    given += [answer("correct", "")]
    said = audit.without_verdict(given)
    assert said == "gold_error: no number (×2); none in time, or the process died (×1)"
    assert audit.without_verdict(given[3:]) == ""
    many = [answer("verifier_error", str(n)) for n in range(5)]
    assert audit.without_verdict(many).endswith("verifier_error: 2 (×1); 2 other reasons")
