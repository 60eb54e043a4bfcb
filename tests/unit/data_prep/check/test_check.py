"""`data_prep.check` against broken input, one kind at a time.

1. Each kind of broken input is found under its own code, at its row and column, with a way out.
2. Every code is in that list, so each has been seen once.
3. A sound file has nothing against it; real preparations' rows are sound.
4. `--fix` mends what needs no guess, rejects the rest with its reasons, and leaves the file alone.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.check import check, main
from data_prep.checks.codes import CODES
from data_prep.rows_schema import from_table

Rows = list[dict[str, Any]]


def rl(n: int = 0, **changed: Any) -> dict[str, Any]:
    row = {
        "prompt": [{"role": "user", "content": f"What is {n} + 1?"}],
        "data_source": "openai/gsm8k",
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": str(n + 1)},
        "extra_info": {"split": "train", "index": str(n), "id": f"a/{n}", "licence": "MIT"},
    }
    return {**row, **changed}


def extra(**changed: Any) -> dict[str, Any]:
    info = {**rl(1)["extra_info"], **changed}
    return rl(1, extra_info={name: value for name, value in info.items() if value != "GONE"})


def gold(value: Any) -> dict[str, Any]:
    return rl(1, reward_model={"style": "rule", "ground_truth": value})


def said(*messages: Any) -> dict[str, Any]:
    return rl(1, prompt=list(messages))


META = {"id": "s/1", "source": "s", "licence": "MIT", "split": "train", "index": "1"}
USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def sft(*messages: Any, **changed: Any) -> dict[str, Any]:
    return {"messages": list(messages) or [USER, ASSISTANT], **META, **changed}


def call(function: Any, role: str = "assistant", **more: Any) -> dict[str, Any]:
    return sft(USER, {"role": role, "content": "", "tool_calls": [function]}, **more)


def pair(**changed: Any) -> dict[str, Any]:
    row = {
        "prompt": [USER], "chosen": [ASSISTANT],
        "rejected": [{"role": "assistant", "content": "No"}],
        "score_chosen": 2.0, "score_rejected": 1.0, **META,
    }  # fmt: skip
    return {**row, **changed}


def spans(*values: Any) -> dict[str, Any]:
    return sft(USER, {**ASSISTANT, "spans": list(values)})


# name → (rows, code, column); the broken row is the second of two, so its number is 2.
ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "null prompt": (rl(1, prompt=None), "prompt_missing", "prompt"),
    "prompt without messages": (rl(1, prompt=[]), "prompt_empty", "prompt"),
    "prompt as text": (rl(1, prompt="What?"), "prompt_text", "prompt"),
    "prompt as number": (rl(1, prompt=3), "chat_type", "prompt"),
    "message as text": (said("What?"), "message_shape", "prompt[0]"),
    "message of ShareGPT": (said({"from": "human", "value": "x"}), "message_shape", "prompt[0]"),
    "message with images": (said({**USER, "image": "x"}), "message_key", "prompt[0].image"),
    "no role": (said({"content": "Hi"}), "role_missing", "prompt[0].role"),
    "role human": (said({**USER, "role": "human"}), "role_alias", "prompt[0].role"),
    "role narrator": (said({**USER, "role": "narrator"}), "role_unknown", "prompt[0].role"),
    "no content": (said({"role": "user"}), "content_missing", "prompt[0].content"),
    "content as parts": (
        said({"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
        "content_type", "prompt[0].content",
    ),
    "content of spaces": (said({"role": "user", "content": " "}), "content_empty", "prompt[0]"),
    "system after user": (said(USER, {**USER, "role": "system"}), "system_late", "prompt[1].role"),
    "user twice": (said(USER, USER), "role_order", "prompt[1].role"),
    "prompt with its answer": (said(USER, ASSISTANT), "prompt_answered", "prompt[1]"),
    "lone surrogate": (said({"role": "user", "content": "a\ud800"}), "bad_unicode", "prompt[0]"),
    "NUL": (said({"role": "user", "content": "a\0b"}), "nul", "prompt[0].content"),
    "no data_source": (rl(1, data_source=None), "source_missing", "data_source"),
    "no reward_model": (rl(1, reward_model=None), "reward_missing", "reward_model"),
    "no gold": (gold(None), "gold_missing", "reward_model.ground_truth"),
    "empty gold": (gold("  "), "gold_empty", "reward_model.ground_truth"),
    "gold as number": (gold(7), "gold_value", "reward_model.ground_truth"),
    "no style": (
        rl(1, reward_model={"ground_truth": "2"}), "style_missing", "reward_model.style",
    ),
    "no ability": (rl(1, ability=None), "ability_missing", "ability"),
    "no extra_info": (rl(1, extra_info=None), "extra_missing", "extra_info"),
    "more is no JSON": (extra(more="{"), "extra_json", "extra_info.more"),
    "no index": (extra(index="GONE"), "index_missing", "extra_info.index"),
    "index as number": (extra(index=1), "index_value", "extra_info.index"),
    "no split": (extra(split=None), "split_missing", "extra_info.split"),
    "split of another file": (extra(split="test"), "split_differs", "extra_info.split"),
    "no id": (extra(id="GONE"), "id_missing", "extra_info.id"),
    "another row's id": (extra(id="a/0"), "id_repeated", "extra_info.id"),
    "no licence": (extra(licence=None), "licence_missing", "extra_info.licence"),
    "tools_kwargs wanted": (
        extra(need_tools_kwargs=True), "tools_kwargs", "extra_info.tools_kwargs",
    ),
    "empty struct": (extra(tools_kwargs={}), "empty_struct", "extra_info.tools_kwargs"),
    "user alone": (sft(USER), "no_assistant", "messages"),
    "ends with user": (sft(USER, ASSISTANT, USER), "answer_last", "messages[2]"),
    "chat is no JSON": (sft(chat="{", messages=None), "chat_json", "chat"),
    "tools as JSON text": (sft(tools=json.dumps([TOOL])), "tools_text", "tools"),
    "tools as object": (sft(tools=TOOL), "tools_type", "tools"),
    "tool without function": (sft(tools=[{"name": "add"}]), "tool_shape", "tools[0]"),
    "tools united by Arrow": (
        sft(tools=[{"type": "function", "function": {"name": "add", "parameters": {"x": None}}}]),
        "tools_merged", "tools[0]",
    ),
    "call without function": (call({"name": "add"}), "call_shape", "messages[1].tool_calls[0]"),
    "call by the user": (
        sft({**USER, "tool_calls": [TOOL]}, ASSISTANT, tools=[TOOL]),
        "call_shape", "messages[0].tool_calls",
    ),
    "arguments are no JSON": (
        call({"function": {"name": "add", "arguments": "{x"}}, tools=[TOOL]),
        "call_arguments", "messages[1].tool_calls[0].function.arguments",
    ),
    "call of an undeclared tool": (
        call({"function": {"name": "sub", "arguments": {}}}, tools=[TOOL]),
        "call_unknown", "messages[1].tool_calls",
    ),
    "enable_thinking none": (sft(enable_thinking="none"), "thinking_type", "enable_thinking"),
    "negative weight": (sft(weight=-1.0), "weight_value", "weight"),
    "weight NaN": (sft(USER, {**ASSISTANT, "weight": float("nan")}), "weight_value", "messages[1]"),
    "weight 0": (sft(weight=0), "weight_zero", "weight"),
    "span beyond its text": (
        spans({"start": 0, "end": 99, "weight": 1.0}), "span_value", "messages[1].spans[0]",
    ),
    "no rejected": (pair(rejected=None), "pair_missing", "rejected"),
    "chosen is rejected": (pair(rejected=[ASSISTANT]), "pair_equal", "chosen"),
    "chosen begins with user": (pair(chosen=[USER]), "pair_role", "chosen[0].role"),
    "scores the other way": (pair(score_chosen=0.5), "pair_order", "score_chosen"),
    "score as text": (pair(score_chosen="good"), "score_value", "score_chosen"),
}  # fmt: skip


def put(path: Path, rows: Rows) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def sound_of(row: dict[str, Any]) -> dict[str, Any]:
    """A sound row of the same kind, other than it."""
    if "reward_model" in row:
        return rl(0)
    return {**(sft() if "messages" in row else pair()), "id": "s/0", "index": "0"}


@pytest.mark.parametrize("name", ROWS)
def test_a_broken_row(name: str, tmp_path: Path) -> None:
    row, code, column = ROWS[name]
    path = put(tmp_path / "train.jsonl", [sound_of(row), row])
    report = check([path])
    found = [one for one in report.problems if one.code == code]
    assert [(one.file, one.row) for one in found] == [(str(path), 2)], report.problems
    assert found[0].column.startswith(column)
    assert found[0].detail and "row 2" in str(found[0]) and CODES[code].fix in str(found[0])
    severe = {o.code for o in report.problems if o.severity == "error"} - {code}
    assert severe <= {"gold_missing"}, f"{name} is also said to be {severe}"
    assert all(one.row == 2 for one in report.problems), "the sound row has something against it"


def parquet(path: Path, rows: Rows, **replaced: Any) -> Path:
    table = pa.Table.from_pylist(rows)
    for name, column in replaced.items():
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)
    return path


def _list_feature(folder: Path) -> Path:
    table = pa.Table.from_pylist([rl(0)])
    note = {"huggingface": json.dumps({"info": {"features": {"prompt": {"_type": "List"}}}})}
    pq.write_table(table.replace_schema_metadata(note), folder / "train.parquet")
    return folder / "train.parquet"


def _cut(folder: Path) -> Path:
    path = parquet(folder / "train.parquet", [rl(0)])
    path.write_bytes(path.read_bytes()[:-40])
    return path


def _flipped(folder: Path) -> Path:
    path = parquet(folder / "train.parquet", [rl(n) for n in range(50)])
    data = bytearray(path.read_bytes())
    data[-60:-20] = b"\xff" * 40
    path.write_bytes(bytes(data))
    return path


def _bytes(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


LINE = json.dumps(rl(0)).encode() + b"\n"
FILES: dict[str, tuple[Callable[[Path], Path], str, int]] = {
    "not there": (lambda d: d / "no.parquet", "no_file", 0),
    "a spreadsheet": (lambda d: _bytes(d, "a.xlsx", b"x"), "file_kind", 0),
    "no bytes": (lambda d: _bytes(d, "train.jsonl", b""), "file_empty", 0),
    "no rows": (lambda d: parquet(d / "train.parquet", [rl(0)][:0] or []), "row_kind", 0),
    "blank lines": (lambda d: _bytes(d, "train.jsonl", b"\n\n"), "no_rows", 0),
    "JSON named Parquet": (lambda d: _bytes(d, "train.parquet", LINE), "file_broken", 0),
    "a cut Parquet": (_cut, "file_cut", 0),
    "a damaged Parquet": (_flipped, "file_broken", 0),
    "a cut gzip": (
        lambda d: _bytes(d, "train.jsonl.gz", gzip.compress(LINE * 9)[:-20]), "file_cut", 0,
    ),
    "a broken line": (lambda d: _bytes(d, "train.jsonl", LINE + b'{"a": \n'), "not_json", 2),
    "a list in a line": (lambda d: _bytes(d, "train.jsonl", LINE + b"[1]\n"), "not_object", 2),
    "Latin-1": (lambda d: _bytes(d, "train.jsonl", LINE + b'{"a": "\xe9\xe9"}\n'), "not_utf8", 2),
    "columns of no kind": (lambda d: put(d / "a.jsonl", [{"question": "x"}]), "row_kind", 1),
    "no extra_info column": (
        lambda d: parquet(
            d / "train.parquet", [{k: v for k, v in rl(0).items() if k != "extra_info"}]
        ), "no_column", 0,
    ),
    "prompts as text column": (
        lambda d: parquet(d / "train.parquet", [rl(0, prompt="x")]), "column_type", 0,
    ),
    "gold as int column": (lambda d: parquet(d / "train.parquet", [gold(7)]), "gold_type", 0),
    "index as int column": (lambda d: parquet(d / "a.parquet", [extra(index=3)]), "index_type", 0),
    "written by datasets 4": (_list_feature, "list_feature", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file(name: str, tmp_path: Path) -> None:
    make, code, row = FILES[name]
    path = make(tmp_path)
    report = check([path])
    found = [one for one in report.problems if one.code == code]
    # A gzip tells where it broke in rows; which one depends on its blocks.
    assert found and (found[0].row == row or name == "a cut gzip"), report.problems
    assert path.name in str(found[0]) and "→" in str(found[0])
    per_row = {"gold_value", "index_value", "prompt_text"}
    assert not per_row & {one.code for one in report.problems}, "said once, not for each row"


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [rl(0)])
    parquet(tmp_path / "b.parquet", [gold(7)])
    found = [one for one in check([tmp_path]).problems if one.code == "types_differ"]
    assert [(Path(one.file).name, one.column) for one in found] == [
        ("b.parquet", "reward_model.ground_truth")
    ]
    assert "int64 here and string in a.parquet" in found[0].detail


def test_what_depends_on_the_run(tmp_path: Path) -> None:
    own = put(tmp_path / "own.jsonl", [rl(0, data_source="my_data")])
    assert not check([own]).counts
    assert dict(check([own], reward="verl").counts) == {"source_unknown": 1}
    assert dict(check([own], max_length=9).counts) == {"tokenizer_needed": 1}


def test_training_rows_without_test_rows(tmp_path: Path) -> None:
    put(tmp_path / "sft_train.jsonl", [sft()])
    put(tmp_path / "train.jsonl", [rl(0)])
    assert check([tmp_path]).counts["no_validation"] == 2
    put(tmp_path / "test.jsonl", [extra(split="test")])
    found = check([tmp_path]).problems
    assert [Path(one.file).name for one in found if one.code == "no_validation"] == [
        "sft_train.jsonl"
    ]


def test_every_code_was_seen() -> None:
    seen = {code for _, code, _ in ROWS.values()} | {code for _, code, _ in FILES.values()}
    elsewhere = {"types_differ", "source_unknown", "tokenizer_needed", "no_validation", "too_long"}
    assert seen | elsewhere == set(CODES)
    assert len(seen) >= 40
    fixes = [CODES[code].fix for code in seen]
    assert all(fixes)


def test_a_sound_file_has_nothing_against_it(tmp_path: Path) -> None:
    path = put(tmp_path / "train.jsonl", [rl(n) for n in range(5)])
    report = check([path])
    assert (report.problems, report.rows) == ([], {str(path): 5})


def test_pairs_of_messages_without_scores_are_pairs_of_messages(tmp_path: Path) -> None:
    row = {name: value for name, value in pair().items() if not name.startswith("score")}
    for path in (put(tmp_path / "a.jsonl", [row]), parquet(tmp_path / "b.parquet", [row])):
        assert not check([path]).counts
        report = check([path], fix=True)
        assert list(report.fixed.values()) == [(1, 0)]
    plain = {**row, "prompt": "Hi", "chosen": "Hello", "rejected": "No"}
    assert not check([put(tmp_path / "c.jsonl", [plain])]).counts


def test_a_row_used_twice_is_no_other_row(tmp_path: Path) -> None:
    assert not check([put(tmp_path / "train.jsonl", [rl(0), rl(0)])]).counts


def test_many_problems_are_counted_and_a_few_told(tmp_path: Path) -> None:
    report = check([put(tmp_path / "a.jsonl", [gold(n) for n in range(99)])], shown=3)
    assert report.counts["gold_value"] == 99
    assert len([o for o in report.problems if o.code == "gold_value"]) == 3
    assert any("and" in line and "gold_value 99" in line for line in report.lines())


def test_fix_mends_what_needs_no_guess(tmp_path: Path) -> None:
    broken = [row for row, code, _ in ROWS.values() if CODES[code].mended and "reward_model" in row]
    path = put(tmp_path / "train.jsonl", [rl(0), *broken])
    before = path.read_bytes()
    report = check([path], fix=True)
    kept, rejected = report.fixed["train.fixed.parquet"]
    # A number as a prompt and a text without a speaker: no rule makes these right.
    assert (kept, rejected) == (len(broken) - 1, 2)
    assert path.read_bytes() == before
    fixed = tmp_path / "train.fixed.parquet"
    again = check([fixed])
    assert not again.errors, again.problems
    rows = from_table("rl", pq.read_table(fixed))
    told = [row["reward_model"]["ground_truth"] for row in rows]
    assert told.count("7") == 1 and all(isinstance(one, str) for one in told)
    assert {"role": "user", "content": "What?"} in [row["prompt"][0] for row in rows]
    left = [json.loads(line) for line in (tmp_path / "train.rejected.jsonl").open()]
    assert [one["reasons"][0].split(":")[0] for one in left] == [
        "error chat_type",
        "error message_shape",
    ]


def test_fix_of_conversations(tmp_path: Path) -> None:
    rows = [
        sft(tools=json.dumps([TOOL])),
        sft(enable_thinking="none"),
        sft(enable_thinking="False"),
        sft({"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}),
        sft(tools=[{"type": "function", "function": {"name": "add", "parameters": {"x": None}}}]),
        sft(USER),
    ]
    path = put(
        tmp_path / "sft_train.jsonl", [{**row, "id": f"s/{n}"} for n, row in enumerate(rows)]
    )
    report = check([path], fix=True)
    assert report.fixed == {"sft_train.fixed.parquet": (5, 1)}
    made = from_table("sft", pq.read_table(tmp_path / "sft_train.fixed.parquet"))
    assert made[0]["tools"] == [TOOL]
    assert "enable_thinking" not in made[1] and made[2]["enable_thinking"] is False
    assert made[3]["messages"] == [USER, ASSISTANT]
    assert made[4]["tools"][0]["function"]["parameters"] == {}


def test_fix_reads_the_json_text_of_a_chat_or_an_object(tmp_path: Path) -> None:
    system, more = {"role": "system", "content": "Be short."}, {"k": {"x": 1}}
    turns, talk = [system, USER], [{"from": "human", "value": "Hi"}]
    info = {**rl(3)["extra_info"], "index": 7, "tools_kwargs": more}
    asks = '{"from": "Paris", "to": "Rome"}'  # JSON, and what a user said
    rows = [
        rl(0, prompt=json.dumps(turns)),
        rl(1, prompt=json.dumps(talk)),
        rl(2, prompt=asks),
        rl(3, extra_info=json.dumps(info), reward_model=json.dumps(rl(3)["reward_model"])),
        rl(4, prompt=json.dumps(turns)[:-3]),
        rl(5, prompt=str(turns)),
        rl(6, extra_info="index 7"),
    ]
    report = check([put(tmp_path / "train.jsonl", rows)], fix=True)
    assert report.fixed == {"train.fixed.parquet": (4, 3)}
    made = from_table("rl", pq.read_table(tmp_path / "train.fixed.parquet"))
    prompts = [turns, [USER], [{"role": "user", "content": asks}], rl(3)["prompt"]]
    assert [row["prompt"] for row in made] == prompts
    assert made[3]["reward_model"] == rl(3)["reward_model"]
    assert made[3]["extra_info"]["index"] == "7"
    assert made[3]["extra_info"]["tools_kwargs"] == more
    left = [json.loads(line) for line in (tmp_path / "train.rejected.jsonl").open()]
    assert [one["reasons"][0].split(":")[0] for one in left] == [
        "error prompt_text", "error prompt_text", "error extra_missing",
    ]  # fmt: skip


def test_fix_makes_no_text_of_a_null_of_pandas(tmp_path: Path) -> None:
    nan = float("nan")
    rows = [
        gold(nan),
        gold(float("inf")),
        said({"role": "user", "content": nan}),
        {**extra(index=nan, category=nan), "ability": nan, "level": nan},
    ]
    report = check([put(tmp_path / "train.jsonl", rows)], fix=True)
    assert report.fixed == {"train.fixed.parquet": (1, 3)}
    left = [json.loads(line) for line in (tmp_path / "train.rejected.jsonl").open()]
    assert [one["reasons"][0].split(":")[0] for one in left] == [
        "error gold_value", "error gold_value", "error content_type",
    ]  # fmt: skip
    (row,) = from_table("rl", pq.read_table(tmp_path / "train.fixed.parquet"))
    assert row["ability"] == "unknown" and row["extra_info"]["index"] == "3"
    assert not {"category", "level"} & row["extra_info"].keys()


def test_fix_of_a_whole_column(tmp_path: Path) -> None:
    path = parquet(tmp_path / "train.parquet", [gold(n) for n in range(3)])
    check([path], fix=True)
    table = pq.read_table(tmp_path / "train.fixed.parquet")
    assert table.schema.field("reward_model").type.field("ground_truth").type == pa.string()
    rows = from_table("rl", table)
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["0", "1", "2"]
    assert len({row["extra_info"]["id"] for row in rows}) == 3


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "train.jsonl", [gold(None)])
    with pytest.raises(SystemExit) as ended:
        main([str(path)])
    out = capsys.readouterr().out
    assert ended.value.code == 3
    assert f"error gold_missing: {path}: row 1, column reward_model.ground_truth" in out
    put(path, [rl(0)])
    main([str(path), "--json"])
    assert json.loads(capsys.readouterr().out)["rows"] == {str(path): 1}
    with pytest.raises(SystemExit) as ended:
        main([str(path), "--fixx"])
    assert ended.value.code == 2
