"""Rows that say more than roles and texts, pairs, and their way through the canonical schemas.

1. Whatever a builder made comes back from Arrow as it went in, and any two tables concatenate.
2. Weights, spans, tools and calls that verl or a template would stumble over are refused by name.
3. Id, source, licence and split are found in every kind.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.errors import DataError
from data_prep import rows_schema
from data_prep.rows import meta, preference_row, reward_pair_row, rl_row, sft_row
from data_prep.rows_schema import KINDS, from_table, kind_of, schema, to_table

USER = {"role": "user", "content": "1+1?"}
SAID = {"role": "assistant", "content": "It is 2."}
COMMON: dict[str, Any] = {
    "data_source": "a",
    "id": "a/train/0",
    "split": "train",
    "index": 0,
    "licence": "MIT",
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": None}}}
ROWS = {
    "rl": rl_row(
        prompt=[USER],
        ground_truth=2,
        ability="math",
        difficulty=3,
        category="sums",
        more={"tools_kwargs": {"f": {"create_kwargs": {}}}, "agent_name": "tool_agent"},
        **COMMON,
    ),
    "sft": sft_row(messages=[USER, SAID], tools=[TOOL], weight=0.5, **COMMON),
    "preference": preference_row(
        prompt=[USER], chosen=[SAID], rejected=[{**SAID, "content": "3"}], score_chosen=4, **COMMON
    ),
    "reward_pairs": reward_pair_row(prompt="1+1?", chosen="2", rejected="3", **COMMON),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_as_it_went_in(kind: Any) -> None:
    row = ROWS[kind]
    table = to_table(kind, [row])
    assert table.schema == schema(kind)
    assert from_table(kind, table) == [row]
    assert json.loads(json.dumps(row)) == row
    assert kind_of(table.column_names) == kind_of(row) == kind
    assert meta(row).id == "a/train/0" and meta(row).licence == "MIT"
    assert (meta(row).source, meta(row).split, meta(row).index) == ("a", "train", "0")
    struct_types = [field.type for field in table.schema if pa.types.is_struct(field.type)]
    assert all(each.num_fields for each in struct_types)


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
_TOOLS = st.lists(
    st.builds(
        lambda name, more: {"type": "function", "function": {**more, "name": name}},
        st.text(min_size=1, max_size=4),
        st.dictionaries(st.text(max_size=4), _VALUE, max_size=3),
    ),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_TOOLS, min_size=1, max_size=4), st.sampled_from([None, True, False]))
def test_tools_of_any_shape_survive_mixing(many: list, thinking: bool | None) -> None:
    rows = [
        sft_row(messages=[USER, SAID], tools=tools, enable_thinking=thinking, **COMMON)
        for tools in many
    ]
    mixed = pa.concat_tables([to_table("sft", [row]) for row in rows])
    back = from_table("sft", mixed)
    assert back == rows
    # A template prints a tool's keys in their order, so the order must survive too.
    assert json.dumps(back) == json.dumps(
        [{k: row[k] for k in back[n]} for n, row in enumerate(rows)]
    )


@pytest.mark.parametrize("block", [1, 300, 1 << 20])
def test_rows_fill_a_table_block_by_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_schema, "BLOCK_BYTES", block)
    common = {**COMMON, "data_source": "2020-01-01T00:00:00Z"}  # a text, not a time
    rows = [
        reward_pair_row(prompt="x" * n, chosen="1", rejected="\0é\u2028", **common)
        for n in range(1, 40)
    ]
    table = to_table("reward_pairs", rows)
    assert table.schema == schema("reward_pairs")
    assert from_table("reward_pairs", table) == rows
    assert to_table("rl", []).schema == schema("rl")


def test_only_a_plain_conversation_lies_in_messages() -> None:
    plain, rich = (
        to_table("sft", [sft_row(messages=[USER, SAID], weight=w, **COMMON)]).to_pylist()[0]
        for w in (1, 2)
    )
    assert plain["messages"] == [USER, SAID] and plain["chat"] is None
    assert rich["messages"] is None and json.loads(rich["chat"])["weight"] == 2


def test_calls_are_objects_whatever_came() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turns = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]
    turns += [{"role": "tool", "content": "", "tool_call_id": "1"}, SAID]
    row = sft_row(messages=turns, **COMMON)
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert row["messages"][1]["content"] == "" == row["messages"][2]["content"]


def span(start: Any, end: Any, weight: Any = 1) -> dict[str, Any]:
    return {"start": start, "end": end, "weight": weight}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weight": -1}, r"messages\[1\].weight: got -1"),
        ({"weight": True}, r"messages\[1\].weight: got True"),
        ({"weight": float("nan")}, "need a finite number"),
        ({"spans": [span(0, 9)]}, r"spans\[0\]: got 0…9.*within the content's 8 characters"),
        ({"spans": [span(2, 2)]}, r"spans\[0\]: got 2…2"),
        ({"spans": [span(0, 4), span(3, 5)]}, r"spans\[1\]: got 3…5.*after 4"),
        ({"spans": [span(0.0, 4)]}, r"spans\[0\]: got 0\.0"),
        ({"spans": [{"start": 0, "end": 1}]}, "need start, end, weight"),
        ({"tool_calls": [{"name": "f"}]}, r"messages\[1\].tool_calls"),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}, "no JSON"),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}, "arguments are"),
        ({"content": None}, r"messages\[1\].content: got NoneType"),
        ({"loss": 1}, "key 'loss' is not a message's"),
    ],
)
def test_what_a_message_may_not_say(change: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        sft_row(messages=[USER, {**SAID, **change}], **COMMON)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sft_row(messages=[{**USER, "weight": 1}, SAID], **COMMON), "no loss falls on"),
        (lambda: sft_row(messages=[USER, SAID], enable_thinking="none", **COMMON), "'none'"),
        (lambda: sft_row(messages=[USER, SAID], tools="[]", **COMMON), "column tools: got str"),
        (lambda: sft_row(messages=[USER, SAID], tools=[{"a": 1}], **COMMON), r"tools\[0\]"),
        (lambda: sft_row(messages=[USER, SAID], weight=-1, **COMMON), "weight: got -1"),
        (
            lambda: preference_row(prompt=[USER, SAID], chosen=[SAID], rejected=[SAID], **COMMON),
            "ends with the assistant",
        ),
        (
            lambda: preference_row(prompt=[USER], chosen=[USER], rejected=[SAID], **COMMON),
            "chosen: does not begin with the assistant",
        ),
        (
            lambda: preference_row(
                prompt=[USER], chosen=[{**SAID, "weight": 2}], rejected=[SAID], **COMMON
            ),
            "weight is carried by SFT rows alone",
        ),
        (
            lambda: reward_pair_row(prompt="a", chosen=" ", rejected="b", **COMMON),
            "column chosen: is empty",
        ),
        (
            lambda: rl_row(
                prompt=[USER], ground_truth="2", ability="m", more={"id": "x"}, **COMMON
            ),
            "extra_info.id: is given twice",
        ),
        (lambda: meta({"messages": []}), "row ?: no id, source, licence, split, index"),
        (lambda: kind_of(["text"]), "columns text: no kind of row"),
        (lambda: to_table("rl", [{**ROWS["rl"], "ability": 1}]), "do not fit their schema"),
        (lambda: to_table("rl", [{**ROWS["rl"], "level": "1"}]), "do not fit their schema"),
    ],
)
def test_what_a_row_may_not_be(call: Any, says: str) -> None:
    with pytest.raises(DataError, match=says.replace("row ?", r"row \?")):
        call()
