"""A reward worker's memory stays flat, whether the trainer drains its ledger or nobody does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import gc, sys
from rewards.verl_entry import compute_score, drain

def resident():
    gc.collect()
    fields = open("/proc/self/statm").read().split()
    return int(fields[1]) * 4096

def verdicts(count):
    for n in range(count):
        info = {"id": str(n), "index": str(n), "response_tokens": n % 99}
        compute_score("s", f"#### {n}" + "x" * (n % 500), str(n % 7), info, reward="exact")
        if n % 512 == 0 and sys.argv[1] == "drained":
            drain()

verdicts(70_000)
before = resident()
verdicts(100_000)
print((resident() - before) / 1e6)
"""


@pytest.mark.full
@pytest.mark.parametrize("mode", ["drained", "never drained"])
def test_100k_verdicts_take_no_memory(mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, mode],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 3.0  # MB
