"""Loading and calling rewards.

1. By name, by file and by import path; what does not load says which file and line, and the nearest
   name.
2. A plain function gets the fields of the row that it names, its options, and nothing else.
3. Whatever a function raises or returns that is no score is a verifier_error with the place.
4. Installed packages offer rewards by entry point; a name belongs to one of them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.errors import RewardError
from rewards.registry import BUILT_IN, load_reward, plug_ins
from rewards.verdict import STATUSES, Verdict

ROW = {"id": "a/1", "index": "1", "split": "train", "data_source": "a", "num_turns": None}


def write(folder: Path, code: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(textwrap.dedent(code))
    return str(path)


@pytest.mark.parametrize("name", ["math", "exact", "arithmetic", "constant", "random"])
def test_built_ins_load_and_judge(name: str) -> None:
    verdict = load_reward(name).judge("#### 4", "4", ROW)
    assert (verdict.status, verdict.acc) == ("correct", 1.0)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_built_in_loads_and_never_raises(name: str) -> None:
    for response, gold in (("#### 4", "4"), ("", ""), ("x" * 1000, "{}")):
        assert load_reward(name).judge(response, gold, ROW).status in STATUSES


def entry_point(folder: Path, name: str, lines: str) -> None:
    """An installed distribution that offers rewards."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[temper.rewards]\n{lines}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    plug_ins.cache_clear()
    yield tmp_path
    plug_ins.cache_clear()


def test_entry_points(installed: Path) -> None:
    (installed / "pack_of_rewards.py").write_text("def loud(response, gold):\n    return 1\n")
    entry_point(installed, "pack", "loud = pack_of_rewards:loud [extra]\ngone = pack_of_rewards:no")
    assert load_reward("loud").judge("", "").status == "correct"
    assert load_reward("0.5*loud").judge("", "").score == 0.5
    with pytest.raises(RewardError, match="did you mean 'loud'"):
        load_reward("lout")
    with pytest.raises(RewardError, match="has no function 'no'"):
        load_reward("gone")


@pytest.mark.parametrize("lines", ["math = pack_of_rewards:loud", "loud = another:loud"])
def test_a_name_belongs_to_one(installed: Path, lines: str) -> None:
    entry_point(installed, "pack", "loud = pack_of_rewards:loud")
    entry_point(installed, "pack2", lines)
    with pytest.raises(RewardError, match="takes the name of"):
        load_reward("any-name")


@pytest.mark.parametrize(
    "spec", ["recipes/custom_reward/reward.py:score", "recipes.custom_reward.reward:score"]
)
def test_the_example_recipe(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    reward = load_reward(spec)
    long = "x" * 100
    assert reward.judge(f"{long}\n#### 42", "42", ROW).score == 1.0
    assert reward.judge("#### 42", "42", ROW).score == pytest.approx(1.0 + 0.1 * (1 - 7 / 64))
    assert reward.judge("#### 41", "42", ROW).acc == 0.0
    assert reward.judge("42", "42", ROW).score == 0.0


def test_row_fields_and_options(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        def named(response, gold, id, *, bonus=0.0):
            return bonus if id == "a/1" else -1.0
        def everything(response, gold, **row):
            return float(row["data_source"] == "a" and row["bonus"] == 2)
        def two(response, gold):
            return response == gold
        """,
    )
    assert load_reward(f"{path}:named", {"bonus": 0.25}).judge("", "", ROW).score == 0.25
    assert load_reward(f"{path}:everything", {"bonus": 2}).judge("", "", ROW).score == 1.0
    assert load_reward(f"{path}:two").judge("x", "x", ROW).status == "correct"
    assert load_reward(f"{path}:two").judge("x", "y", ROW).status == "wrong"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("return None", "None"),
        ("return float('nan')", "nan"),
        ("return '1.0'", "'1.0'"),
        ("return [1.0]", "[1.0]"),
        ("return {}['x']", "KeyError"),
        ("raise SystemError('boom')", "boom"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_broken_function_is_never_a_zero(tmp_path: Path, body: str, says: str) -> None:
    path = write(tmp_path, f"def score(response, gold):\n    {body}\n")
    verdict = load_reward(f"{path}:score").judge("a", "b")
    assert verdict.status == "verifier_error" and verdict.score != verdict.score
    assert says in verdict.detail


def test_the_line_that_raised_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "def score(response, gold):\n    x = 1\n    return x / 0\n")
    assert f"{path}:3" in load_reward(f"{path}:score").judge("a", "b").detail


@pytest.mark.parametrize(
    ("code", "function", "says"),
    [
        ("def score(response, gold)\n    return 1\n", "score", "mine.py:1"),
        ("import os\nimport no_such_module_here\n", "score", "mine.py:2"),
        ("import sys\nsys.exit(1)\n", "score", "mine.py:2"),
        ("def score(response, gold):\n    return 1\n", "scor", "did you mean 'score'?"),
        ("def score(response):\n    return 1\n", "score", "mine.py:1"),
        ("async def score(response, gold):\n    return 1\n", "score", "async"),
    ],
)
def test_what_does_not_load(tmp_path: Path, code: str, function: str, says: str) -> None:
    path = write(tmp_path, code)
    with pytest.raises(RewardError) as error:
        load_reward(f"{path}:{function}")
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("maths", "did you mean 'math'?"),
        ("", "must be a string"),
        ("rewards.no_such:score", "no_such"),
        ("rewards.math.grade:grade_maths", "did you mean 'grade_math'?"),
        ("no/such/file.py:score", "no/such/file.py"),
    ],
)
def test_unknown_names(spec: str, says: str) -> None:
    with pytest.raises(RewardError) as error:
        load_reward(spec)
    assert says in str(error.value)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(RewardError, match="did you mean 'several'"):
        load_reward("math", {"severl": "last"})


def test_a_verdict_passes_through(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        from rewards.verdict import Verdict
        def score(response, gold):
            return Verdict(0.5, 1.0, "correct", "p", {"a": 0.5})
        """,
    )
    assert load_reward(f"{path}:score").judge("", "") == Verdict(
        0.5, 1.0, "correct", "p", {"a": 0.5}
    )
