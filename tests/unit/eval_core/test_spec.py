"""The specification: what is read, what is refused, and what the user is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conf.errors import ConfigError
from eval.spec import EvalSpec, help_text, parse

NEEDED = ["out=o", "data=d.parquet", "models.before=m", "reward=math"]


def test_words_become_typed_values() -> None:
    spec = parse(
        [*NEEDED, "models.after=7", "n=40", "kv_cache_gb=2", "enforce_eager=false", "out=5",
         "reward_options.tolerance=0.1", "reward_options.mode=strict"]
    )  # fmt: skip
    assert spec.models == {"before": "m", "after": "7"}
    assert (spec.n, spec.kv_cache_gb, spec.enforce_eager, spec.out) == (40, 2.0, False, "5")
    assert spec.reward_options == {"tolerance": 0.1, "mode": "strict"}
    assert parse(NEEDED).n == 500


def test_a_file_gives_values_that_words_override(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"out": "o", "data": "d", "reward": "math", "models": {"a": "1"}}))
    spec = parse(["--spec", str(path), "out=p", "models.b=2"])
    assert (spec.out, spec.models) == ("p", {"a": "1", "b": "2"})
    with pytest.raises(ConfigError, match="--spec"):
        parse(["--spec", str(tmp_path / "nix.json")])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("max_token=8", "did you mean max_tokens="),
        ("modles.after=x", "did you mean models"),
        ("n=0", "n: .*greater than or equal to 1, got 0"),
        ("n=many", "n: .*valid integer, got 'many'"),
        ("n=true", "n: .*valid integer"),
        ("enforce_eager=1", "enforce_eager: "),
        ("gpu_memory_utilization=1.5", "less than or equal to 1"),
        ("models.verdict=m", "label 'verdict'"),
        ("models.a/b=m", "label 'a/b'"),
        ("models.b=m models.c=m", "at most 2"),
        ("fast", "need key=value"),
        ("reward=", "reward: "),
    ],
)
def test_a_bad_word_gets_one_line(word: str, told: str) -> None:
    words = [*NEEDED, *word.split()]
    with pytest.raises(ConfigError, match=told) as caught:
        parse(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", NEEDED)
def test_what_is_needed_is_asked_for(word: str) -> None:
    key = word.partition("=")[0].partition(".")[0]
    with pytest.raises(ConfigError, match=f"{key} is missing"):
        parse([other for other in NEEDED if other != word])


def test_help_names_each_key_with_its_default() -> None:
    text = help_text()
    for name, item in EvalSpec.model_fields.items():
        assert f"  {name} " in text
        assert item.description


def test_help_is_quick_and_bad_words_end_with_their_code() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "eval.run", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )  # what takes time to import is named; a clock would measure the machine
    assert "max_tokens" in shown.stdout
    for heavy in ("torch", "vllm", "transformers", "scipy.stats", "pyarrow"):
        assert f" {heavy}\n" not in shown.stderr
    bad = subprocess.run([sys.executable, "-m", "eval.run", "nn=3"], capture_output=True, text=True)
    assert bad.returncode == ConfigError.exit_code
    assert bad.stderr.startswith("error: ") and bad.stderr.count("\n") == 1
