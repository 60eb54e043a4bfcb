"""The reward function, loaded by a child: names, files, packages, and how they fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_reward import check_reward

Build = Callable[..., Settings]
CUSTOM = "reward.custom_reward_function"


def check(config: Settings, seconds: float = 20) -> list[Line]:
    return check_reward(config, os.environ, seconds)


def one(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def ours(settings: Build, spec: str, *more: str) -> Line:
    """A reward by our own entry: a name, `file.py:function` or `package.module:function`."""
    kwargs = f"{CUSTOM}.reward_kwargs"
    return one(check(settings("grpo", f"{kwargs}.reward={spec}", *more)))


def theirs(settings: Build, path: str | Path, name: str, seconds: float = 20) -> Line:
    """A function that verl loads by itself."""
    return one(check(settings("grpo", f"{CUSTOM}.path={path}", f"{CUSTOM}.name={name}"), seconds))


def test_named_reward_loads(settings: Build) -> None:
    line = ours(settings, "math")
    assert line.status is Status.PASS and line.got.startswith("math loads; ")


def test_unknown_name_tells_the_nearest(settings: Build) -> None:
    line = ours(settings, "maht")
    assert line.status is Status.FAILURE
    assert "maht" in line.got and "math" in line.fixes[0]
    assert line.fixes[-1] == "reward_fn.name=math"


def test_own_file_and_its_faults(settings: Build, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(response, gold):\n    return float(gold in response)\n")
    assert ours(settings, f"{file}:score").status is Status.PASS
    assert "score" in ours(settings, f"{file}:scor").fixes[0]
    file.write_text("import no_such_package_at_all\n")
    line = ours(settings, f"{file}:score")
    assert line.status is Status.FAILURE
    assert "no_such_package_at_all" in line.got and "mine.py:1" in line.got
    assert "does not import" in line.got and "\n" not in line.got


def test_options_reach_the_reward(settings: Build, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def score(response, gold, *, scale):\n    return scale\n")
    options = f"{CUSTOM}.reward_kwargs.options={{scale: 0.5}}"
    assert "score 0.5" in ours(settings, f"{file}:score", options).got


def test_file_that_verl_loads(settings: Build, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "def compute_score(data_source, solution_str, ground_truth, **_):\n    return 1\n"
    )
    assert theirs(settings, file, "compute_score").status is Status.PASS
    assert theirs(settings, f"file://{file}", "compute_score").status is Status.PASS
    line = theirs(settings, file, "compute_scores")
    assert line.status is Status.FAILURE
    assert line.fixes == (f"{CUSTOM}.name=compute_score",)
    line = theirs(settings, tmp_path / "owm.py", "compute_score")
    assert "does not exist" in line.got
    assert line.fixes == (f"{CUSTOM}.path={file}",)


def test_package_that_verl_loads(settings: Build) -> None:
    assert theirs(settings, "pkg://rewards.math.grade", "grade_math").status is Status.PASS
    line = theirs(settings, "pkg://rewards.math.grade", "grade_maths")
    assert line.fixes == (f"{CUSTOM}.name=grade_math",)
    line = theirs(settings, "pkg://rewards.no_such", "f")
    assert "does not import" in line.got and "rewards.no_such" in line.got


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(:\n", "SyntaxError"),
        ("1/0\n", "ZeroDivisionError"),
        ("import os\nf = os\nos._exit(7)\n", "ends the process"),
        ("print('noise'); f = 3\n", "has no function 'f'"),
    ],
)
def test_files_that_fail_while_they_load(
    settings: Build, tmp_path: Path, code: str, said: str
) -> None:
    file = tmp_path / "own.py"
    file.write_text(code)
    line = theirs(settings, file, "f")
    assert line.status is Status.FAILURE
    assert said in line.got


def test_slow_import_is_a_warning(settings: Build, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("import time\nx = 1\ntime.sleep(30)\ndef f(): ...\n")
    line = theirs(settings, file, "f", seconds=0.5)
    assert line.status is Status.WARNING and "longer than 0.5 s" in line.got


def test_no_reward_and_unknown_manager(settings: Build) -> None:
    line = one(check(settings("grpo", f"{CUSTOM}.path=null")))
    assert line.status is Status.WARNING
    lines = check(settings("grpo", f"{CUSTOM}.path=null", "reward.reward_manager.name=prime"))
    assert lines[0].status is Status.FAILURE
    assert lines[0].fixes[0].startswith("reward.reward_manager.name=")
    assert check(settings("sft")) == []


@pytest.mark.parametrize(
    ("name", "source", "module", "found"),
    [
        ("VerdictManager", "importlib", "pkg://rewards.verl_manager", False),
        ("dapo", "register", "pkg://rewards.verl_manager", False),
        ("dapo", "importlib", "pkg://rewards.verl_manager", True),  # source=register was forgotten
        ("prime", "register", "pkg://rewards.verl_manager", True),
        ("Mine", "importlib", "pkg://my_managers", False),
    ],
)
def test_managers(settings: Build, name: str, source: str, module: str, found: bool) -> None:
    node = "reward.reward_manager"
    words = [f"{node}.name={name}", f"{node}.source={source}", f"{node}.module.path={module}"]
    failures = [line for line in check(settings("grpo", *words)) if line.status is Status.FAILURE]
    assert bool(failures) == found
    if found:
        assert failures[0].fixes[0].endswith(f"{node}.source=register")


def test_what_a_reward_pays_for_is_a_warning(settings: Build, tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"What is {n}+{n}?"}],
            "data_source": "sums",
            "reward_model": {"style": "rule", "ground_truth": str(2 * n)},
            "extra_info": {"id": f"sums/{n}"},
        }
        for n in range(10, 20)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    file = tmp_path / "mine.py"
    file.write_text("def any_answer(response, gold):\n    return float('####' in response)\n")
    data = f"data.train_files={tmp_path / 'train.parquet'}"
    assert ours(settings, "math", data).status is Status.PASS
    lines = check(settings("grpo", f"{CUSTOM}.reward_kwargs.reward={file}:any_answer", data))
    assert [line.status for line in lines] == [Status.WARNING] * 3
    assert "wrong: 8 of 8 paid" in lines[0].got
    assert "echo" in lines[1].got and "shotgun" in lines[2].got
    assert "rewards.doctor" in lines[0].fixes[0]
