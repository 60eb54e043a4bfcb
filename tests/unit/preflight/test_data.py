"""Data files and rows: real Parquet, each fault that verl shows late or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_data import DataScan, check_data, scan_data
from launch.preflight.checks_lengths import check_lengths
from launch.preflight.parquet import read_file

Build = Callable[..., Settings]


def scan(
    settings: Build, train: Any, val: Any = None, job: str = "grpo"
) -> tuple[list[Line], DataScan]:
    config = settings(job, f"data.train_files={train}", f"data.val_files={val or train}")
    found = scan_data(config)
    return check_data(config, found), found


def bad(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.status is not Status.PASS]


def test_rows_are_counted_and_sampled(settings: Build, kit: Any, tmp_path: Path) -> None:
    train = kit.write_parquet(
        tmp_path / "train.parquet", [kit.rl_row(i) for i in range(500)], group=100
    )
    val = kit.write_parquet(tmp_path / "test.parquet", [kit.rl_row(i) for i in range(7)])
    lines, found = scan(settings, train, val)
    assert bad(lines) == []
    assert (found.train_rows, found.val_rows) == (500, 7)
    numbers = [number for number, _ in found.train[0].sample]
    assert numbers[0] == 0 and numbers[-1] == 499
    assert all(row["extra_info"]["index"] == str(n) for n, row in found.train[0].sample)


def test_missing_file_names_the_nearest(settings: Build, kit: Any, tmp_path: Path) -> None:
    kit.write_parquet(tmp_path / "train.parquet", [kit.rl_row(0)])
    lines, _ = scan(settings, tmp_path / "trian.parquet", tmp_path / "train.parquet")
    (line,) = bad(lines)
    assert "does not exist" in line.got
    assert line.fixes[0] == f"data.train_files={tmp_path / 'train.parquet'}"
    assert line.fixes[1].startswith("python -m data_prep.prepare source=arithmetic")


def test_corrupt_file_is_one_clear_line(settings: Build, kit: Any, tmp_path: Path) -> None:
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(i) for i in range(50)])
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-20])
    text = tmp_path / "text.parquet"
    text.write_text("no Parquet at all")
    for path in (cut, text):
        (line,) = bad(scan(settings, path, good)[0])
        assert line.status is Status.FAILURE
        assert "is not readable Parquet" in line.got
        assert "\n" not in line.got


def test_bytes_broken_within_a_page_are_found_or_survive(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(i) for i in range(50)])
    raw = bytearray(good.read_bytes())
    raw[4:400] = bytes(396)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(raw)
    (line,) = bad(scan(settings, broken, good)[0])
    assert "is not readable Parquet" in line.got


def test_empty_file_and_folder(settings: Build, kit: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(0)])
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.Table.from_pylist([kit.rl_row(0)]).slice(0, 0), empty)
    (line,) = bad(scan(settings, empty, good)[0])
    assert "holds 0 rows" in line.got
    (line,) = bad(scan(settings, tmp_path, good)[0])
    assert "is a folder" in line.got


def test_addresses_elsewhere_are_not_looked_into(settings: Build, kit: Any, tmp_path: Path) -> None:
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(0)])
    lines, found = scan(settings, "hdfs://data/train.parquet", good)
    (line,) = bad(lines)
    assert line.status is Status.WARNING
    assert found.train_rows is None


def test_no_files_at_all(settings: Build) -> None:
    config = settings("sft", "data.train_files=null", "data.val_files=null")
    found = scan_data(config)
    (line,) = check_data(config, found)
    assert line.status is Status.FAILURE
    assert (found.train_rows, found.val_rows) == (None, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": "1 + 1 = ?"}, "prompt is string"),
        ({"prompt": [{"role": "user", "text": "hi"}]}, "prompt is list"),
        ({"reward_model": {"style": "rule", "ground_truth": 2}}, "ground_truth is int64"),
        ({"reward_model": {"style": "rule"}}, "there is no reward_model.ground_truth"),
        ({"data_source": 1}, "data_source is int64"),
        ({"extra_info": {"split": "train"}}, "has no extra_info.index"),
    ],
)
def test_columns_have_the_types_that_verl_reads(
    settings: Build, kit: Any, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = kit.write_parquet(tmp_path / "t.parquet", [kit.rl_row(i, **changes) for i in range(3)])
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(0)])
    (line,) = bad(scan(settings, path, good)[0])
    assert said in line.got


def test_other_column_names_are_offered(settings: Build, kit: Any, tmp_path: Path) -> None:
    rows = [{**kit.rl_row(0), "question": kit.rl_row(0)["prompt"]} for _ in range(2)]
    for row in rows:
        del row["prompt"]
    path = kit.write_parquet(tmp_path / "t.parquet", rows)
    line = bad(scan(settings, path)[0])[0]
    assert "has no column 'prompt'" in line.got
    assert line.fixes == ("data.prompt_key=question",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": []}, "prompt is empty"),
        ({"prompt": None}, "prompt is null"),
        ({"prompt": [{"role": "user", "content": " "}]}, "the content of a user turn"),
        ({"prompt": [{"role": "", "content": "hi"}]}, "has no role"),
        ({"data_source": ""}, "data_source is empty"),
        ({"reward_model": {"style": "rule", "ground_truth": None}}, "ground_truth is null"),
    ],
)
@pytest.mark.parametrize("where", [0, 299])
def test_bad_first_and_last_rows_are_found(
    settings: Build, kit: Any, tmp_path: Path, changes: dict[str, Any], said: str, where: int
) -> None:
    rows = [kit.rl_row(i) for i in range(300)]
    rows[where] = kit.rl_row(where, **changes)
    path = kit.write_parquet(tmp_path / "t.parquet", rows, group=100)
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.rl_row(0)])
    (line,) = bad(scan(settings, path, good)[0])
    assert f"row {where}: " in line.got and said in line.got
    assert line.name == "data rows"


def test_files_of_one_list_have_one_type(settings: Build, kit: Any, tmp_path: Path) -> None:
    one = kit.write_parquet(tmp_path / "one.parquet", [kit.rl_row(0)])
    other = kit.write_parquet(tmp_path / "two.parquet", [kit.rl_row(0, extra_info={"index": 0})])
    config = settings("grpo", f"data.train_files=[{one},{other}]", f"data.val_files={one}")
    (line,) = bad(check_data(config, scan_data(config)))
    assert line.got == "extra_info.index is string in one.parquet, int64 in two.parquet"


def test_sft_rows_end_with_something_to_learn(settings: Build, kit: Any, tmp_path: Path) -> None:
    good = kit.write_parquet(tmp_path / "good.parquet", [kit.sft_row(i) for i in range(3)])
    lines, found = scan(settings, good, job="sft")
    assert bad(lines) == [] and found.train_rows == 3
    asked = [kit.sft_row(0, messages=[{"role": "user", "content": "and?"}])]
    path = kit.write_parquet(tmp_path / "asked.parquet", asked)
    (line,) = bad(scan(settings, path, good, job="sft")[0])
    assert "has no assistant turn" in line.got


def test_rows_of_a_tool_call_may_be_empty(settings: Build, kit: Any, tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "the time?", "tool_calls": None},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "clock"}]},
    ]
    path = kit.write_parquet(tmp_path / "t.parquet", [kit.sft_row(0, messages=turns)])
    assert bad(scan(settings, path, job="sft")[0]) == []


def test_only_a_sample_of_a_large_file_is_read(kit: Any, tmp_path: Path) -> None:
    path = kit.write_parquet(
        tmp_path / "t.parquet", [kit.rl_row(i) for i in range(20_000)], group=1000
    )
    found = read_file(str(path), ["prompt"])
    assert found.rows == 20_000
    assert len(found.sample) <= 3 * 96


# --- lengths, counted with a byte-level tokenizer: one token a byte ---------------------------

HEAD, TAIL, GENERATION = (
    17,
    11,
    22,
)  # "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n"


def prompt_of(tokens: int) -> list[dict[str, str]]:
    """A user turn that is rendered to this many bytes, the generation prompt included."""
    return [{"role": "user", "content": "x" * (tokens - HEAD - TAIL - GENERATION)}]


@pytest.mark.parametrize(("tokens", "status"), [(64, Status.PASS), (65, Status.FAILURE)])
def test_longest_prompt_is_counted_with_its_template(
    settings: Build, kit: Any, tmp_path: Path, tokens: int, status: Status
) -> None:
    model = kit.write_model(tmp_path / "model")
    rows = [kit.rl_row(i) for i in range(50)]
    rows[33] = kit.rl_row(33, prompt=prompt_of(tokens))
    path = kit.write_parquet(tmp_path / "t.parquet", rows)
    config = settings("grpo", f"data.train_files={path}", f"data.val_files={path}")
    (line,) = check_lengths(config, scan_data(config).train, model)
    assert line.status is status
    assert f"{tokens} tokens" in line.got
    if status is Status.FAILURE:
        assert "row 33" in line.got
        assert line.fixes == ("data.max_prompt_length=65", "data.filter_overlong_prompts=true")


def test_a_row_that_the_length_filter_drops_is_a_warning(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    model = kit.write_model(tmp_path / "model")
    path = kit.write_parquet(tmp_path / "t.parquet", [kit.rl_row(0, prompt=prompt_of(100))])
    drop = "data.filter_overlong_prompts=true"
    config = settings("grpo", drop, f"data.train_files={path}", f"data.val_files={path}")
    (line,) = check_lengths(config, scan_data(config).train, model)
    assert line.status is Status.WARNING


def test_sft_row_that_stops_verl_in_mid_run(settings: Build, kit: Any, tmp_path: Path) -> None:
    model = kit.write_model(tmp_path / "model")
    turns = [{"role": "assistant", "content": "y" * 200}]
    path = kit.write_parquet(
        tmp_path / "t.parquet", [kit.sft_row(0), kit.sft_row(1, messages=turns)]
    )
    files = [f"data.train_files={path}", f"data.val_files={path}"]
    config = settings("sft", *files)
    (line,) = check_lengths(config, scan_data(config).train, model)
    assert line.status is Status.FAILURE
    # 12 + 10 bytes of "<|im_start|>" and "assistant\n", 200 of content, 11 of "<|im_end|>\n".
    assert line.fixes == ("data.max_length=233", "data.truncation=right")
    cut = settings("sft", *files, "data.truncation=right")
    (line,) = check_lengths(cut, scan_data(cut).train, model)
    assert line.status is Status.WARNING


def test_lengths_are_not_guessed_without_a_tokenizer(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    model = kit.write_model(tmp_path / "model", template=None)
    path = kit.write_parquet(tmp_path / "t.parquet", [kit.rl_row(0)])
    config = settings("grpo", f"data.train_files={path}", f"data.val_files={path}")
    for folder in (model, None):
        (line,) = check_lengths(config, scan_data(config).train, folder)
        assert line.status is Status.PASS and "not counted" in line.got


def packed(kit: Any, index: int, **chat: Any) -> dict[str, Any]:
    """A row as data_prep writes it where it has tools or loss weights."""
    turns = kit.sft_row(index)["messages"]
    return kit.sft_row(index, messages=None, chat=json.dumps({"messages": turns, **chat}))


def test_a_row_with_tools_is_read_where_it_lies(settings: Build, kit: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    kit.write_parquet(path, [kit.sft_row(0, chat=None), packed(kit, 1, weight=0.5)])
    lines, _ = scan(settings, path, job="sft")
    assert bad(lines) == []

    empty = packed(kit, 1, messages=[{"role": "user", "content": "?"}])
    kit.write_parquet(path, [kit.sft_row(0, chat=None), empty])
    (line, *_) = bad(scan(settings, path, job="sft")[0])
    assert "row 1: chat has no assistant turn to learn from" in line.got
    kit.write_parquet(path, [kit.sft_row(0, chat=None), {**empty, "chat": "{"}])
    (line, *_) = bad(scan(settings, path, job="sft")[0])
    assert "row 1: chat is null" in line.got


def test_a_dataset_class_that_would_stop_at_tools_is_refused(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    kit.write_parquet(path, [kit.sft_row(0, chat=None), packed(kit, 1, tools=[])])
    files = [f"data.train_files={path}", f"data.val_files={path}"]
    config = settings("sft", *files, "data.custom_cls.path=null")
    (line, *_) = bad(check_data(config, scan_data(config)))
    assert "row 1: its messages is null" in line.got
    (fix,) = line.fixes
    mended = settings("sft", *files, *fix.split())
    assert bad(check_data(mended, scan_data(mended))) == []


def test_the_length_of_a_row_with_tools_counts_them(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    template = (
        "{{ tools | tojson if tools else '' }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )
    model = kit.write_model(tmp_path / "model", template=template)
    path = tmp_path / "t.parquet"
    kit.write_parquet(path, [kit.sft_row(0, chat=None), packed(kit, 1, tools=[{"a": "b"}])])
    config = settings("sft", f"data.train_files={path}", f"data.val_files={path}")
    (line,) = check_lengths(config, scan_data(config).train, model)
    # A byte a token: [{"a": "b"}] and 1 + 1 = ?2.
    assert f"the longest of 2 rows has {12 + 10} tokens" in line.got
