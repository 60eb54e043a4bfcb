"""The `json_schema` reward: strict JSON that conforms, and input made to break a validator.

1. JSON alone or in the last fenced block; what is no strict JSON is unparseable.
2. A schema that is none, or refers outside itself, is a gold_error, and nothing is fetched.
3. Hostile instances and patterns cost bounded time.

The official test suite is in tests/golden/test_json_schema_suite.py.
"""

from __future__ import annotations

import json
import socket
import time

import pytest

from rewards.json_schema import canonical, grade_json_schema
from rewards.registry import load_reward

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ('{"name": "Ann"}', "correct"),
        (' {"name": "Ann", "age": 3.0}\n', "correct"),
        ('So:\n```json\n{"name": "Ann"}\n```\nDone.', "correct"),
        ('```\n{"name": 1}\n```\nbetter:\n```json\n{"name": "Ann"}\n```', "correct"),
        ('{"name": "Ann", "age": -1}', "wrong"),
        ('{"age": 3}', "wrong"),
        ('{"name": "Ann", "x": 1}', "wrong"),
        ("[]", "wrong"),
        ("null", "wrong"),
        ('{"name": "Ann"', "unparseable"),
        ('Here: {"name": "Ann"}', "unparseable"),
        ('{"name": "Ann", "age": NaN}', "unparseable"),
        ('{"name": "Ann", "age": 1e999}', "unparseable"),
        ('{"name": "Ann", "name": "Ben"}', "unparseable"),
        ("{'name': 'Ann'}", "unparseable"),
        ("", "unparseable"),
        ("[" * 100_000, "unparseable"),
        ("[" * 200 + "]" * 200, "unparseable"),
        ("1" * 5000, "unparseable"),
    ],
)
def test_a_person(response: str, status: str) -> None:
    verdict = grade_json_schema(response, PERSON)
    assert verdict.status == status
    assert verdict.score == verdict.acc == float(status == "correct")
    assert verdict.components == {
        "parses": float(status != "unparseable"),
        "conforms": float(status == "correct"),
    }


def test_gold_as_text_and_one_schema_for_all_rows() -> None:
    assert grade_json_schema('{"name": "Ann"}', json.dumps(PERSON)).status == "correct"
    reward = load_reward("json_schema", {"schema": PERSON, "where": "whole"})
    assert reward.judge('{"name": "Ann"}', None).status == "correct"
    assert reward.judge('```json\n{"name": "Ann"}\n```', None).status == "unparseable"


@pytest.mark.parametrize(
    "gold",
    [None, "", "{", "[]", {"type": "no such type"}, {"properties": 3}, {"$ref": "#"}, {1, 2}],
)
def test_what_is_no_schema_is_a_gold_error(gold: object) -> None:
    assert grade_json_schema("1", gold).status == "gold_error"


def test_a_reference_is_never_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        verdict = grade_json_schema("1", {"$ref": f"http://127.0.0.1:{port}/schema.json"})
        assert verdict.status == "gold_error"
        with pytest.raises(TimeoutError):
            server.accept()


def test_equal_values_have_one_key_and_others_do_not() -> None:
    assert canonical({"a": [1, 2.0], "b": None}) == canonical({"b": None, "a": [1.0, 2]})
    for left, right in [(1, True), (0, False), ("1", 1), ([], {}), ([1, 2], [2, 1]), (None, "")]:
        assert canonical(left) != canonical(right), (left, right)


def test_many_unlike_items_are_compared_in_linear_time() -> None:
    items = [{"a": i} if i % 2 else [i] for i in range(15_000)]
    begun = time.process_time()
    assert grade_json_schema(json.dumps(items), {"uniqueItems": True}).status == "correct"
    twice = [*items, {"a": 1}]
    assert grade_json_schema(json.dumps(twice), {"uniqueItems": True}).status == "wrong"
    assert time.process_time() - begun < 2


def test_a_pattern_that_would_not_end_is_a_time_out() -> None:
    begun = time.process_time()
    schema = {"pattern": r"^(?:(?:ab|a|b)+)+c?(?<!x)$"}
    verdict = grade_json_schema(json.dumps("ab" * 40 + "!"), schema)
    assert (verdict.status, verdict.score) == ("timeout", 0.0)
    assert time.process_time() - begun < 4


def test_a_number_too_large_to_divide_is_wrong_and_no_failure_of_the_verifier() -> None:
    assert grade_json_schema("1" + "0" * 3000, {"multipleOf": 0.3}).status == "wrong"
