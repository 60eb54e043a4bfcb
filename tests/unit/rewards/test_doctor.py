"""The doctor finds what is planted, and passes what is sound.

1. A sound reward passes everything; the command prints one table and exits with 0.
2. Each planted fault fails its own examination: a reward that pays for anything, one that reads the
   whole response, one that hangs, one that leans on hash order, on the main thread, or is slow.
3. A child that hangs or dies is replaced, and costs only the case it hung on.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import DataError, RewardError
from rewards import check, doctor
from rewards.doctor import diagnose
from rewards.doctor_checks import Finding, Limits
from rewards.doctor_child import Child
from rewards.doctor_rows import Patient, Sample, read_samples, sample

ROOT = Path(__file__).parents[3]
FAULTY = '''
"""Rewards with one fault each; `sound` has none."""
import os, threading, time


def _last(response):
    return response.rpartition("####")[2].strip()


def sound(response, gold):
    return float(_last(response) == gold and "####" in response)

def generous(response, gold):
    return 1.0

def anywhere(response, gold):
    return float(gold in response)

def last_words(response, gold):
    return float(response.strip().endswith(gold))

def gullible(response, gold):
    return max(sound(response, gold), float("full score" in response))

def hanging(response, gold):
    while response.count("boxed") > 5:
        time.sleep(0.1)
    return sound(response, gold)

def dying(response, gold):
    if "^" in response:
        os._exit(1)
    return sound(response, gold)

def fragile(response, gold):
    if not response.strip():
        raise IndexError("no words")
    return sound(response, gold)

def by_hash(response, gold):
    return sound(response, gold) + (hash(gold) % 1000) / 1e6

def main_thread_only(response, gold):
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("signal only works in main thread")
    return sound(response, gold)

def slow(response, gold):
    time.sleep(0.02)
    return sound(response, gold)

def chatty(response, gold):
    print("a line that is no answer", flush=True)
    return sound(response, gold)
'''
TEXTS = [("What is 17+25?", "42"), ("Add 3 and 4.", "7"), ("5 figs, 6 more?", "11"), ("8+9", "17")]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("faulty") / "faulty.py"
    file.write_text(FAULTY)
    return file


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "prompt": [{"role": "user", "content": prompt}],
            "data_source": "sums",
            "reward_model": {"style": "rule", "ground_truth": gold},
            "extra_info": {"id": f"sums/{n}", "index": str(n)},
        }
        for n, (prompt, gold) in enumerate(TEXTS)
    ]
    file = tmp_path_factory.mktemp("rows") / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file


def patient(spec: str, **more: Any) -> Patient:
    samples = [Sample(prompt, gold, {"id": f"sums/{gold}"}) for prompt, gold in TEXTS]
    return Patient(spec, {}, samples, **more)


def failed(spec: str, limits: Limits | None = None, **more: Any) -> dict[str, Finding]:
    short = more.pop("short", True)
    findings = diagnose(patient(spec, **more), limits or Limits(deadline=5.0), short=short)
    return {one.name: one for one in findings if one.ok is False}


def test_a_sound_reward_passes(faulty: Path) -> None:
    findings = diagnose(patient(f"{faulty}:sound", per_step=256), Limits())
    assert [one.name for one in findings if not one.ok] == []
    assert len(findings) == 13


@pytest.mark.parametrize("spec", ["math", "math if exact", "chatty"])
def test_others_that_are_sound(spec: str, faulty: Path) -> None:
    assert failed(f"{faulty}:chatty" if spec == "chatty" else spec) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("generous", {"empty", "wrong", "echo", "shotgun", "injection", "over-long"}),
        ("anywhere", {"shotgun"}),
        ("last_words", {"shotgun"}),
        ("gullible", {"injection"}),
        ("fragile", {"empty"}),
    ],
)
def test_what_is_paid_for_nothing(name: str, expected: set[str], faulty: Path) -> None:
    assert set(failed(f"{faulty}:{name}")) == expected


def test_a_reward_that_knows_no_right_answer() -> None:
    finding = failed("rewards.doctor_checks:_is_paid")["right answers"]
    assert "0 of 4 rows" in finding.got and "--reference" in finding.need


@pytest.mark.parametrize(
    ("name", "examination"),
    [("hanging", "hang"), ("dying", "hang"), ("by_hash", "determinism")],
)
def test_what_takes_a_while_to_find(name: str, examination: str, faulty: Path) -> None:
    found = failed(f"{faulty}:{name}", Limits(deadline=0.4), short=False)
    assert examination in found


def test_threads_and_speed(faulty: Path) -> None:
    found = failed(f"{faulty}:main_thread_only", short=False)
    assert set(found) == {"threads"} and "main thread" in found["threads"].got
    found = failed(f"{faulty}:slow", Limits(p99=0.01, step=1.0), short=False, per_step=1000)
    assert set(found) == {"latency", "throughput"}


def test_a_control_arm_is_not_fit_to_train_on() -> None:
    assert {"empty", "wrong"} <= set(failed("constant"))


def test_a_case_that_hangs_costs_itself_alone(faulty: Path) -> None:
    def one(response: str) -> dict[str, Any]:
        return {"response": response, "gold": "7", "row": {}}

    with Child(f"{faulty}:hanging", {}) as child:
        first = child.process
        begun = time.monotonic()
        answers = child.ask_each([one("#### 7"), one("\\boxed{" * 9), one("#### 8")], 0.5)
        assert time.monotonic() - begun < 4
        assert [a and a["score"] for a in answers] == [1.0, None, 0.0]
        assert first is not None and first.poll() is not None  # killed, and another in its place
        last = child.process
    assert last is not None and last.poll() is not None
    with pytest.raises(RewardError, match="did you mean 'math'"):
        Child("maht", {})


def test_the_short_form_does_not_wait_for_each_row(faulty: Path) -> None:
    file = faulty.with_name("late.py")
    file.write_text("import time\ndef score(response, gold):\n    time.sleep(60)\n")
    begun = time.monotonic()
    found = failed(f"{file}:score", Limits(deadline=0.3))
    assert time.monotonic() - begun < 3
    assert set(found) == {"right answers"} and "no verdict in time" in found["right answers"].got


def test_no_grader_outlives_the_doctor(faulty: Path) -> None:
    code = (
        "import os, sys\nfrom rewards.doctor_child import Child\n"
        f"child = Child({f'{faulty}:sound'!r}, {{}})\n"
        "print(child.process.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_rows_as_a_reward_sees_them(parquet: Path, tmp_path: Path) -> None:
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


def test_a_row_s_own_solution_is_the_right_answer(faulty: Path) -> None:
    golds = {"tests": ["assert f(1) == 2"]}  # no text, as those of code rows
    rows = [Sample("q", golds, {"id": "1"}, ("def f(x): return x + 1",))]
    file = faulty.with_name("code.py")
    file.write_text("def score(response, gold):\n    return float('return x + 1' in response)\n")
    findings = {
        o.name: o for o in diagnose(Patient(f"{file}:score", {}, rows), Limits(), short=True)
    }
    assert findings["right answers"].ok and findings["shotgun"].ok is None


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rewards.doctor", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_the_command(faulty: Path, parquet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = command(f"{faulty}:sound", str(parquet), "--rows", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pass ") == 13 and "FAIL" not in done.stdout and not done.stderr
    with pytest.raises(SystemExit) as stopped:
        doctor.main([f"{faulty}:generous", str(parquet), "--short"])
    assert stopped.value.code == RewardError.exit_code
    said = capsys.readouterr()
    assert "FAIL empty" in said.out and "examinations fail: empty, wrong" in said.err
    with pytest.raises(SystemExit) as stopped:
        doctor.main(["math"])
    assert stopped.value.code == RewardError.exit_code


def test_preflight_s_short_form(
    faulty: Path, parquet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check.main([f"{faulty}:sound", "--rows", str(parquet)])
    assert "warning" not in capsys.readouterr().out
    check.main([f"{faulty}:gullible", "--rows", str(parquet)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: injection: ") and "; need: not paid" in lines[0]
    assert lines[-1].startswith(f"reward {faulty}:gullible: ")
