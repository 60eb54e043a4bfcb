"""The doctor finds what is planted, and passes what is sound.

1. A sound reward passes everything; the command prints one table and exits with 0.
2. Each planted fault fails its own examination: a reward that pays for anything, one that reads the
   whole response, one that hangs, one that leans on hash order, on the main thread, or is slow.
3. Rows without a right response are no failure of the reward.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import RewardError
from rewards import check, doctor
from rewards.clinic.checks import Finding, Limits
from rewards.clinic.rows import Patient, Sample
from rewards.doctor import diagnose

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

def solving(response, gold):
    asked = response.rpartition("####")[2].strip()
    if "####" in response and asked.replace("+", "").isdigit():
        return float(str(sum(map(int, asked.split("+")))) == gold)
    return 0.0

def slow(response, gold):
    time.sleep(0.005)
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


@pytest.mark.parametrize("spec", ["exact", "exact if exact", "chatty"])
def test_others_that_are_sound(spec: str, faulty: Path) -> None:
    assert failed(f"{faulty}:chatty" if spec == "chatty" else spec) == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("generous", {"empty", "wrong", "echo", "shotgun", "injection", "over-long"}),
        ("anywhere", {"shotgun"}),
        ("last_words", {"shotgun"}),
        ("gullible", {"injection"}),
        ("solving", {"echo"}),  # pays for 8+9 as the answer to 8+9
        ("fragile", {"empty"}),
    ],
)
def test_what_is_paid_for_nothing(name: str, expected: set[str], faulty: Path) -> None:
    assert set(failed(f"{faulty}:{name}")) == expected


def test_a_reward_that_knows_no_right_answer() -> None:
    finding = failed("rewards.clinic.checks:_is_paid")["right answers"]
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
    found = failed(f"{faulty}:slow", Limits(p99=0.003, step=1.0), short=False, per_step=1000)
    assert set(found) == {"latency", "throughput"}


def test_a_control_arm_is_not_fit_to_train_on() -> None:
    assert {"empty", "wrong"} <= set(failed("constant"))


@pytest.mark.parametrize("gold", [{"numbers": [1, 2]}, '[{"id": "length"}]', "", None])
def test_rows_without_a_right_response_are_no_failure(gold: Any, faulty: Path) -> None:
    file = faulty.with_name("strict.py")
    file.write_text("def score(response, gold):\n    return 0.0\n")
    found = diagnose(Patient(f"{file}:score", {}, [Sample("q", gold, {})]), Limits(), short=True)
    assert {one.name: one.ok for one in found} == {
        "right answers": None,
        "empty": True,
        "wrong": None,
        "echo": True,
        "shotgun": None,
        "injection": True,
        "over-long": True,
    }
    file.write_text(
        "from rewards.verdict import gold_error\n"
        "def score(response, gold):\n    return gold_error('no gold')\n"
    )
    found = diagnose(Patient(f"{file}:score", {}, [Sample("q", gold, {})]), Limits(), short=True)
    assert found[0].ok is False and "gold_error" in found[0].got


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
