"""The words of `eval.compare`: what they mean, what is refused, and what help costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import ConfigError
from eval.comparison.request import parse


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "b", "trianed=[x]"], "trained=…"),
        (["a", "b", "seed=-1"], "seed=-1"),
        (["a", "b", "pairs=some"], "pairs"),
        (["out=x"], "no model"),
    ],
)
def test_words_that_mean_nothing_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(words)
    assert said in str(raised.value)


def test_lists_and_defaults_are_read() -> None:
    found = parse(["a", "b/c.jsonl", "trained=[gsm8k, math500]"])
    assert found.trained == ("gsm8k", "math500")
    assert found.out == Path("b/comparison")
    assert parse(["a", "b", "trained=[]"]).trained == ()
    assert parse(["a", "b"]).trained is None


def test_help_is_quick_and_lists_the_keys(repo: Path) -> None:
    code = (
        "import sys; sys.argv=['x','--help']; from eval.compare import main\n"
        "try: main()\n"
        "except SystemExit: print('scipy' in sys.modules, 'vllm' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for key in ("out=", "control=", "trained=", "contamination=", "pairs="):
        assert key in shown
    assert shown.splitlines()[-1] == "False False"
