"""`make bench`: grades a second of our grader of mathematics against math-verify's.

GSM8K and MATH rows, right and wrong answers half and half, each behind 1 kB of reasoning; each
grader in a child of its own, one call after the other, every row once, so that no cache helps;
the two in turn, thrice. One JSON line for each set: the median ratio, all rates, and both graders'
errors. The aims are 100 on GSM8K rows and 4 on MATH rows; the ratios are held, and so is that ours
makes no more errors.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
ROWS = {"math": 8000, "math_verify": 500}  # each pair once; the same first pairs for both
ROUNDS = 3
TIMED = """
import json, sys, time
from rewards.peers import GRADERS, WARM_UP
name, path, rows = sys.argv[1:]
pairs = json.load(open(path))[: int(rows)]
grade = GRADERS[name]()
for response, gold in WARM_UP:
    grade(response, gold, {})
wrong, began = 0, time.perf_counter()
for response, gold, label, row in pairs:
    wrong += grade(response, gold, row) is not label
seconds = time.perf_counter() - began
print(json.dumps({"per_second": len(pairs) / seconds, "errors": wrong / len(pairs)}))
"""

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout"),
]


def raised(gold: str) -> str | None:
    """The answer with its first number one larger; None where it has none."""
    changed = re.sub(r"\d+", lambda number: str(int(number[0]) + 1), gold, count=1)
    return changed if changed != gold else None


def gsm8k() -> list[tuple[str, str]]:
    """Reasoning and answer of each row, of both splits: the test split is over in 20 ms."""
    train = gzip.decompress((DATA / "gsm8k" / "train.jsonl.gz").read_bytes()).splitlines()
    rows = [*train, *(DATA / "gsm8k" / "test.jsonl").read_bytes().splitlines()]
    parts = [json.loads(row)["answer"].rpartition("####") for row in rows]
    return [(reasoning, gold.strip()) for reasoning, _, gold in parts]


def mathematics() -> list[tuple[str, str]]:
    """Reasoning and answer of each row whose box has no braces inside braces inside."""
    box = re.compile(r"\\boxed\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
    found = []
    for line in gzip.decompress((DATA / "math" / "test.jsonl.gz").read_bytes()).splitlines():
        solution = json.loads(line)["solution"]
        boxes = box.findall(solution)
        if boxes:
            found.append((box.sub(r"\1", solution), boxes[-1]))
    return found


def pairs(rows: list[tuple[str, str]], form: str, source: str) -> list[tuple[Any, ...]]:
    """Every other answer wrong, each at the end of 1 kB of some rows' reasoning."""
    shuffled = list(rows)
    random.Random(7).shuffle(shuffled)
    made = []
    for reasoning, gold in shuffled:
        text, label = reasoning, len(made) % 2 == 0
        given = gold if label else raised(gold)
        if given is None:
            continue
        while len(text) < 1024:
            text += "\n" + reasoning
        made.append((text[-1024:] + form % given, gold, label, {"data_source": source}))
    return made


def measure(name: str, path: Path) -> dict[str, float]:
    """Rate and share of errors of one grader, in a child."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED, name, str(path), str(ROWS[name])],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(
    ("data", "form", "source", "aim"),
    [
        (gsm8k, "\n#### %s", "openai/gsm8k", 100),
        (mathematics, "\nTherefore, $\\boxed{%s}$.", "DigitalLearningGmbH/MATH-lighteval", 4),
    ],
    ids=["gsm8k", "math"],
)
def test_rate_against_math_verify(
    data: Any, form: str, source: str, aim: int, tmp_path: Path, aims: Any
) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(pairs(data(), form, source)))
    rounds = [(measure("math", path), measure("math_verify", path)) for _ in range(ROUNDS)]
    values: dict[str, Any] = {
        "rows": data.__name__,
        "ratio": round(median(o["per_second"] / t["per_second"] for o, t in rounds), 1),
        "ours_per_second": [round(ours["per_second"]) for ours, _ in rounds],
        "math_verify_per_second": [round(theirs["per_second"]) for _, theirs in rounds],
        "our_errors": max(ours["errors"] for ours, _ in rounds),
        "math_verify_errors": max(theirs["errors"] for _, theirs in rounds),
    }
    print("\nBENCH " + json.dumps(values))
    assert values["our_errors"] <= values["math_verify_errors"]
    what = f"rows of {data.__name__} a second, of math-verify's"
    aims.ratio(what, values["ratio"], least=aim)
