"""`kill -9` at twenty random points of a preparation in stages; `test_prepare` kills a plain one.

After each kill the folder is absent or whole; the last attempt ends in the same bytes as one that
was never disturbed, and leaves nothing beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
KILLS = 20

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep.prepare", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no shared data beside the checkout")
def test_kill_at_twenty_random_points(tmp_path: Path) -> None:
    gsm8k = {"name": "gsm8k", "local": str(GSM8K), "options": {"train_size": 600, "test_size": 300}}
    sums = {"name": "arithmetic", "options": {"train_size": 300, "sft_size": 300}}
    spec = {"source": [gsm8k, sums], "filters": "exact_duplicates", "shard_rows": 200,
            "mix": {"temperature": 2}}  # fmt: skip
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    words = ["--spec", str(tmp_path / "spec.json")]
    began = time.monotonic()
    assert start(*words, f"out={tmp_path / 'whole'}").wait() == 0
    lasts = time.monotonic() - began
    reference = digests(tmp_path / "whole")
    draw = random.Random(7)
    out = tmp_path / "out"
    killed = 0
    while killed < KILLS:
        began = time.monotonic()
        victim = start(*words, f"out={out}")
        try:
            victim.wait(draw.uniform(lasts / 4, lasts))  # before, it imports
            lasts = min(lasts, time.monotonic() - began)  # the first may have had a busy machine
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            killed += 1
        if out.exists():
            assert digests(out) == reference
            for path in out.iterdir():
                path.unlink()
            out.rmdir()
    assert start(*words, f"out={out}").wait() == 0
    assert digests(out) == reference
    assert {path.name for path in tmp_path.iterdir()} == {"spec.json", "whole", "out"}
