"""The doctor's child process and the rows it is given.

1. A child that hangs or dies is replaced, and costs only the case it hung on; none outlives it.
2. Rows come evenly spread, as a reward sees them; what is no row is refused.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import DataError, RewardError
from rewards.clinic.checks import Limits
from rewards.clinic.child import Child
from rewards.clinic.rows import Patient, Sample, read_samples, sample
from rewards.doctor import diagnose

ROOT = Path(__file__).parents[3]
MINE = """
import time
def sound(response, gold):
    return float(response.rpartition("####")[2].strip() == gold and "####" in response)
def hanging(response, gold):
    while response.count("boxed") > 5:
        time.sleep(0.1)
    return sound(response, gold)
def late(response, gold):
    time.sleep(60)
"""
TEXTS = [("What is 17+25?", "42"), ("Add 3 and 4.", "7"), ("5 figs, 6 more?", "11"), ("8+9", "17")]


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("mine") / "mine.py"
    file.write_text(MINE)
    return file


def test_a_case_that_hangs_costs_itself_alone(mine: Path) -> None:
    def one(response: str) -> dict[str, Any]:
        return {"response": response, "gold": "7", "row": {}}

    with Child(f"{mine}:hanging", {}) as child:
        first = child.process
        begun = time.monotonic()
        answers = child.ask_each([one("#### 7"), one("\\boxed{" * 9), one("#### 8")], 3.0)
        assert time.monotonic() - begun < 60
        assert [a and a["score"] for a in answers] == [1.0, None, 0.0]
        assert first is not None and first.poll() is not None  # killed, and another in its place
        last = child.process
    assert last is not None and last.poll() is not None
    with pytest.raises(RewardError, match="did you mean 'math'"):
        Child("maht", {})


def test_the_short_form_does_not_wait_for_each_row(mine: Path) -> None:
    samples = [Sample(prompt, gold, {}) for prompt, gold in TEXTS]
    begun = time.monotonic()
    (found,) = diagnose(Patient(f"{mine}:late", {}, samples), Limits(deadline=0.3), short=True)
    assert time.monotonic() - begun < 60
    assert found.ok is False and "no verdict in time" in found.got


def test_no_grader_outlives_the_doctor(mine: Path) -> None:
    code = (
        "import os, sys\nfrom rewards.clinic.child import Child\n"
        f"child = Child({f'{mine}:sound'!r}, {{}})\n"
        "print(child.process.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_rows_as_a_reward_sees_them(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "data_source": "sums",
            "reward_model": {"style": "rule", "ground_truth": gold},
            "extra_info": {"id": f"sums/{n}", "index": str(n)},
        }
        for n, (prompt, gold) in enumerate(TEXTS)
    ]
    parquet = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    samples = read_samples([str(parquet)], 2)
    assert [(one.prompt, one.gold) for one in samples] == [TEXTS[0], TEXTS[2]]
    assert samples[1].row["id"] == "sums/2" and samples[1].row["data_source"] == "sums"
    row = {"prompt": "q", "reward_model": {"ground_truth": "1"}, "solution": "it is 1"}
    assert sample(row).references == ("it is 1",)
    assert sample({**row, "steps": "one"}, "steps").references == ("one",)
    with pytest.raises(DataError, match="no field 'worked'"):
        sample(row, "worked")
    with pytest.raises(DataError, match=r"none\.parquet"):
        read_samples([str(tmp_path / "none.parquet")], 2)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="lacks the columns"):
        read_samples([str(tmp_path / "other.parquet")], 2)
