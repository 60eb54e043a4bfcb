"""The benches' aims: what is held fails, what is reported does not, and the table names both.

1. A ratio fails past its aim and the noise, not within it; a number of one machine never fails.
2. Each is printed with value, aim and met or missed, and the run ends with the missed ones.
3. Every bench holds or reports something.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[2] / "bench"
SCRIPTED = """
import pytest

@pytest.mark.parametrize("value", [10, 9.1, 8.9])
def test_least(aims, value):
    aims.ratio(f"rate {value}", value, least=10)

@pytest.mark.parametrize("value", [1.0, 1.09, 1.11])
def test_most(aims, value):
    aims.ratio(f"cost {value}", value, most=1)

def test_reported(aims):
    aims.report("a slow machine", 99, most=10, unit="ms")
    aims.report("a fast one", 9, most=10, unit="ms")

def test_of_nothing(aims):
    with pytest.raises(ValueError, match="need one of them"):
        aims.ratio("x", 1)
"""


def run(folder: Path, text: str) -> str:
    """Stdout of pytest on a scripted bench beside the benches' own conftest."""
    (folder / "conftest.py").write_text((BENCHES / "conftest.py").read_text())
    (folder / "test_scripted.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_what_is_held_and_what_is_reported(tmp_path: Path) -> None:
    said = run(tmp_path, SCRIPTED)
    assert "2 failed, 6 passed" in said
    assert "AssertionError: rate 8.9: 8.9, aim ≥ 10 (noise 10%)" in said
    assert "AssertionError: cost 1.11: 1.11, aim ≤ 1 (noise 10%)" in said
    table = said.partition("= aims =")[2].splitlines()[1:]
    assert table[0] == "3 of 8 aims met"
    assert table[1:6] == [
        "missed  rate 9.1: 9.1, aim ≥ 10",
        "missed  rate 8.9: 8.9, aim ≥ 10",
        "missed  cost 1.09: 1.09, aim ≤ 1",
        "missed  cost 1.11: 1.11, aim ≤ 1",
        "missed  a slow machine: 99 ms, aim ≤ 10 ms",
    ]
    lines = [json.loads(x[6:]) for x in said.splitlines() if x.startswith("BENCH ")]
    assert [line["met"] for line in lines] == [True, False, False, True, False, False, False, True]
    slow = {"what": "a slow machine", "value": 99, "aim": "≤ 10 ms", "met": False, "held": False}
    assert slow in lines


def test_a_run_without_aims_has_no_table(tmp_path: Path) -> None:
    assert "aims" not in run(tmp_path, "def test_nothing():\n    pass\n")


def test_every_bench_has_an_aim() -> None:
    files = sorted(BENCHES.glob("test_*.py"))
    assert files
    without = [f.name for f in files if "aims.ratio(" not in (text := f.read_text())
               and "aims.report(" not in text]  # fmt: skip
    assert without == []
