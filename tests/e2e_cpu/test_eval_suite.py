"""Suites of tasks through the whole path, against a server in a process of its own.

1. The reference solutions of HumanEval, MBPP, GSM8K and MATH-500 score 100%: a server answers each
   item with its reference, and results.json says 1.0.
2. `kill -9` of the client at random moments, twenty times against one running server: the records
   equal those of an evaluation that nobody disturbed, and no more than what was under way is asked
   twice.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.records import read_records
from eval.suite.items import task_items
from eval.suite.task import load_task

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "tests" / "unit" / "eval_suite" / "stub_server.py"
DATA = ROOT.parent / "shared" / "data"
KILLS = 20
PARALLEL = 4
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    started: list[subprocess.Popen[str]] = []

    def start(answers: dict[str, str], delay: float = 0.0) -> str:
        path = tmp_path / f"answers-{len(started)}.json"
        path.write_text(json.dumps(answers))
        command = [sys.executable, str(SERVER), str(path), str(delay)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout is not None
        return f"http://127.0.0.1:{int(started[-1].stdout.readline())}/v1"

    yield start
    for process in started:
        process.kill()
        process.wait()


def start(url: str, out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "eval.run", "model=served", f"out={out}"]
    command += [f"endpoint.base_url={url}", f"endpoint.parallel={PARALLEL}", *words]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines(path: str) -> list[dict[str, Any]]:
    raw = (DATA / path).read_bytes()
    text = gzip.decompress(raw) if path.endswith(".gz") else raw
    return [json.loads(line) for line in text.decode().splitlines()]


def fenced(code: str) -> str:
    return f"Here it is.\n```python\n{code}\n```"


def references() -> dict[str, tuple[str, list[str]]]:
    """Of each task: its data's folder, and the reference of each item in the items' order."""
    mbpp = sorted(lines("mbpp/mbpp.jsonl"), key=lambda row: row["task_id"])
    return {
        "gsm8k": ("gsm8k", [row["answer"] for row in lines("gsm8k/test.jsonl")]),
        "math500": ("math", [row["solution"] for row in lines("math/math500.jsonl")]),
        "humaneval": (
            "humaneval",
            [
                fenced(row["prompt"] + row["canonical_solution"])
                for row in lines("humaneval/HumanEval.jsonl.gz")
            ],
        ),
        "mbpp": ("mbpp", [fenced(row["code"]) for row in mbpp if 11 <= row["task_id"] <= 510]),
    }


@needs_data
@pytest.mark.timeout(900)
def test_reference_solutions_score_100_percent(serve: Callable[..., str], tmp_path: Path) -> None:
    answers: dict[str, str] = {}
    words = []
    known = references()
    for name, (place, solutions) in known.items():
        words.append(f"local.{name}={DATA / place}")
        items = task_items(load_task(name), {name: str(DATA / place)}).items
        for item, solution in zip(items, solutions, strict=True):
            answers[item.prompt[-1]["content"]] = solution
    run = start(serve(answers), tmp_path / "out", f"suite=[{','.join(known)}]", *words)
    out, err = run.communicate(timeout=850)
    assert run.returncode == 0, err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    for name, (_, solutions) in known.items():
        path = tmp_path / "out" / "tasks" / name / "records.jsonl"
        failed = [
            (record["id"], record["verdict"]["status"], record["verdict"]["detail"])
            for record in read_records(path)
            if record["verdict"]["status"] != "correct"
        ]
        assert failed == []
        assert results["tasks"][name]["n_items"] == len(solutions)
        assert results["tasks"][name]["accuracy"] == 1.0
    assert "100.0%" in out


def said(records: list[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """What must not depend on how often an evaluation was interrupted."""
    names = ("id", "index", "sample", "prompt", "response", "tokens", "prompt_tokens",
             "finish_reason", "sampling", "verdict", "stratum", "cluster", "extra")  # fmt: skip
    return {record["key"]: tuple(record[name] for name in names) for record in records}


@pytest.mark.timeout(600)
def test_twenty_kills_of_the_client_change_nothing(
    serve: Callable[..., str], tmp_path: Path
) -> None:
    count, samples = 400, 2  # far more than are recorded until the last kill
    rows = [{"q": f"{i} and {i}?", "a": str(2 * i)} for i in range(count)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sums.yaml").write_text(
        "source: {files: {test: sums.jsonl}, prompt: q, answer: a}\ngrader: math\n"
        f"samples: {samples}\ntemperature: 0.7\nmax_tokens: 64\n"
    )
    url = serve({}, 0.02)  # 4 at a time, 20 ms each: 4 s when nobody disturbs
    suite = f"suite=[{tmp_path / 'sums.yaml'}]"
    whole = start(url, tmp_path / "whole", suite)
    assert whole.wait(120) == 0, whole.communicate()
    path = tmp_path / "killed" / "tasks" / "sums" / "records.jsonl"
    dice = random.Random(5)
    seen, kills, before = 0, 0, asked(url)
    while kills < KILLS:
        run = start(url, tmp_path / "killed", suite)
        wanted = seen + dice.randint(0, 20)  # from before the first response to some later
        deadline = time.monotonic() + 60
        while run.poll() is None and count_lines(path) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(dice.random() * 0.02)
        assert run.poll() is None, run.communicate()
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        kills += 1
        now = len(read_records(path))
        assert now >= seen  # what was recorded stays
        seen = now
    assert seen < count * samples
    last = start(url, tmp_path / "killed", suite)
    _, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    assert f"{count * samples - seen} of {count * samples} items to generate" in err
    records = read_records(path)
    assert len(records) == count * samples
    assert said(records) == said(read_records(tmp_path / "whole/tasks/sums/records.jsonl"))
    # A kill loses what is under way, and at most one batch that waits for its grader.
    assert asked(url) - before <= count * samples + KILLS * 2 * PARALLEL
    both = [
        json.loads((tmp_path / name / "results.json").read_text())["tasks"]["sums"]
        for name in ("whole", "killed")
    ]
    for one in both:
        for name in ("seconds", "tokens_per_second"):
            del one[name]
    assert both[0] == both[1]


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/asked", timeout=10) as reply:
        return int(json.load(reply)["asked"])
