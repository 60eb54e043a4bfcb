"""What filters see of a row: kinds by columns, parts of each kind, ids and splits, pickling."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from conf.errors import ConfigError
from data_prep.filters.base import (
    answers_of,
    concatenate,
    gold_of,
    id_of,
    kind_of,
    split_of,
    text_of,
    turns_of,
)
from data_prep.filters.degenerate import Degenerate
from data_prep.filters.registry import CORPUS_STEPS, FILTERS, find


def test_kind_follows_from_the_columns(make) -> None:
    assert kind_of(make.rl("q")) == "rl"
    assert kind_of(make.sft("q", "a")) == "sft"
    assert kind_of(make.pair("a", "b")) == "preference"
    assert kind_of({"prompt": "q", "chosen": None, "rejected": None}) == "rl"


def test_parts_of_each_kind(make) -> None:
    rl, sft, pair = make.rl("q", "7"), make.sft("q", "a"), make.pair("good", "bad", "q")
    assert [text_of(rl, p) for p in ("all", "prompt", "answer", "rejected")] == [
        "q\n\n7", "q", "7", "",
    ]  # fmt: skip
    assert [text_of(sft, p) for p in ("all", "prompt", "answer", "rejected")] == [
        "q\n\na", "q", "a", "",
    ]  # fmt: skip
    assert [text_of(pair, p) for p in ("all", "prompt", "answer", "rejected")] == [
        "q\n\ngood", "q", "good", "bad",
    ]  # fmt: skip
    assert (answers_of(rl), answers_of(sft), answers_of(pair)) == ([], ["a"], ["good", "bad"])


def test_system_turns_can_be_left_out() -> None:
    row = {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": "V"},
            {"role": "assistant", "content": "B"},
        ]
    }
    assert text_of(row, "prompt") == "S\n\nU\n\nV"
    assert text_of(row, "prompt", system=False) == "U\n\nV"
    assert answers_of(row) == ["A", "B"]


def test_content_may_be_parts_or_tool_calls() -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
    }
    turns = turns_of(row)
    assert turns[0] == ("user", "a")
    assert '"name": "f"' in turns[1][1]


def test_id_split_and_gold_are_found_in_both_places() -> None:
    assert id_of({"id": 3, "extra_info": {"id": "x"}}) == "3"
    assert id_of({"extra_info": {"id": "x"}}) == "x"
    assert id_of({}) == ""
    assert split_of({"split": "test"}) == split_of({"extra_info": {"split": "test"}}) == "test"
    assert split_of({}) == "train"
    assert gold_of({"reward_model": {"ground_truth": 5}}) == "5"


def test_every_registered_name_leads_to_a_class_that_bears_it() -> None:
    for name in FILTERS:
        found = find(name)
        assert found.name == name and found.reasons and hasattr(found, "judge")
    for name in CORPUS_STEPS:
        found = find(name)
        assert found.name == name and found.reasons
        assert hasattr(found, "signatures") and hasattr(found, "resolve")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'repetition'"):
        find("repetitions")


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="mojibakes"):
        Degenerate(mojibakes=3)


def test_a_filter_travels_without_what_it_loaded() -> None:
    gold = find("gold")(reward="exact")
    assert gold._rewards[None].spec == "exact"
    travelled = pickle.loads(pickle.dumps(gold))
    assert "_rewards" not in vars(travelled)
    assert travelled == find("gold")(reward="exact")


def test_concatenate_keeps_the_order() -> None:
    import numpy as np

    joined = concatenate([{"x": np.array([1, 2])}, {"x": np.array([3])}])
    assert joined["x"].tolist() == [1, 2, 3]
