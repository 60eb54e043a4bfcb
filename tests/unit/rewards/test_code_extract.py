"""Which fenced block is the program."""

from __future__ import annotations

import pytest

from rewards.code.extract import extract_code


@pytest.mark.parametrize(
    ("response", "wanted", "program"),
    [
        ("Text\n```python\nx = 1\n```\nmore", (), "x = 1"),
        ("```\nx = 1\n```", (), "x = 1"),
        ("```Python3\nx = 1\n```", (), "x = 1"),
        ("~~~py\nx = 1\n~~~", (), "x = 1"),
        ("```python\r\nx = 1\r\n```\r\n", (), "x = 1\r"),
        ("1. Like so:\n   ```python\n   if x:\n       y\n   ```", (), "if x:\n    y"),
        ("```python\na\n```\n```python\nb\n```", (), "b"),
        ("```python\ndef f(): pass\n```\nUse:\n```python\nf()\n```", ("f",), "def f(): pass"),
        (
            "```python\nclass Solution: pass\n```\n```\nout\n```",
            ("Solution",),
            "class Solution: pass",
        ),
        ("```python\nx\n```\n```bash\npip install\n```", (), "x"),
        ("```python\nx\n```\n```json\n{}\n```\n```text\n3\n```", (), "x"),
        ("<think>\n```python\nwrong\n```\n</think>\n```python\nright\n```", (), "right"),
        ("cut off by a stop string:\n```python\nx = 1\n", (), "x = 1\n"),
        ("````python\ns = '''\n```\n'''\n````", (), "s = '''\n```\n'''"),
    ],
)
def test_the_program_is_found(response: str, wanted: tuple[str, ...], program: str) -> None:
    assert extract_code(response, wanted) == program


@pytest.mark.parametrize(
    "response",
    [
        "",
        "x = 1",
        "```bash\nls\n```",
        "```python\n\n```",
        "<think>\n```python\nx\n```\n</think> I do not know.",
        "```python\n" + "x = 1\n" * 50_000 + "```",
    ],
)
def test_a_response_without_a_program(response: str) -> None:
    assert extract_code(response) is None


def test_bare_code_counts_only_when_allowed() -> None:
    assert extract_code("x = 1", require_fence=False) == "x = 1"
    assert extract_code("```bash\nls\n```", require_fence=False) is None
