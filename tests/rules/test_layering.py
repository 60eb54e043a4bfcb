"""Who may import whom: the table of the design, for imports at any depth of a module.

An import inside a function counts like one at the top; `import_module("name")` counts too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("conf", "rewards", "data_prep", "eval", "launch", "recipes")
HEAVY = {
    "accelerate",
    "peft",
    "ray",
    "tensordict",
    "torch",
    "transfer_queue",
    "transformers",
    "trl",
    "verl",
    "vllm",
}
MANAGER = ("rewards.verl_manager",)  # verl loads it by its path; nothing of ours imports it
CONF_MAY_IMPORT = {"hydra", "omegaconf", "pydantic"}

# Package → what it may import of ours, as dotted prefixes (its own package always).
OURS = {
    "conf": (),
    "rewards": ("conf",),
    "data_prep": ("conf", "rewards"),
    "eval": (
        "conf",
        "rewards",
        "data_prep.rows",
        "data_prep.sources",
        "data_prep.inspection.mathml",
    ),
    "launch": ("conf",),
    "recipes": ("rewards", "data_prep.rows"),
}
# Where the heavy libraries may be reached, as path patterns, and which of them.
HEAVY_ALLOWED = {
    "rewards/verl_manager.py": {"torch", "verl", "tensordict"},
    "data_prep/backends/verl_*.py": {"torch", "verl"},  # subclasses of verl's dataset classes
    "data_prep/backends/*.py": {"ray", "torch", "transformers"},
    "eval/generation/*.py": {"ray", "torch", "transformers", "vllm"},
    "launch/bridge/*.py": HEAVY,
    "launch/cpu_platform/*.py": HEAVY,
    "launch/jobs/*.py": {"ray"},
}


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports by an absolute name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else None
            name = function.id if isinstance(function, ast.Name) else name
            if name in ("import_module", "__import__") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield node.lineno, first.value


def is_below(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the prefixes or inside it."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def violations(path: Path, text: str) -> list[str]:
    """What one module imports and must not."""
    package = path.parts[0]
    heavy = next((a for glob, a in HEAVY_ALLOWED.items() if path.match(glob)), set())
    found = []
    for line, name in imported(ast.parse(text)):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == package:
            allowed = not is_below(name, MANAGER)
        elif top in PACKAGES or top == "tests":
            allowed = is_below(name, OURS[package]) and not is_below(name, MANAGER)
        elif top in HEAVY:
            allowed = top in heavy
        else:
            allowed = package != "conf" or top in CONF_MAY_IMPORT
        if not allowed:
            found.append(f"{path}:{line} imports {name}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_what_the_design_allows(
    package: str, modules: dict[Path, str]
) -> None:
    ours = {path: text for path, text in modules.items() if path.parts[0] == package}
    assert ours, f"{package} holds no tracked module"
    assert [v for path, text in ours.items() for v in violations(path, text)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conf/a.py", "import numpy"),
        ("conf/a.py", "from rewards import registry"),
        ("rewards/a.py", "def f():\n    import torch"),
        ("rewards/a.py", "from rewards.verl_manager import Manager"),
        ("data_prep/a.py", "from eval.statistics.intervals import wilson"),
        ("eval/report.py", "from vllm import LLM"),
        ("eval/a.py", "from data_prep.build import build"),
        ("launch/grpo.py", "import verl.trainer.main_ppo"),
        ("launch/a.py", "import importlib\nimportlib.import_module('rewards.registry')"),
        ("launch/jobs/client.py", "import torch"),
        ("recipes/a/reward.py", "from launch.compose import compose"),
    ],
)
def test_a_planted_violation_is_found(path: str, text: str) -> None:
    assert len(violations(Path(path), text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("conf/a.py", "from omegaconf import DictConfig\nimport json"),
        ("eval/generation/engine.py", "def f():\n    from vllm import LLM"),
        ("eval/a.py", "from data_prep.rows import Row"),
        ("launch/bridge/rl.py", "import ray, verl"),
        ("launch/jobs/client.py", "from ray.job_submission import JobSubmissionClient"),
        ("recipes/a/reward.py", "from rewards.numbers import same"),
    ],
)
def test_what_the_design_allows_is_not_refused(path: str, text: str) -> None:
    assert violations(Path(path), text) == []
