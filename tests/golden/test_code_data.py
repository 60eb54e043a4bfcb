"""Public code data sets: each reference solution passes its tests, each altered one fails.

Exceptions are listed with their reason. `ALTER` changes what the entry point returns by one step of
its type, so that any test that looks at the value must notice.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rewards.code.grade import grade_code
from rewards.sandbox import tiers

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]
pytestmark = [
    pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout"),
    pytest.mark.skipif(not HERE, reason="this machine has no isolation tier"),
]
ALTER = """

def _alter(value):
    if isinstance(value, bool): return not value
    if isinstance(value, (int, float, complex)): return value + 1 + abs(value)
    if isinstance(value, str): return value + "x"
    if isinstance(value, list): return [*value, None]
    if isinstance(value, tuple): return (*value, None)
    if isinstance(value, (set, frozenset)): return {*value, "x"}
    if isinstance(value, dict): return {**value, "x": 1}
    return 0 if value is None else None
_right = ENTRY
def ENTRY(*args, **kwargs): return _alter(_right(*args, **kwargs))
"""
# Extended inputs of MBPP+ for which the reference needs over 1 GiB (255), over 20 s (599), or
# returns half a million values (630): these rows are tested on their base inputs.
TOO_LARGE = {"Mbpp/255", "Mbpp/599", "Mbpp/630"}
# Rows whose reference refuses the inputs as the file has them: JSON made lists of their tuples and
# text of their complex numbers.
UNTYPED = {"gold_error": ["Mbpp/106", "Mbpp/124", "Mbpp/252", "Mbpp/580", "Mbpp/720"]}
# The base asserts of two rows of MBPP+ contradict the reference solution of the same row.
CONTRADICT_THEMSELVES = ["Mbpp/164", "Mbpp/295"]
WRAPPERS = {"set", "sorted", "list", "tuple", "not", "abs", "len", "round", "isclose", "assert"}


class Row(NamedTuple):
    """One problem.

    Attributes:
        name: of the data set.
        code: its reference solution.
        entry: the function that is tested.
        gold: its tests.
    """

    name: str
    code: str
    entry: str
    gold: Any


def _entry(test: str) -> str:
    """The function that an assert is about."""
    names = re.findall(r"(?<![.\w])([A-Za-z_]\w*)\s*\(", test)
    return next(name for name in names if name not in WRAPPERS)


def human_eval() -> Iterator[Row]:
    with gzip.open(DATA / "humaneval/HumanEval.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            gold = {key: row[key] for key in ("prompt", "test", "entry_point")}
            code = row["prompt"] + row["canonical_solution"]
            yield Row(row["task_id"], code, row["entry_point"], gold)


def human_eval_bodies() -> Iterator[Row]:
    with gzip.open(DATA / "humaneval/HumanEval.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            gold = {key: row[key] for key in ("prompt", "test", "entry_point")}
            yield Row(row["task_id"], row["canonical_solution"], row["entry_point"], gold)


def mbpp() -> Iterator[Row]:
    for line in (DATA / "mbpp/mbpp.jsonl").read_text().splitlines():
        row = json.loads(line)
        gold = {key: row[key] for key in ("test_list", "test_setup_code")}
        yield Row(f"Mbpp/{row['task_id']}", row["code"], _entry(row["test_list"][0]), gold)


def sanitized() -> Iterator[Row]:
    for row in json.loads((DATA / "mbpp/sanitized-mbpp.json").read_text()):
        gold = {key: row[key] for key in ("test_list", "test_imports")}
        yield Row(f"Mbpp/{row['task_id']}", row["code"], _entry(row["test_list"][0]), gold)


def _plus() -> list[dict[str, Any]]:
    """All rows of MBPP+."""
    rows: list[dict[str, Any]] = json.loads(
        gzip.decompress((DATA / "mbpp/mbppplus.json.gz").read_bytes())
    )
    return rows


def mbpp_plus() -> Iterator[Row]:
    for row in _plus():
        inputs = [*row["base_input"]]
        if row["task_id"] not in TOO_LARGE:
            inputs += row["plus_input"] or []
        gold = {"entry_point": row["entry_point"], "inputs": inputs, "atol": row["atol"]}
        gold["reference"] = row["canonical_solution"]
        yield Row(row["task_id"], row["canonical_solution"], row["entry_point"], gold)


def mbpp_plus_asserts() -> Iterator[Row]:
    for row in _plus():
        gold = {"test": row["assertion"], "reference": row["canonical_solution"]}
        yield Row(row["task_id"], row["canonical_solution"], row["entry_point"], gold)


def judged(rows: Iterator[Row], *, altered: bool) -> dict[str, list[str]]:
    """Names by status."""

    def one(row: Row) -> tuple[str, str]:
        code = row.code + (ALTER.replace("ENTRY", row.entry) if altered else "")
        verdict = grade_code(f"```python\n{code}\n```", row.gold, timeout_s=20)
        return row.name, verdict.status

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(one, rows))
    found: dict[str, list[str]] = {}
    for name, status in said:
        found.setdefault(status, []).append(name)
    return found


CASES = [
    pytest.param(human_eval, 164, {}, id="humaneval"),
    pytest.param(mbpp, 974, {}, id="mbpp", marks=pytest.mark.full),
    pytest.param(sanitized, 427, {}, id="sanitized"),
    pytest.param(mbpp_plus, 399, UNTYPED, id="mbppplus", marks=pytest.mark.full),
]


@pytest.mark.parametrize(("rows", "count", "others"), CASES)
def test_references_pass(
    rows: Callable[[], Iterator[Row]], count: int, others: dict[str, list[str]]
) -> None:
    found = judged(rows(), altered=False)
    assert len(found.pop("correct")) + sum(map(len, others.values())) == count
    assert found == others


@pytest.mark.full
def test_asserts_of_mbpp_plus_and_two_rows_that_contradict_themselves() -> None:
    found = judged(mbpp_plus_asserts(), altered=False)
    assert sorted(found) == ["correct", "gold_error"]
    assert found["gold_error"] == CONTRADICT_THEMSELVES


def test_a_completion_of_the_prompt_alone_passes_too() -> None:
    assert set(judged(human_eval_bodies(), altered=False)) == {"correct"}


def test_set_up_code_runs_after_the_program() -> None:
    rows = [row for row in mbpp() if row.gold["test_setup_code"]]
    assert len(rows) == 2
    assert set(judged(iter(rows), altered=False)) == {"correct"}


@pytest.mark.parametrize(("rows", "count", "others"), CASES)
def test_altered_references_fail(
    rows: Callable[[], Iterator[Row]], count: int, others: dict[str, list[str]]
) -> None:
    found = judged(rows(), altered=True)
    assert len(found.pop("wrong")) + sum(map(len, others.values())) == count
    assert found == others
