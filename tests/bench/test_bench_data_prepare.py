"""`make bench`: GSM8K against `datasets.map`, and two million rows in little memory.

1. Each side runs in a process of its own, in turns, and writes Parquet: RL and SFT rows of both
   splits. `ours` builds the same rows and no more; `ours_default` also tries each gold answer with
   its verifier and decontaminates. Printed as one JSON line: seconds from start to end, seconds
   without the imports, CPU seconds, peak resident memory. The rows of both sides are compared, so
   neither can be fast by doing less. What is compared are ratios in one run.
2. Two million generated rows, mixed and sharded: at most 3 GB resident, every row there once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_prep.manifest import read_manifest
from data_prep.sources.gsm8k import INSTRUCTION

ROOT = Path(__file__).resolve().parents[2]
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
ROUNDS = 5
ROWS, PEAK_GB = 2_000_000, 3.0
GENERATED = """
TEXT = "A farmer keeps {a} hens and {b} geese on {c} fields and sells {d} eggs a day. " * 6
def rows(spec):
    for split, count in (("train", spec.options["n"]), ("test", 100)):
        for i in range(count):
            text = TEXT.format(a=i % 97, b=i % 89, c=i % 83, d=i % 7)
            yield {"split": split, "prompt": f"Task {split} {i}. {text}", "gold": str(i)}
"""

OURS = """
import sys, time
from data_prep.prepare import prepare
import pyarrow.parquet
began = time.perf_counter()
prepare({"source": "gsm8k", "local": sys.argv[1], "out": sys.argv[2], OPTIONS})
print(time.perf_counter() - began, PEAK)
"""
THEIRS = """
import re, sys, time
import datasets
began = time.perf_counter()
datasets.disable_progress_bars()
local, out, cache = sys.argv[1:]
files = {"train": f"{local}/train.jsonl.gz", "test": f"{local}/test.jsonl"}
data = datasets.load_dataset("json", data_files=files, cache_dir=cache)

def rl(example, index, split):
    gold = re.search(r"####\\s*(\\S[^\\n]*?)\\s*$", example["answer"])[1]
    return {
        "prompt": [{"role": "user", "content": example["question"] + " " + INSTRUCTION}],
        "data_source": "openai/gsm8k",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": re.sub(r"(?<=\\d),(?=\\d{3})", "", gold)},
        "extra_info": {"split": split, "index": str(index), "id": f"openai/gsm8k/{split}/{index}",
                       "licence": "MIT", "source": "openai/gsm8k"},
    }

def sft(example, index, split):
    answer = re.sub(r"<<[^<>]*>>", "", example["answer"])
    prompt = example["question"] + " " + INSTRUCTION
    return {
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
        "id": f"openai/gsm8k/sft_{split}/{index}", "source": "openai/gsm8k", "licence": "MIT",
        "split": split, "index": str(index),
    }

for split in ("train", "test"):
    for function, name in ((rl, split), (sft, f"sft_{split}")):
        made = data[split].map(function, with_indices=True, fn_kwargs={"split": split},
                               remove_columns=["question", "answer"])
        made.to_parquet(f"{out}/{name}.parquet")
print(time.perf_counter() - began, PEAK)
"""

MANY = """
import sys, time
from data_prep.prepare import main
began = time.perf_counter()
main(["--spec", sys.argv[1]])
print(time.perf_counter() - began, PEAK)
"""
# Of this process alone: `ru_maxrss` counts what its parent held when it was started.
PEAK = """int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024"""

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]


def run(code: str, *arguments: Path) -> dict[str, float]:
    """One process: what it cost."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", code.replace("PEAK", PEAK), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0, said
    return {
        "seconds": time.perf_counter() - began,
        "converting_s": float(said.split()[-2]),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": float(said.split()[-1]),
    }


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values agree, nulls and absent fields being one."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(same(ours.get(key), theirs.get(key)) for key in ours.keys() | theirs.keys())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.skipif(not GSM8K.is_dir(), reason="no shared data beside the checkout")
def test_gsm8k_against_datasets_map(tmp_path: Path, aims: Any) -> None:
    pytest.importorskip("datasets")
    theirs_code = THEIRS.replace("INSTRUCTION", repr(INSTRUCTION))
    sides: dict[str, list[dict[str, float]]] = {"ours": [], "ours_default": [], "map": []}
    for n in range(ROUNDS):
        (tmp_path / f"map{n}").mkdir()
        bare = OURS.replace("OPTIONS", "'reward': None, 'decontaminate': False")
        sides["ours"].append(run(bare, GSM8K, tmp_path / f"ours{n}"))
        default = run(OURS.replace("OPTIONS", ""), GSM8K, tmp_path / f"default{n}")
        sides["ours_default"].append(default)
        sides["map"].append(run(theirs_code, GSM8K, tmp_path / f"map{n}", tmp_path / f"cache{n}"))
    for name in ("train", "test", "sft_train", "sft_test"):
        ours, theirs = (
            pq.read_table(tmp_path / f"{side}0" / f"{name}.parquet").to_pylist()
            for side in ("ours", "map")
        )
        assert len(ours) == len(theirs) and all(map(same, ours, theirs))
    median = {
        side: {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        for side, runs in sides.items()
    }
    ratios = {
        f"{key}_{side}": round(
            statistics.median(
                theirs[key] / ours[key]
                for ours, theirs in zip(sides[side], sides["map"], strict=True)
            ),
            2,
        )
        for key in ("seconds", "converting_s", "cpu_s", "peak_mb")
        for side in ("ours", "ours_default")
    }
    shown = {side: {k: round(v, 2) for k, v in one.items()} for side, one in median.items()}
    print("\nBENCH " + json.dumps({"what": "GSM8K against datasets.map", **shown, **ratios}))
    aims.ratio("GSM8K, times datasets.map's speed (CPU)", ratios["cpu_s_ours"], least=1)
    aims.ratio("GSM8K, times as little memory as datasets.map", ratios["peak_mb_ours"], least=1)


def test_two_million_rows_in_three_gigabytes(tmp_path: Path, aims: Any) -> None:
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
    cost = run(MANY, tmp_path / "spec.json")
    peak = cost["peak_mb"] / 1024
    shown = {"peak_gb": round(peak, 2), "cpu_s": round(cost["cpu_s"])}
    print("\nBENCH " + json.dumps({"what": f"{ROWS} rows prepared", **shown}))
    aims.report(f"{ROWS} rows prepared, peak memory", peak, most=PEAK_GB, unit="GB")
    assert peak <= PEAK_GB  # a promise of memory holds on any machine
    manifest = read_manifest(tmp_path / "out")
    shards = sorted((tmp_path / "out").glob("train-*.parquet"))
    assert len(shards) == 16 and sum(manifest.files[p.name].rows or 0 for p in shards) == ROWS
    seen = bytearray(ROWS)
    for shard in shards:
        for info in pq.ParquetFile(shard).read(columns=["extra_info.index"])["extra_info"]:
            seen[int(info["index"].as_py())] += 1
    assert seen == b"\x01" * ROWS
