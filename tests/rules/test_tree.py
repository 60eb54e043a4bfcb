"""The shape of the repository: its top level, its one configuration home, nothing of one machine.

The forbidden strings are put together from parts, so that this file does not contain them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "conf",
    "data_prep",
    "docs",
    "eval",
    "launch",
    "pyproject.toml",
    "recipes",
    "rewards",
    "tests",
}
# data_prep: its declared sources; eval: its tasks
YAML_HOMES = {"conf", "data_prep", "eval", "recipes", "tests"}
MACHINE_PATH = re.compile(
    r"(?<![\w.$}/-])/(?:"
    + "|".join(["ro" + "ot", "wo" + "rk", "ho" + "me", "Us" + "ers"])
    + r")/(?!me\b|you\b)\w"
)
REGISTRY = re.compile(
    "|".join(
        [
            r"py" + r"pi\.(org|python)",
            r"python" + r"hosted\.org",
            r"download\.py" + r"torch\.org",
            r"py" + r"torch\.org/whl",
            r"conda\.ana" + r"conda\.org",
            r"art" + r"ifactory",
            r"(extra-)?index" + r"-url\s*[= ]\s*\S",
            r"find" + r"-links\s*[= ]\s*\S",
        ]
    ),
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def texts(repo: Path, tracked: list[Path]) -> dict[Path, str]:
    """The tracked files that are text."""
    found = {}
    for name in tracked:
        data = (repo / name).read_bytes()
        if b"\0" not in data[:8000]:
            found[name] = data.decode("utf-8", errors="replace")
    return found


def matches(pattern: re.Pattern[str], texts: dict[Path, str]) -> list[str]:
    """`file:line: text` of every match."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_top_level_holds_the_fixed_entries_only(tracked: list[Path]) -> None:
    assert {name.parts[0] for name in tracked} <= TOP_LEVEL


def test_no_file_names_a_path_of_one_machine(texts: dict[Path, str]) -> None:
    assert matches(MACHINE_PATH, texts) == []


def test_no_file_names_a_package_registry(texts: dict[Path, str]) -> None:
    assert matches(REGISTRY, texts) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (MACHINE_PATH, "path = '/ro" + "ot/models'"),
        (MACHINE_PATH, "cd /wo" + "rk/x"),
        (MACHINE_PATH, "/ho" + "me/alice/data"),
        (REGISTRY, "https://py" + "pi.org/simple"),
        (REGISTRY, "--extra-index" + "-url https://somewhere"),
        (REGISTRY, "https://download.py" + "torch.org"),
    ],
)
def test_a_planted_name_is_found(pattern: re.Pattern[str], line: str) -> None:
    assert matches(pattern, {Path("a"): line})


@pytest.mark.parametrize(
    "line",
    [
        "tests/wo" + "rk/x",
        "$" + "{ro" + "ot}/wo" + "rk/a",
        "https://a.b/wo" + "rk/c",
        "~/x",
        "/home/me/x",
    ],
)
def test_an_ordinary_path_is_not(line: str) -> None:
    assert matches(MACHINE_PATH, {Path("a"): line}) == []


def test_configuration_has_one_home(tracked: list[Path]) -> None:
    yaml = [name for name in tracked if name.suffix in (".yaml", ".yml")]
    assert yaml, "no configuration is tracked"
    assert [str(name) for name in yaml if name.parts[0] not in YAML_HOMES] == []


def test_no_test_folder_is_a_package(tracked: list[Path]) -> None:
    """With one, `import tests` could mean ours or the one that verl's wheel installs."""
    assert [n for n in tracked if n.parts[0] == "tests" and n.name == "__init__.py"] == []
