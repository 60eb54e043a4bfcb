"""The Makefile finds a Python that will do, says so when there is none, and lists its targets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def make(repo: Path, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make with a PATH of our choice and none of the variables of an outer make."""
    environment = {k: v for k, v in os.environ.items() if not re.match("MAKE|MFLAGS|PYTHON", k)}
    return subprocess.run(
        [str(shutil.which("make")), *words],
        cwd=repo,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def script(folder: Path, name: str, text: str) -> None:
    """Write an executable."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def only(tmp_path: Path) -> Path:
    """A folder to use as PATH: a shell's needs and no Python."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    return tmp_path


def test_no_python_is_one_clear_line(repo: Path, only: Path) -> None:
    script(only, "python3", "exit 1")  # a version that will not do
    done = make(repo, str(only), "setup")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert lines == [
        "error: no Python 3.11 or 3.12 on PATH → make setup PYTHON=/path/to/python3.12"
    ]


def test_first_python_that_will_do_is_taken(repo: Path, only: Path) -> None:
    script(only, "python3", "exit 1")
    script(only, "python3.12", "exit 127")  # a shim without the version behind it
    (only / "python3.11").symlink_to(sys.executable)
    done = make(repo, str(only), "-n", "setup")
    assert re.search(r'py="python3\.11"', done.stdout), done.stdout + done.stderr
    assert "--this-python" not in done.stdout


def test_a_python_that_the_user_names_is_used_for_the_venv(repo: Path) -> None:
    done = make(repo, os.environ["PATH"], "-n", "setup", "PYTHON=/x/python3.12", "HARDWARE=gpu")
    assert "/x/python3.12" in done.stdout
    assert "--hardware gpu --this-python" in done.stdout.replace("  ", " ")


def test_help_lists_each_target_of_the_readme(repo: Path) -> None:
    done = make(repo, os.environ["PATH"])
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.strip()}
    assert {"setup", "check", "test", "test-full", "bench", "demo", "help"} <= listed


@pytest.mark.parametrize("target", ["demo", "test", "check", "test-full", "bench"])
def test_each_target_sets_up_first(repo: Path, target: str) -> None:
    first = make(repo, os.environ["PATH"], "-n", target).stdout.splitlines()[0]
    assert "-m launch.bootstrap" in first


@pytest.mark.parametrize(
    ("failing", "code"), [("", 0), ("test", 1), ("test-full", 1), ("test test-full", 1)]
)
def test_ci_runs_both_commands_and_fails_with_either(
    repo: Path, tmp_path: Path, failing: str, code: int
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy2(repo / ".ci/run", tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    script(
        tmp_path / "bin",
        "make",
        'read -r line && echo "stdin is open"\n'
        'echo "called: $* CI=$CI"\n'
        'echo "===== 3 passed in 1.0s ====="\n'
        f'for f in {failing}; do [ "$f" = "$1" ] && exit 2; done; exit 0',
    )
    done = subprocess.run(
        [tmp_path / ".ci/run"],
        env=os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        input="typed\n",
        timeout=30,
        check=False,
    )
    said = done.stdout.splitlines()
    called = [line for line in said if line.startswith("called")]
    assert called == ["called: test CI=true", "called: test-full CI=true"]
    assert done.returncode == code
    assert said[-4].startswith(f"== test: exit {2 if 'test' in failing.split() else 0}")
    assert said[-2].startswith(f"== test-full: exit {2 if 'test-full' in failing else 0}")
    assert said[-1] == "===== 3 passed in 1.0s ====="
