"""The GPU check as a test: what `run_gpu.py` measures must hold on this host's GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.gpu
@pytest.mark.timeout(1800)
def test_recipes_train_on_a_gpu(tmp_path: Path) -> None:
    script = Path(__file__).with_name("run_gpu.py")
    done = subprocess.run(
        [sys.executable, str(script), "--out", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    report = json.loads(done.stdout)
    assert done.returncode == 0 and all(report["checks"].values()), report
