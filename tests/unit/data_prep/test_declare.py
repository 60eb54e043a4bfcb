"""Declarations: ours all load, a user's own is one file, and what is wrong in one is named.

1. Every declaration that comes with the package holds together and says where its data lie.
2. A user's file of a few lines gives rows, with columns, templates, splits and filters.
3. A wrong key, kind or column, a missing file or split: one line with the way out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError, DataError
from data_prep.sources.base import Drop
from data_prep.sources.columns import filled, unfilled
from data_prep.sources.convert import ADAPTERS, adapter
from data_prep.sources.declare import FOLDER, declaration, names
from data_prep.sources.open import open_source, source_files

# The sources that users expect, by what they train.
EXPECTED = {
    "rl": "gsm8k math math500 dapo_math deepscaler openr1_math big_math numina mbpp apps taco "
    "codecontests deepcoder humaneval rlvr_ifeval ifeval countdown knights_and_knaves "
    "xstest advbench or_bench",
    "sft": "alpaca openhermes tulu3 sharegpt messages",
    "preference": "ultrafeedback hh_rlhf helpsteer3 sharegpt_pairs",
}


def test_the_expected_sources_are_there() -> None:
    for kind, expected in EXPECTED.items():
        assert {name for name in expected.split() if kind not in declaration(name).kind} == set()


@pytest.mark.parametrize("name", names())
def test_each_of_ours_holds_together(name: str) -> None:
    made = declaration(name)
    assert made.name == name and made.about and made.bundled
    assert made.hub or made.files
    assert made.verified or made.hub, "what was never tried must at least be found"
    if made.hub:
        assert set(made.hub.files or made.hub.splits) <= set(made.hub.splits)
    if made.code:
        assert callable(adapter(made.code, FOLDER))
    if made.eval_only:
        assert made.splits == ("test",)


def test_every_adapter_is_used() -> None:
    assert {declaration(name).code for name in names()} - {None} == set(ADAPTERS)


def mine(folder: Path, text: str, rows: list[dict[str, Any]] | None = None) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    if rows is not None:
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / "data.jsonl").write_text(lines, encoding="utf-8")
    return path


def test_a_users_own_questions(tmp_path: Path) -> None:
    path = mine(
        tmp_path,
        "kind: rl\nfiles: data.jsonl\nlicence: CC-BY-4.0\nprompt: question\nanswer: answer\n"
        "system: Add.\n",
        [{"question": "1+1?", "answer": 2}, {"question": "2+2?", "answer": 4.0}],
    )
    rows = list(open_source(path))
    assert rows[1] == {
        "prompt": [
            {"role": "system", "content": "Add."},
            {"role": "user", "content": "2+2?"},
        ],
        "data_source": "mine",
        "ability": "unknown",
        "reward_model": {"style": "rule", "ground_truth": "4"},
        "extra_info": {
            "split": "train",
            "index": "1",
            "id": "mine/train/1",
            "licence": "CC-BY-4.0",
            "source": "mine",
        },
    }
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["2", "4"]
    assert list(open_source(path)) == rows


def test_a_template_braces_and_parts(tmp_path: Path) -> None:
    path = mine(
        tmp_path,
        "kind: [rl, sft]\nfiles: data.jsonl\nability: math\n"
        "template:\n  - 'Context: {meta.context?}'\n"
        "  - 'Solve {q} for $\\frac{1}{{x}}$; answer in \\boxed{}.'\n"
        "answer: a.0\nextract: boxed\nresponse: a.0\n",
        [
            {"q": "x", "a": ["so \\boxed{\\frac{1}{2}}."], "meta": {"context": "c"}},
            {"q": "{q}", "a": ["\\boxed{1} or \\boxed 5"], "meta": {"context": None}},
            {"q": "y", "a": ["none"]},
        ],
    )
    one, two, drop = open_source(path)
    assert one["prompt"][0]["content"] == (
        "Context: c\n\nSolve x for $\\frac{1}{x}$; answer in \\boxed{}."
    )
    assert one["reward_model"]["ground_truth"] == "\\frac{1}{2}"
    assert two["prompt"][0]["content"].startswith("Solve {q} for")  # no filling in of fillings
    assert two["reward_model"]["ground_truth"] == "1, 5"  # boxes joined by "or" are one answer
    assert isinstance(drop, Drop) and drop.reason == "no_final_answer"
    talk = list(open_source(path, kind="sft"))
    assert talk[0]["messages"][-1] == {"role": "assistant", "content": "so \\boxed{\\frac{1}{2}}."}
    assert talk[0]["id"] == one["extra_info"]["id"]


def test_a_null_of_pandas_is_nothing(tmp_path: Path) -> None:
    nan = float("nan")
    text = "kind: rl\nfiles: data.jsonl\ntemplate: ['{q}', 'Hint: {hint}']\nanswer: a\n"
    rows = [{"q": "x", "hint": nan, "a": 2.0}, {"q": "y", "hint": "h", "a": nan}]
    row, drop = open_source(mine(tmp_path, text, rows))
    assert row["prompt"] == [{"role": "user", "content": "x"}]
    assert row["reward_model"]["ground_truth"] == "2"
    assert isinstance(drop, Drop) and drop.reason == "no_answer"


def test_splits_filters_and_maps(tmp_path: Path) -> None:
    path = mine(
        tmp_path,
        "kind: rl\nfiles: {train: data.jsonl, test: data.jsonl}\nprompt: q\nanswer: label\n"
        "answer_map: {good: 'yes', bad: 'no'}\nkeep: {ok: [true, null]}\n"
        "keep_in: {train: {n: {min: 3}}, test: {n: {max: 2}}}\ndifficulty: rate\n"
        "difficulty_is: solve_rate\ncategory: n\n",
        [
            {"q": f"q{n}", "label": label, "ok": ok, "n": n, "rate": "99.20%"}
            for n, label, ok in [
                (1, "good", True),
                (2, "bad", False),
                (3, "bad", None),
                (4, "ugly", True),
            ]
        ],
    )
    train, test = (list(open_source(path, split=split)) for split in ("train", "test"))
    reasons = [[item.reason if isinstance(item, Drop) else "" for item in x] for x in (train, test)]
    assert reasons == [
        ["other_split", "other_split", "", "no_answer"],
        ["", "not_kept", "other_split", "other_split"],
    ]
    assert train[2]["reward_model"]["ground_truth"] == "no"
    assert train[2]["extra_info"]["category"] == "3"
    assert train[2]["extra_info"]["solve_rate"] == pytest.approx(0.992)
    assert "difficulty" not in train[2]["extra_info"]


def test_a_users_own_code(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text(
        "from data_prep.sources.fields import mapped\n"
        "def twice(declared, kind, raw, where):\n"
        "    made = mapped(declared, raw, where)\n"
        "    made.answer = str(2 * raw['n'])\n"
        "    return made\n"
    )
    text = "kind: rl\nfiles: data.jsonl\nprompt: q\ncode: rows.py:twice\n"
    path = mine(tmp_path, text, [{"q": "?", "n": 21}])
    (row,) = open_source(path)
    assert row["reward_model"]["ground_truth"] == "42"


def test_files_folders_and_globs(tmp_path: Path) -> None:
    folder = tmp_path / "gsm"
    folder.mkdir()
    row = json.dumps({"question": "?", "answer": "#### 1"}) + "\n"
    (folder / "train.jsonl").write_text(row * 2)
    (folder / "other-1.jsonl").write_text(row)
    (folder / "other-2.jsonl").write_text(row)
    count = lambda *a, **k: sum(1 for _ in open_source("gsm8k", *a, **k))  # noqa: E731
    assert count(folder) == count(folder, "train") == count(folder / "train.jsonl") == 2
    assert count(folder / "other-*.jsonl", "test") == 2
    with pytest.raises(DataError, match=r"no test file of gsm8k .*test\.jsonl"):
        open_source("gsm8k", folder, "test")
    with pytest.raises(DataError, match=r"may be any split of gsm8k .*split=train"):
        open_source("gsm8k", folder / "other-1.jsonl")
    assert list(source_files(declaration("gsm8k"))) == ["train", "test"]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (("gsm9k",), ConfigError, "no source named 'gsm9k' .*'gsm8k'"),
        (("no/where.yaml",), ConfigError, "no such file"),
        (("gsm8k", "nowhere"), DataError, "nowhere does not exist"),
        (("gsm8k", None, "dev"), ConfigError, "split 'dev' is not one"),
        (("gsm8k", None, None, "preference"), ConfigError, "gives no preference rows .*rl, sft"),
        (("alpaca_pairs",), DataError, "is on no hub .*instruction-data-with-preference"),
        (("arithmetic", None, None, "preference"), ConfigError, "gives no preference rows"),
        (("gsm8k", None, None, None, {"seed": 1}), ConfigError, "has no options"),
        (("math500", None, "train"), ConfigError, "no train split on the hub"),
    ],
)
def test_wrong_calls_are_refused_at_once(call: tuple, error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        open_source(*call)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: rl\nfiles: a\npromt: q\n", "no key 'promt' .*'prompt'"),
        ("kind: rll\nfiles: a\n", "kind.*'rll'"),
        ("kind: rl\nfiles: a\nprompt: q\n", "rl rows need answer"),
        ("kind: sft\nfiles: a\nprompt: q\n", "sft rows need messages or response"),
        ("kind: preference\nfiles: a\nchosen: c\n", "preference rows need rejected"),
        ("kind: rl\nprompt: q\nanswer: a\n", "neither hub nor files"),
        ("kind: [\n", "cannot be read as YAML"),
        ("- a\n", "need `key: value` lines"),
        ("kind: rl\nfiles: {dev: a}\nprompt: q\nanswer: a\n", "files"),
    ],
)
def test_wrong_declarations_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        declaration(mine(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_wrong_column_names_those_that_are_there(tmp_path: Path) -> None:
    text = "kind: rl\nfiles: data.jsonl\nprompt: question\nanswer: a\n"
    path = mine(tmp_path, text, [{"qestion": "?", "a": "1"}])
    with pytest.raises(DataError, match=r"data\.jsonl:1: no column 'question'; it has qestion, a"):
        list(open_source(path))


def test_one_bad_row_costs_itself_alone(tmp_path: Path) -> None:
    text = "kind: rl\nfiles: data.jsonl\nprompt: q\nanswer: a\n"
    rows = [{"q": "\ud800", "a": "1"}, {"q": " ", "a": "1"}, {"q": "?", "a": None}]
    path = mine(tmp_path, text, [*rows, {"q": "?", "a": "1"}])
    items = list(open_source(path))
    reasons = [item.reason if isinstance(item, Drop) else "" for item in items]
    assert reasons == ["bad_row", "empty_prompt", "no_answer", ""]
    assert "Unicode" in items[0].detail and items[0].where.endswith("data.jsonl:1")


@pytest.mark.parametrize(
    ("template", "text", "asked"),
    [
        (("Question: {q}\nAnswer:",), "Question: How many?\nAnswer:", "How many?"),
        (("{q} Box it: \\boxed{}.",), "How many? Box it: \\boxed{}.", "How many?"),
        (("Read.", "{a}", "Mind: {b?}", "In Python."), "Read.\n\nx\n\nIn Python.", "x"),
        (("{a} and {b}",), "one and two", None),  # what stands between is asked too
        (("Fill {{x}} in: {q}",), "Fill {x} in: a = {x}", "a = {x}"),
        (("Solve: {q}",), "Solve: Solve: it", "Solve: it"),  # once
        (("Solve: {q}",), "solve it", None),
        (("Solve: {q}",), "Solve: ", None),
        (("No column",), "No column", None),
    ],
)
def test_a_template_comes_off_as_it_went_on(
    template: tuple[str, ...], text: str, asked: str | None
) -> None:
    assert unfilled(template, text) == asked


@pytest.mark.parametrize(
    ("name", "raw", "asked"),
    [
        ("math", {"problem": "How many?"}, "How many?"),
        ("humaneval", {"prompt": "def f(x):\n"}, "def f(x):\n"),
        ("apps", {"question": "Sort.", "starter_code": ""}, "Sort."),
        ("apps", {"question": "Sort.", "starter_code": "def f():"}, "Sort.\n\ndef f():"),
        ("alpaca", {"instruction": "Sing.", "input": ""}, None),
    ],
)
def test_our_templates_come_off(name: str, raw: dict[str, str], asked: str | None) -> None:
    template = declaration(name).template
    assert template is not None and unfilled(template, filled(template, raw, name)) == asked
