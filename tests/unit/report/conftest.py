"""Run folders as verl and temper leave them, in verl 0.9.1's own metric names and dump formats."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "run_folders", Path(__file__).parent / "run_folders.py"
)
run_folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(run_folders)


@pytest.fixture
def folders():
    """The module that builds run folders (tests have no package to import it from)."""
    return run_folders


@pytest.fixture
def run(tmp_path, folders):
    """A GRPO run of 50 steps that went well, killed and resumed once."""
    return folders.grpo_run(tmp_path / "runs" / "arithmetic" / "grpo")
