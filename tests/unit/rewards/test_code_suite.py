"""The shapes of a row's tests, and what is no row."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rewards.code.asserts import Direct, General
from rewards.code.suite import Case, read_suite


def test_inputs_and_outputs_are_programs() -> None:
    suite = read_suite(json.dumps({"inputs": ["1\n", "2\n"], "outputs": ["a", "b"]}))
    assert (suite.kind, suite.cases) == ("stdin", (Case("1\n", "a"), Case("2\n", "b")))


def test_lines_of_a_list_are_joined() -> None:
    assert read_suite({"inputs": [["1", "2"]], "outputs": [["3"]]}).cases == (Case("1\n2", "3"),)


def test_a_function_name_makes_calls_and_a_list_of_one_is_a_wrapper() -> None:
    suite = read_suite({"fn_name": "f", "inputs": [[1, [2]]], "outputs": [[3]]})
    assert (suite.kind, suite.entry, suite.wrapped) == ("calls", "f", True)
    assert suite.cases == (Case([1, [2]], [3]),)
    assert not read_suite({"fn_name": "f", "inputs": [[1], [2]], "outputs": [[3], [3, 4]]}).wrapped


def test_arguments_as_lines_of_json() -> None:
    rows = [{"input": '[1, 2]\n"a"', "output": "true", "testtype": "functional", "fn_name": "f"}]
    assert read_suite(json.dumps(rows)).cases == (Case([[1, 2], "a"], True),)


def test_arrays_of_a_parquet_file_are_lists() -> None:
    gold = {"inputs": np.array(["1", "2"], object), "outputs": np.array(["3", "4"], object)}
    assert read_suite(gold).cases == (Case("1", "3"), Case("2", "4"))


def test_mbpp() -> None:
    suite = read_suite(
        {
            "test_list": ["assert f(1) == 2"],
            "test_setup_code": "x = 1",
            "test_imports": ["import re"],
        }
    )
    assert (suite.tests, suite.setup, suite.imports) == ((Direct("f(1)", 2),), "x = 1", "import re")


def test_human_eval_and_what_its_prompt_does_to_code() -> None:
    prompt = "import math\n\ndef f(x):\n    '''Root.'''\n"
    suite = read_suite(
        {"test": "def check(candidate):\n    assert candidate(4) == 2", "entry_point": "f",
         "prompt": prompt, "canonical_solution": "    return math.sqrt(x)\n"}
    )  # fmt: skip
    assert isinstance(suite.tests[0], General)
    assert suite.reference == prompt + "    return math.sqrt(x)\n"
    for code in ("return math.sqrt(x)", "    return math.sqrt(x)", "def f(x): return math.sqrt(x)"):
        names: dict[str, Any] = {}
        exec(suite.program(code), names)
        assert names["f"](9) == 3


def test_a_list_of_asserts() -> None:
    suite = read_suite(["assert f(1) == 2", "assert f(2)"])
    assert suite.tests == (Direct("f(1)", 2), General("assert f(2)"))
    assert suite.names == {"f"}


def test_outputs_may_come_from_a_reference() -> None:
    suite = read_suite({"entry_point": "f", "inputs": [[1]], "reference": "def f(x): return x"})
    assert suite.outputs_from_reference


@pytest.mark.parametrize(
    "gold",
    [
        "",
        "42",
        "no JSON",
        None,
        {},
        [],
        {"inputs": [], "outputs": []},
        {"inputs": ["1"], "outputs": []},
        {"inputs": [[1]], "fn_name": "f"},
        {"test_list": []},
        {"test_list": ["f(1)"]},
        {"test_list": ["assert f(1) =="]},
        {"test": "def check(c):\n    assert c(", "entry_point": "f"},
        [{"input": "1", "output": "1", "testtype": "functional"}],
        [{"input": "1"}],
        {"fn_name": "f", "inputs": [3], "outputs": [3]},
    ],
)
def test_what_is_no_row_is_refused(gold: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_suite(gold)
