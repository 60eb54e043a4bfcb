"""A clone without the public data sets says in one line which batteries it has not run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
REASON = "no shared data beside the checkout"
SCRIPTED = f"""
import pytest

@pytest.mark.skipif(True, reason="{REASON}")
@pytest.mark.parametrize("n", [1, 2])
def test_battery(n):
    pass

@pytest.mark.skipif(True, reason="something else")
def test_other():
    pass
"""


def run(folder: Path, text: str) -> str:
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (folder / "test_data_sets.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout


def test_what_was_not_run_is_named(tmp_path: Path) -> None:
    said = run(tmp_path, SCRIPTED)
    assert f"2 tests not run, {REASON} (../shared/data): data_sets (2)\n" in said
    assert "not run" not in run(tmp_path, "def test_nothing():\n    pass\n")


def test_each_test_of_public_data_gives_that_reason() -> None:
    """A file that looks for `shared/data` and skips does so for the one reason."""
    other = []
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        looks = re.search(r'"shared"\s*/\s*"data"|shared/data', text)
        if (
            looks
            and path != Path(__file__)
            and re.search(r"skipif\(not \w*DATA|GSM8K\.is_dir", text)
        ):
            other += [path.name] if REASON not in text else []
    assert other == []
