"""No hostile program scores, outlives its deadline or leaves anything behind, tier by tier.

The programs and what counts as a breach are in `hostile/`. The strongest tier of this machine is
tested always, the others and an ordinary user's in the full run. bwrap is taken from PATH.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from rewards.sandbox import tiers

FOLDER = Path(__file__).parent / "hostile"
HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]
NOBODY = 65534
# Each of these must succeed where nothing guards the host, else the suite could not see a breach.
BREACHES = frozenset({"read-secret", "read-passwd", "list-etc"})


@cache
def runner() -> ModuleType:
    """`hostile/runner.py` as a module."""
    spec = importlib.util.spec_from_file_location("hostile_runner", FOLDER / "runner.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_programs_of_every_family() -> None:
    programs = list(runner().programs())
    assert len({(p.family, p.name) for p in programs}) == len(programs) >= 200
    assert min(Counter(p.family for p in programs).values()) >= 50


@pytest.mark.skipif(not HERE, reason="this machine has no isolation tier")
def test_the_strongest_tier_holds() -> None:
    assert runner().hunt(HERE[0]) == []


@pytest.mark.full
@pytest.mark.parametrize("tier", tiers.TIERS[1:3])
def test_each_other_tier_holds(tier: str) -> None:
    if tier not in HERE:
        pytest.skip(tiers.probe(tier, tiers.Setting()))
    assert runner().hunt(tier) == []


@pytest.mark.skipif("landlock" not in HERE, reason="without Landlock nothing tells them apart")
def test_the_suite_sees_a_breach_where_nothing_guards_the_host() -> None:
    said = runner().hunt("unsafe", BREACHES)
    found = {line.split("/")[1].split(" ")[0] for line in said if line.startswith("escape/")}
    assert found == BREACHES


def _other_python() -> str:
    """An interpreter that an ordinary user can reach, with the same rules for our source."""
    for name in ("/usr/bin/python3.12", "/usr/bin/python3.11"):
        if os.access(name, os.X_OK):
            return name
    return ""


@pytest.mark.full
@pytest.mark.parametrize("tier", tiers.TIERS[:3])
def test_each_tier_holds_for_an_ordinary_user(tier: str) -> None:
    python = _other_python()
    if os.geteuid() or not python or shutil.which("setpriv") is None:
        pytest.skip("needs root, setpriv and a Python that all users can reach")
    if tier not in HERE:
        pytest.skip(tiers.probe(tier, tiers.Setting()))
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", python, "-B"]
    done = subprocess.run(
        [*words, str(FOLDER / "runner.py"), tier],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/tmp"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["wrong"] == []
