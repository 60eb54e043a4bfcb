"""`kill -9` at twenty random points, and two million rows: what takes longer than a check may.

1. After each kill the folder is absent or whole; the last attempt ends in the same bytes as one
   that was never disturbed, and leaves nothing beside it.
2. Two million generated rows, mixed and sharded: at most 3 GB resident, every row there once.
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

import pyarrow.parquet as pq
import pytest

from data_prep.manifest import read_manifest

ROOT = Path(__file__).parents[3]
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
KILLS = 20
ROWS = 2_000_000
PEAK_GB = 3.0
GENERATED = """
TEXT = "A farmer keeps {a} hens and {b} geese on {c} fields and sells {d} eggs a day. " * 6
def rows(spec):
    for split, count in (("train", spec.options["n"]), ("test", 100)):
        for i in range(count):
            text = TEXT.format(a=i % 97, b=i % 89, c=i % 83, d=i % 7)
            yield {"split": split, "prompt": f"Task {split} {i}. {text}", "gold": str(i)}
"""

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


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no GSM8K here")
@pytest.mark.parametrize("staged", [True, False])
def test_kill_at_twenty_random_points(tmp_path: Path, staged: bool) -> None:
    words = ["source=gsm8k", f"local={GSM8K}"]
    if staged:
        words = ["data=gsm8k,arithmetic", f"local.gsm8k={GSM8K}", "filters=exact_duplicates",
                 "mix.temperature=2", "shard_rows=2000"]  # fmt: skip
    began = time.monotonic()
    assert start(*words, f"out={tmp_path / 'whole'}").wait() == 0
    lasts = time.monotonic() - began
    reference = digests(tmp_path / "whole")
    draw = random.Random(7)
    out = tmp_path / "out"
    killed = 0
    while killed < KILLS:
        victim = start(*words, f"out={out}")
        try:
            victim.wait(draw.uniform(0.05, lasts))
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
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "out"}


def test_two_million_rows_in_three_gigabytes(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(GENERATED)
    spec = {
        "source": f"{tmp_path / 'many.py'}:rows",
        "options": {"n": ROWS},
        "reward": None,
        "mix": {},
        "decontaminate": False,
        "out": str(tmp_path / "out"),
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    child = start("--spec", str(tmp_path / "spec.json"))
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0
    peak = usage.ru_maxrss / 2**20
    print(f"{ROWS} rows: peak {peak:.2f} GB, {usage.ru_utime + usage.ru_stime:.0f} CPU seconds")
    assert peak <= PEAK_GB
    manifest = read_manifest(tmp_path / "out")
    shards = sorted((tmp_path / "out").glob("train-*.parquet"))
    assert len(shards) == 16 and sum(manifest.files[p.name].rows or 0 for p in shards) == ROWS
    seen = bytearray(ROWS)
    for shard in shards:
        for info in pq.ParquetFile(shard).read(columns=["extra_info.index"])["extra_info"]:
            seen[int(info["index"].as_py())] += 1
    assert seen == b"\x01" * ROWS
