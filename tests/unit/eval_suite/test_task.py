"""Tasks as declarations: what is read, what is refused, what a user's own task needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.errors import ConfigError
from eval.suite.spec import is_suite, parse_suite
from eval.suite.task import FOLDER, load_task, names
from rewards.registry import load_correctness

PROMISED = {
    *("gsm8k", "math", "math500", "aime24", "aime25", "amc23", "minerva", "olympiadbench", "svamp"),
    *("humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "ifeval", "ifbench", "countdown"),
    *("arithmetic", "livecodebench", "knights_and_knaves", "xstest", "xstest_safe", "advbench"),
    *("mt_bench", "alpaca_eval"),
}
SERVER = {"server": {"base_url": "http://judge/v1", "model": "judge"}}


def test_the_promised_tasks_are_there() -> None:
    assert set(names()) >= PROMISED


@pytest.mark.parametrize("name", names())
def test_each_task_holds_together(name: str) -> None:
    task = load_task(name)
    assert task.about.endswith(tuple("abcdefghijklmnopqrstuvwxyz0123456789)")), (
        "one line, no period"
    )
    options = SERVER if task.metric == "win_rate" else task.grader_options
    reward = load_correctness(task.grader, options)
    assert reward.function is not None


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


GOOD = "source: {files: x.jsonl, prompt: q, answer: a}\ngrader: math\n"


def test_a_users_task_is_one_file(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, GOOD + "stop: END\nmax_tokens: 9\n"), {"max_tokens": 5})
    assert (task.name, task.stop, task.max_tokens, task.split) == ("mine", ("END",), 5, "test")


def test_rows_of_data_prep_are_a_task_with_a_grader(tmp_path: Path) -> None:
    task = load_task(tmp_path / "test.parquet", {"grader": "math"})
    assert (task.name, task.source) == ("test", str(tmp_path / "test.parquet"))
    with pytest.raises(ConfigError, match=r"grader is missing.*set\.TASK\.grader"):
        load_task(tmp_path / "test.parquet")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "max_token: 3\n", "no key 'max_token'.*max_tokens"),
        (GOOD + "max_tokens: many\n", "max_tokens: got 'many'"),
        (GOOD + "metric: accurate\n", "metric: got 'accurate'"),
        (GOOD + "samples: 2\n", "would all be the same"),
        (GOOD + "turns: t\nformat: text\n", "several turns"),
        ("grader: math\n", "source is missing"),
        ("- a\n", "need `key: value`"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_bad_declaration_gets_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        load_task(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_words_reach_all_tasks_and_one() -> None:
    spec = parse_suite(
        ["model=org/m-1.5B", "suite=[gsm8k, math500]", "max_tokens=9", "set.math500.max_tokens=7",
         "set.math500.stop=[\"x\"]", "local.gsm8k=a", "out=7"]
    )  # fmt: skip
    gsm8k, math500 = spec.tasks()
    assert (gsm8k.max_tokens, math500.max_tokens, math500.stop) == (9, 7, ("x",))
    assert spec.local == {"gsm8k": "a"} and spec.out == "7"
    assert spec.name == "m-1-5B" and str(parse_suite(["model=a/b", "suite=gsm8k"]).folder) == (
        "evaluations/b"
    )


def test_the_words_say_which_kind_of_evaluation() -> None:
    assert is_suite(["model=m", "suite=[gsm8k]"])
    assert is_suite(["suite=[gsm8k]"])
    assert not is_suite(["out=o", "data=d.parquet", "models.a=m", "reward=math"])


def test_no_task_is_hidden_in_another_folder() -> None:
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} <= {".yaml", ".py"}
