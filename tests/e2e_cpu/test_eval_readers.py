"""Exported logs in the programs they are for: inspect_ai's own loader.

inspect_ai wants other versions of what verl pins, so it is installed in a folder of its own, and
the test of the export runs there once more, where it does not skip.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
INSPECT = "inspect-ai==0.3.285"


@pytest.fixture(scope="module")
def inspect_ai(repo: Path) -> Path:
    """The folder that holds it, kept for the next time."""
    folder = repo / ".cache" / INSPECT
    if not folder.is_dir():
        made = folder.with_suffix(".new")
        uv = Path(sys.executable).parent / "uv"
        install = [str(uv), "pip", "install", "--python", sys.executable, "--target", str(made)]
        subprocess.run([*install, INSPECT], check=True)
        made.rename(folder)
    return folder


def test_inspect_ai_reads_our_logs(inspect_ai: Path, repo: Path) -> None:
    test = "tests/unit/eval_errors/test_eval_export.py"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            test,
            "-k",
            "inspect_reads",
            "-q",
            "-p",
            "no:cacheprovider",
        ],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(inspect_ai)},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]
