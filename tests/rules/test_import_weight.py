"""Composing, checking, preparing and reporting load none of the heavy libraries.

Asked in a child process, since this one may have loaded them for another test.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "verl", "ray", "vllm", "transformers", "pandas")
# Modules that exist to reach a heavy library; everything else must load without one.
REACHES_OUT = (
    "eval.generation.backend",
    "launch.bridge",
    "launch.cpu_platform",
    "launch.jobs.client",
    "rewards.verl_manager",
    "data_prep.backends",
)
ENTRY_POINTS = ("conf", "launch", "launch.compose", "rewards", "data_prep", "eval")


def loaded_by(names: list[str], repo: Path) -> dict[str, list[str]]:
    """Import each module in one child; which heavy libraries were there after which import."""
    code = (
        "import importlib, json, sys\n"
        f"heavy, seen, found = {HEAVY!r}, set(), {{}}\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    new = [h for h in heavy if h in sys.modules and h not in seen]\n"
        "    seen.update(new)\n"
        "    if new: found[name] = new\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_entry_points_load_no_heavy_library(repo: Path) -> None:
    assert loaded_by(list(ENTRY_POINTS), repo) == {}


def test_no_other_module_loads_one_either(repo: Path, modules: dict[Path, str]) -> None:
    packages = ("conf", "rewards", "data_prep", "eval", "launch")
    names = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in modules
        if path.parts[0] in packages and path.name != "__main__.py"
    ]
    light = [name for name in names if not name.startswith(REACHES_OUT)]
    assert len(light) > 20
    assert loaded_by(sorted(light), repo) == {}


def test_the_check_sees_a_heavy_library(repo: Path) -> None:
    assert loaded_by(["json", "pandas"], repo) == {"pandas": ["pandas"]}


def test_tests_is_never_the_package_that_verl_installs(repo: Path) -> None:
    here = sys.modules.get("tests")
    where = [Path(entry) for entry in getattr(here, "__path__", [])]
    assert all(entry.is_relative_to(repo / "tests") for entry in where)
    assert "site-packages" not in str(getattr(here, "__file__", ""))
