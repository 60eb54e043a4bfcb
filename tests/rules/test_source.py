"""What no module may contain, whatever it does; each rule also refuses a planted example."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

MAX_LINES = 400
MAX_TEST_LINES = 450  # an end-to-end test tells one long story over shared, costly fixtures
MAX_MAIN_LINES = 40
# Named exceptions to "no device literal outside conf and the platform", each with its reason.
CUDA_ALLOWED = (
    "launch/cpu_platform/*.py",  # the platform itself
    "launch/preflight*",  # compares what torch, nvidia-smi and the environment say of devices
    "launch/preflight/*.py",
    "launch/bridge/environment.py",  # the value by which verl chooses its device-agnostic engine
)
CONFIG_NAMES = re.compile(r"^(config|cfg|conf|configuration)$|_(config|cfg)$")


@cache
def parsed(text: str) -> ast.Module:
    """A module's tree, parsed once for all rules."""
    return ast.parse(text)


@cache
def nodes(text: str) -> list[ast.AST]:
    """All nodes of it."""
    return list(ast.walk(parsed(text)))


def too_long(path: Path, text: str) -> Iterator[str]:
    """More lines than a reader holds."""
    lines, most = len(text.splitlines()), MAX_LINES
    if Path(path).parts[0] == "tests":
        most = MAX_TEST_LINES
    if lines > most:
        yield f"{lines} lines, at most {most}"


def no_docstring(_path: Path, text: str) -> Iterator[str]:
    """A module that does not say what it is for."""
    if not ast.get_docstring(parsed(text)):
        yield "no module docstring"


def long_main(path: Path, text: str) -> Iterator[str]:
    """An entry point that does more than compose, validate and hand over."""
    if path.parts[0] == "tests":
        return
    for node in parsed(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == "main":
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_MAIN_LINES:
                yield f"line {node.lineno}: main has {lines} lines, at most {MAX_MAIN_LINES}"


def config_default(path: Path, text: str) -> Iterator[str]:
    """A second default for a configuration's key, beside the one in conf/."""
    for node in nodes(text):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "get" or len(node.args) + len(node.keywords) < 2:
            continue
        holder = node.func.value
        name = holder.attr if isinstance(holder, ast.Attribute) else None
        name = holder.id if isinstance(holder, ast.Name) else name
        if name and CONFIG_NAMES.search(name):
            yield f"line {node.lineno}: {name}.get with a default"


def cuda_literal(path: Path, text: str) -> Iterator[str]:
    """A device named outside the places that decide it."""
    if path.parts[0] == "tests" or any(path.match(glob) for glob in CUDA_ALLOWED):
        return
    for node in nodes(text):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and re.fullmatch(r"cuda(:\d+)?", value):
            yield f"line {node.lineno}: device literal {value!r}"


def environment_write(path: Path, text: str) -> Iterator[str]:
    """The process's environment changed outside launch."""
    if path.parts[0] in ("launch", "tests"):
        return
    writers = {"update", "setdefault", "pop", "popitem", "clear", "putenv", "unsetenv"}
    for node in nodes(text):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = [t.value for t in node.targets if isinstance(t, ast.Subscript)]
        elif isinstance(node, ast.AugAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            targets = [node.func.value, node.func] if node.func.attr in writers else []
        if any(re.match(r"(os\.)?(environ|putenv|unsetenv)$", ast.unparse(t)) for t in targets):
            yield f"line {node.lineno}: writes the environment"


def swallowed(_path: Path, text: str) -> Iterator[str]:
    """An error that nobody will hear of."""
    for node in nodes(text):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
            if node.type is None or (broad and silent):
                yield f"line {node.lineno}: swallows every error"


def leftover(_path: Path, text: str) -> Iterator[str]:
    """Work put off, or a test switched off; under an `if` it may say what this machine lacks."""
    marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
    for number, line in enumerate(text.splitlines(), 1):
        if any(re.search(rf"\b{mark}\b", line) for mark in marks):
            yield f"line {number}: unfinished work"
        off = re.search(
            r"pytest\." + r"mark\.(skip|xfail)\b|^ {0,4}pytest\." + r"(skip|xfail)\(", line
        )
        if off:
            yield f"line {number}: a test switched off"


Rule = Callable[[Path, str], Iterator[str]]
RULES: list[Rule] = [
    too_long,
    no_docstring,
    long_main,
    config_default,
    cuda_literal,
    environment_write,
    swallowed,
    leftover,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps_the_rule(rule: Rule, modules: dict[Path, str]) -> None:
    assert [f"{path} {said}" for path, text in modules.items() for said in rule(path, text)] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (too_long, "eval/a.py", "x = 1\n" * (MAX_LINES + 1)),
        (no_docstring, "eval/a.py", "x = 1\n"),
        (long_main, "launch/a.py", "def main():\n" + "    x = 1\n" * MAX_MAIN_LINES),
        (config_default, "launch/a.py", "config.get('a', 1)"),
        (config_default, "launch/a.py", "self.job_config.get('a', default=1)"),
        (cuda_literal, "eval/a.py", "device = 'cuda'"),
        (cuda_literal, "launch/grpo.py", "device = 'cuda:0'"),
        (environment_write, "eval/a.py", "import os\nos.environ['A'] = '1'"),
        (environment_write, "rewards/a.py", "from os import environ\nenviron.update(a='1')"),
        (environment_write, "conf/a.py", "import os\nos.putenv('A', '1')"),
        (environment_write, "conf/a.py", "import os\ndel os.environ['A']"),
        (swallowed, "eval/a.py", "try:\n    f()\nexcept:\n    g()"),
        (swallowed, "eval/a.py", "try:\n    f()\nexcept Exception:\n    pass"),
        (leftover, "eval/a.py", "# TO" + "DO: later"),
        (leftover, "tests/unit/test_a.py", "@pytest.mark." + "skip"),
        (leftover, "tests/unit/test_a.py", "    pytest." + "skip('later')"),
    ],
)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str) -> None:
    assert len(list(rule(Path(path), text))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (config_default, "launch/a.py", "config.get('a')\ncounts.get('a', 0)"),
        (cuda_literal, "launch/preflight/gpus.py", "device = 'cuda'"),
        (environment_write, "eval/a.py", "import os\nx = os.environ['A']\nd = {}\nd['a'] = x"),
        (environment_write, "launch/a.py", "import os\nos.environ['A'] = '1'"),
        (swallowed, "eval/a.py", "try:\n    f()\nexcept OSError:\n    pass"),
        (leftover, "tests/unit/test_a.py", "@pytest.mark.skipif(no_gpu(), reason='needs a GPU')"),
        (leftover, "tests/unit/test_a.py", "    if not gpu:\n        pytest." + "skip('no GPU')"),
    ],
)
def test_what_is_allowed_is_not_refused(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Path(path), text)) == []
