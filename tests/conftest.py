"""What all tests share: the checkout's root, its tracked files, and an environment without network.

In: the checkout. Out: fixtures. Tests run offline: a test that would wait for a model hub fails
at once instead. What a clone without the public data leaves out stands in one line at the end.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "WANDB_MODE": "disabled",
}
NO_DATA = "no shared data beside the checkout"  # the reason that each such test is skipped with


def pytest_configure() -> None:
    """Set the environment before any test module is imported; xdist's workers inherit it."""
    os.environ.update(OFFLINE)
    # A slow machine is no failure: neither its examples nor how long they take to draw.
    slow = [HealthCheck.too_slow]
    settings.register_profile("temper", deadline=None, suppress_health_check=slow)
    settings.load_profile("temper")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line which batteries the public data sets would have been needed for."""
    skipped = terminalreporter.stats.get("skipped", [])
    files = Counter(
        Path(one.nodeid.partition("::")[0]).stem.removeprefix("test_")
        for one in skipped
        if NO_DATA in str(one.longrepr)
    )
    if files:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(files.items()))
        line = f"{files.total()} tests not run, {NO_DATA} (../shared/data): {named}"
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def tracked(repo: Path) -> list[Path]:
    """The files under version control that are there, relative to the root."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={repo}", "ls-files", "-z"],
        cwd=repo,
        capture_output=True,
        text=True,
        check=True,
    )
    names = [Path(name) for name in listed.stdout.split("\0") if name]
    return [name for name in names if (repo / name).is_file()]


@pytest.fixture(scope="session")
def modules(repo: Path, tracked: list[Path]) -> dict[Path, str]:
    """The text of each tracked Python file."""
    return {
        name: (repo / name).read_text(encoding="utf-8") for name in tracked if name.suffix == ".py"
    }
