"""A task's items: from rows of every origin, with examples, conditions, breakdowns and drops."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import ConfigError, DataError
from eval.items import choose, item_id, read_items
from eval.suite.items import task_items
from eval.suite.task import load_task
from rewards.registry import load_correctness

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


def rows(folder: Path, split: str, count: int, name: str = "gsm8k") -> None:
    place = folder / name
    place.mkdir(exist_ok=True)
    lines = [
        {"question": f"{split} {i}?", "answer": f"It is <<1+1=2>>so.\n#### {i + 1},000"}
        for i in range(count)
    ]
    (place / f"{split}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))


def test_a_declared_source_is_found_in_a_folder_of_its_name(tmp_path: Path) -> None:
    rows(tmp_path, "test", 3)
    (tmp_path / "gsm8k" / "test.jsonl").open("a").write('{"question": "q", "answer": "none"}\n')
    found = task_items(load_task("gsm8k"), str(tmp_path))
    assert [item.ground_truth for item in found.items] == ["1000", "2000", "3000"]
    assert (found.rows, found.dropped) == (4, {"no_final_answer": 1})
    assert [item.index for item in found.items] == [0, 1, 2]
    assert found.contents["licence"] == "MIT"
    direct = task_items(load_task("gsm8k"), {"gsm8k": str(tmp_path / "gsm8k" / "test.jsonl")})
    assert direct.items == found.items
    with pytest.raises(DataError, match=r"local\.gsm8k="):
        task_items(load_task("gsm8k"), {"gsm8k": str(tmp_path / "nowhere")})


def test_examples_come_before_each_question_the_same_for_all(tmp_path: Path) -> None:
    rows(tmp_path, "test", 2)
    rows(tmp_path, "train", 9)
    plain = task_items(load_task("gsm8k"), str(tmp_path)).items
    shown = task_items(load_task("gsm8k", {"few_shot": 3, "system": "Be brief."}), str(tmp_path))
    chat = shown.items[0].prompt
    assert [turn["role"] for turn in chat] == ["system", *["user", "assistant"] * 3, "user"]
    assert all(turn["content"].startswith("train ") for turn in chat[1:-1:2])
    assert all("<<" not in turn["content"] for turn in chat)
    assert chat[:-1] == shown.items[1].prompt[:-1] and chat[-1] == plain[0].prompt[-1]
    other = task_items(load_task("gsm8k", {"few_shot": 3, "few_shot_seed": 2}), str(tmp_path))
    assert other.items[0].prompt != shown.items[0].prompt[1:]
    with pytest.raises(ConfigError, match="9 rows to draw"):
        task_items(load_task("gsm8k", {"few_shot": 10}), str(tmp_path))
    with pytest.raises(ConfigError, match="no worked answers"):
        task_items(load_task("humaneval", {"few_shot": 1}), str(tmp_path))


def test_another_template_takes_the_place_of_the_sources(tmp_path: Path) -> None:
    rows(tmp_path, "test", 1)
    found = task_items(load_task("gsm8k", {"prompt": "Q: {question}"}), str(tmp_path))
    assert found.items[0].prompt == [{"role": "user", "content": "Q: test 0?"}]


def test_rows_of_data_prep_and_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    table = [
        {
            "prompt": [{"role": "user", "content": f"{i}?"}],
            "data_source": "own",
            "reward_model": {"style": "rule", "ground_truth": str(i)},
            "extra_info": {"id": f"r{i}", "level": i % 2},
        }
        for i in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    task = load_task(path, {"grader": "math", "strata": "level", "keep": {"level": 1}})
    found = task_items(task)
    assert [(i.id, i.index, i.stratum) for i in found.items] == [("r1", 1, "1"), ("r3", 3, "1")]
    assert found.dropped == {"not_asked": 2}


def test_an_index_of_zero_is_an_id(tmp_path: Path) -> None:
    table = [
        {
            "prompt": [{"role": "user", "content": f"{i}?"}],
            "data_source": "own",
            "reward_model": {"style": "rule", "ground_truth": "1"},
            "extra_info": {"index": 4 - i, "id": ""},
        }
        for i in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "t.parquet")
    found = task_items(load_task(tmp_path / "t.parquet", {"grader": "math"})).items
    assert [item.id for item in found] == ["4", "3", "2", "1", "0"]
    assert [item.id for item in read_items(tmp_path / "t.parquet")] == [i.id for i in found]
    assert item_id({}, 7) == "7" and item_id({"id": 0, "index": 3}, 7) == "0"


def test_a_program_makes_items_too() -> None:
    found = task_items(load_task("arithmetic", {"options": {"seed": 3, "test_size": 20}}))
    assert len(found.items) == 20
    assert len({item.prompt[0]["content"] for item in found.items}) == 20


def test_a_users_source_beside_its_task(sums: Path) -> None:
    items = task_items(load_task(sums)).items
    assert [item.cluster for item in items] == [f"t{i // 3}" for i in range(12)]
    assert [item.index for item in choose(items, 6, 1)] == sorted(
        item.index for item in choose(items, 6, 1)
    )
    strata = [item.stratum for item in choose(items, 6, 1)]
    assert (strata.count("low"), strata.count("high")) == (2, 4)
    text = sums.read_text()
    sums.write_text(text.replace("{test: sums.jsonl}", "sums.jsonl"))  # of whatever split is asked
    assert task_items(load_task(sums)).items == items
    sums.write_text(text.replace("cluster: text", "cluster: texts"))
    with pytest.raises(DataError, match="no column 'texts'"):
        task_items(load_task(sums))
    sums.write_text(text.replace("answer: a", "answr: a"))
    with pytest.raises(ConfigError, match="answr"):
        task_items(load_task(sums))


def test_rows_that_lack_the_cluster_stand_alone(tmp_path: Path) -> None:
    lines = [{"q": "a", "a": "1", "passage": "p"}, {"q": "b", "a": "1", "passage": 7.0},
             {"q": "c", "a": "1"}, {"q": "d", "a": "1", "passage": None},
             {"q": "e", "a": "1", "passage": ""}, {"q": "f", "a": "1", "passage": " "},
             {"q": "g", "a": "1", "passage": float("nan")}]  # fmt: skip
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    task = tmp_path / "t.yaml"
    task.write_text(
        'source: {files: {test: t.jsonl}, template: "{q}", answer: a}\n'
        "grader: exact\ncluster: passage?\n"
    )
    found = task_items(load_task(str(task))).items
    assert [item.cluster for item in found] == ["p", "7", *[None] * 5]


def test_what_the_grader_cannot_grade_is_left_out_and_counted(tmp_path: Path) -> None:
    asked = [
        {"key": "1", "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"],
         "kwargs": [{}]},
        {"key": "2", "prompt": "Dance.", "instruction_id_list": ["dance:tango"], "kwargs": [{}]},
    ]  # fmt: skip
    (tmp_path / "IFBench_test.jsonl").write_text("".join(json.dumps(x) + "\n" for x in asked))
    found = task_items(load_task("ifbench"), str(tmp_path), load_correctness("ifeval"))
    assert [item.prompt[0]["content"] for item in found.items] == ["No commas."]
    assert found.dropped == {"not_gradable": 1}


def lcb(**more: object) -> dict[str, object]:
    private = json.dumps([{"input": "3\n", "output": "6\n", "testtype": "stdin"}])
    packed = base64.b64encode(zlib.compress(pickle.dumps(private))).decode()
    return {
        "question_content": "Double it.",
        "starter_code": "",
        "public_test_cases": json.dumps([{"input": "1\n", "output": "2\n", "testtype": "stdin"}]),
        "private_test_cases": packed,
        "metadata": "{}",
        "difficulty": "easy",
        "platform": "atcoder",
        **more,
    }


class Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("run",))


def test_packed_tests_are_read_and_run_nothing(tmp_path: Path) -> None:
    evil = base64.b64encode(zlib.compress(pickle.dumps(Harm()))).decode()
    starter = "class Solution:\n    def f(self, x):"
    lines = [
        lcb(),
        lcb(private_test_cases=evil),
        lcb(starter_code=starter, metadata=json.dumps({"func_name": "f"})),
    ]
    (tmp_path / "test6.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    found = task_items(load_task("livecodebench"), {"livecodebench": str(tmp_path)})
    assert found.dropped == {"broken_tests": 1}
    first, last = found.items
    assert json.loads(first.ground_truth) == {"inputs": ["1\n", "3\n"], "outputs": ["2\n", "6\n"]}
    assert (first.stratum, first.extra["platform"]) == ("easy", "atcoder")
    assert "standard input" in first.prompt[0]["content"]
    assert json.loads(last.ground_truth)["fn_name"] == "f"
    assert starter in last.prompt[0]["content"]


@needs_data
@pytest.mark.parametrize(
    ("name", "place", "count"),
    [
        ("gsm8k", "gsm8k", 1319),
        ("math500", "math", 500),
        ("humaneval", "humaneval", 164),
        ("mbpp", "mbpp", 500),  # task ids 11 to 510
        ("ifeval", "ifeval", 541),
        ("mbpp_sanitized", "mbpp", 257),
        ("mbpp_plus", "mbpp", 399),
        ("countdown", "countdown/tinyzero", 2001),
        ("countdown_d1", "countdown/d1", 256),
        ("game24", "countdown/game24", 1362),
        ("aime24", "math_competitions", 30),
        ("aime25", "math_competitions", 30),
        ("amc23", "math_competitions", 40),
        ("minerva", "math_competitions", 272),
        ("olympiadbench", "math_competitions", 675),
        ("svamp", "math_competitions", 1000),
        ("knights_and_knaves", "verl_examples/kk_logic", 500),
        ("xstest_safe", "safety", 250),
        ("xstest_unsafe", "safety", 200),
        ("advbench", "safety", 520),
        ("mt_bench", "mt_bench", 80),
        ("livecodebench", "code_contests/live_code_bench_v1_sample.jsonl", 3),
    ],
)
def test_real_data_give_every_item(name: str, place: str, count: int) -> None:
    found = task_items(load_task(name), {name: str(DATA / place)})
    assert len(found.items) == count
    assert not set(found.dropped) - {"not_asked", "other_split"}
    task = load_task(name)
    if task.metric != "win_rate":  # every gold answer is one that the grader understands
        reward = load_correctness(task.grader, task.grader_options)
        statuses = {reward.judge("", i.ground_truth, i.row).status for i in found.items[:300]}
        assert statuses == {"unparseable"}
